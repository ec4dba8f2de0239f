// Promise 3: a miss is generated once. And one client harms no other.
import { once } from 'node:events';
import { get as httpGet } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { declare, eventsUrl, Service } from '../service.ts';

let service: Service;

beforeAll(async () => {
  service = await Service.start({ apis: 2, workers: 2, env: { EVOKE_CLIENT_REQUESTS: '1000' } });
});

afterAll(() => service.stop());

/** Chunks that workers generated so far, from their heartbeats. */
async function generated(): Promise<number> {
  const { items } = (await (await fetch(`${service.url}/v1/workers`)).json()) as { items: { generated: number }[] };
  return items.reduce((sum, worker) => sum + worker.generated, 0);
}

test('two hundred concurrent requests for a cold chunk, through two api processes, make one generation', async () => {
  await declare(service.url, 'herd:one', { generator: 'minbias', seed: 21, events: 8000, chunkEvents: 4000 });
  const before = await generated();
  const bodies = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const api = service.apis[i % 2];
      const response = await fetch(eventsUrl(api?.url ?? '', 'herd:one', '1-4000.arrows'));
      expect(response.status).toBe(200);
      return Buffer.from(await response.arrayBuffer());
    }),
  );
  for (const body of bodies) expect(body.equals(bodies[0] ?? Buffer.alloc(0))).toBe(true);
  await expect.poll(generated).toBe(before + 1);
  expect(await (await fetch(`${service.url}/v1/datasets/herd/one`)).json()).toMatchObject({ materializedChunks: 1 });
});

test('a client that goes away or reads slowly harms nobody else', async () => {
  await declare(service.url, 'herd:slow', { generator: 'minbias', seed: 22, events: 60_000, chunkEvents: 2000 });
  const url = eventsUrl(service.url, 'herd:slow', '1-60000.arrows');

  // Reads a little and then nothing at all: the window of its own answer stops, and nothing else.
  const slow = httpGet(url);
  const [slowAnswer] = await once(slow, 'response');
  await once(slowAnswer, 'readable');
  slowAnswer.read(10_000);

  for (let i = 0; i < 20; i++) {
    const controller = new AbortController();
    const leaving = fetch(url, { signal: controller.signal });
    const response = await leaving;
    controller.abort();
    await expect(response.arrayBuffer()).rejects.toThrow();
  }

  const bytes = await (await fetch(url)).arrayBuffer();
  expect(bytes.byteLength).toBeGreaterThan(1_000_000);
  slow.destroy();
  const health = await fetch(`${service.url}/healthz`);
  expect(health.status).toBe(200);
});

test('nonsense is answered and forgotten: the service goes on', async () => {
  const nonsense = [
    '/v1/datasets/herd/one/events/1--2',
    '/v1/datasets/herd/one/events/%2e%2e%2f1-2',
    '/v1/datasets/herd/one/events/1-99999999999999999999',
    '/v1/datasets/herd/one/events/1-10?columns=nothing',
    '/v1/datasets/herd/one/events/1-10?format=pdf',
    '/v1/datasets/herd/one/events/1-10?forma=arrow',
    '/v1/datasets/..%2f..%2fstore.json',
    '/v1/datasets/__proto__/constructor',
    '/v1/%ff',
    `/${'a'.repeat(5000)}`,
  ];
  for (const path of nonsense) {
    const response = await fetch(service.url + path);
    expect([400, 404, 406, 416, 422], path).toContain(response.status);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(await response.json()).toMatchObject({
      status: response.status,
      requestId: response.headers.get('request-id'),
    });
  }
  expect((await fetch(eventsUrl(service.url, 'herd:one', '1-10'))).status).toBe(200);
});
