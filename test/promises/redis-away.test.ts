// Promises 2 and 4: Redis is disposable, and a hit needs nobody.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { declare, eventsUrl, Service } from '../service.ts';

let service: Service;

beforeEach(async () => {
  service = await Service.start({ env: { EVOKE_MEMORY_BYTES: '1048576' } });
  await declare(service.url, 'redis:away', { generator: 'minbias', seed: 2, events: 100_000, chunkEvents: 1000 });
});

afterEach(() => service.stop());

const get = (range: string) => fetch(eventsUrl(service.url, 'redis:away', range));

async function storedIsServedAndMissingIsRefused(): Promise<void> {
  const hit = await get('1-1000.arrows');
  expect(hit.status).toBe(200);
  expect(hit.headers.get('cache-status')).toBe('evoke; hit');
  expect((await hit.arrayBuffer()).byteLength).toBeGreaterThan(1000);

  const asked = performance.now();
  const miss = await get('50001-51000.arrows');
  expect(miss.status).toBe(503);
  expect(performance.now() - asked).toBeLessThan(5_000);
  expect(Number(miss.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(miss.headers.get('cache-control')).toBe('no-store');
  expect(await miss.json()).toMatchObject({ code: 'QUEUE_UNAVAILABLE', status: 503 });
}

async function untilServed(range: string): Promise<void> {
  await expect.poll(async () => (await get(range)).status, { interval: 200 }).toBe(200);
}

test('with Redis frozen hits are served, misses are refused within two seconds, and work goes on when it thaws', async () => {
  expect((await get('1-1000.arrows')).status).toBe(200);
  service.redis.freeze();
  try {
    await storedIsServedAndMissingIsRefused();
  } finally {
    service.redis.thaw();
  }
  await untilServed('50001-51000.arrows');
});

test('with Redis stopped hits are served, misses are refused within two seconds, and work goes on when it is back', async () => {
  expect((await get('1-1000.arrows')).status).toBe(200);
  await service.redis.kill();
  await storedIsServedAndMissingIsRefused();
  const ready = await fetch(`${service.url}/readyz`);
  expect(ready.status).toBe(200);
  expect(await ready.json()).toMatchObject({ status: 'degraded', missing: expect.arrayContaining(['queue']) });
  await service.redis.restart();
  await untilServed('50001-51000.arrows');
});

test('with Redis and every worker gone, what is stored is served, by an api that just started too', async () => {
  const before = Buffer.from(await (await get('1-3000.arrows')).arrayBuffer());
  await Promise.all(service.roles.filter((role) => role.role === 'worker').map((role) => role.end('SIGKILL')));
  await service.redis.kill();
  const late = await service.startApi();
  const hit = await fetch(eventsUrl(late.url, 'redis:away', '1-3000.arrows'));
  expect(hit.headers.get('cache-status')).toBe('evoke; hit');
  expect(Buffer.from(await hit.arrayBuffer()).equals(before)).toBe(true);
});

test('FLUSHALL six times during load loses nothing: every range arrives whole', async () => {
  const ranges = Array.from({ length: 12 }, (_, i) => `${i * 8000 + 1}-${(i + 1) * 8000}`);
  const flushes = (async () => {
    for (let count = 0; count < 6; count++) {
      await service.redis.command('FLUSHALL');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  const lines = await Promise.all(
    ranges.map(async (range) => {
      const response = await get(`${range}.ndjson`);
      expect(response.status).toBe(200);
      return (await response.text()).trimEnd().split('\n');
    }),
  );
  await flushes;
  const events = lines.flat().map((line) => (JSON.parse(line) as { event: number }).event);
  expect(events).toEqual(Array.from({ length: 96_000 }, (_, i) => i + 1));
  expect(await (await fetch(`${service.url}/v1/datasets/redis/away`)).json()).toMatchObject({ events: 100_000 });
}, 60_000);
