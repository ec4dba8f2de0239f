// A hit needs nobody: with Redis frozen, stopped or never there, what is stored is served and what is missing is refused.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestService } from './harness.ts';

let service: TestService;
let path: string;
beforeEach(async () => {
  service = await TestService.start({ env: { EVOKE_MEMORY_BYTES: '0' } });
  path = await service.declare('away', { generator: 'minbias', events: 300, chunkEvents: 100 });
  expect((await service.call(`${path}/events/1-100`)).status).toBe(200);
});
afterEach(() => service.stop());

async function hitsAreServedAndMissesRefused(): Promise<void> {
  const hit = await service.call(`${path}/events/1-100.arrows`);
  expect(hit.headers['cache-status']).toBe('evoke; hit');
  const asked = performance.now();
  const miss = await service.call(`${path}/events/101-200`);
  expect(performance.now() - asked).toBeLessThan(5_000);
  expect(miss.status).toBe(503);
  expect(miss.json()).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  expect(Number(miss.headers['retry-after'])).toBeGreaterThan(0);

  expect((await service.call(`${path}/materialization`)).json().items).toEqual([
    { firstChunk: 0, lastChunk: 0, state: 'materialized' },
    { firstChunk: 1, lastChunk: 2, state: 'virtual' },
  ]);
  expect((await service.call(`${path}/plan/1-300`)).json().runs).toHaveLength(2);
  expect((await service.call(`${path}/provenance/1`)).json()).toMatchObject({ state: 'virtual' });
  expect((await service.call(`${path}/events/101-200`, { headers: { 'if-none-match': '*' } })).status).toBe(304);
  expect((await service.call(`${path}/events/101-200`, { method: 'HEAD' })).status).toBe(200);
  expect((await service.put('/v1/datasets/test/while_away', { generator: 'quick', seed: 1, events: 1 })).status).toBe(
    201,
  );
  expect((await service.call('/v1/workers')).status).toBe(503);
  const started = performance.now();
  const ready = await service.call('/readyz');
  expect(performance.now() - started).toBeLessThan(5_000);
  expect(ready.status).toBe(200);
  expect(ready.json()).toEqual({ status: 'degraded', missing: ['queue', 'worker', 'scheduler'] });
  expect((await service.call('/healthz')).status).toBe(200);
  const metrics = (await service.call('/metrics')).text();
  expect(metrics).toMatch(/^evoke_chunks_requested_total\{means="hit"\} [1-9]/m);
  expect(metrics).not.toMatch(/^evoke_(queue_chunks|workers|worker_threads|store_bytes)\b/m);
}

test('with Redis frozen, and work goes on when it thaws', async () => {
  service.redis.freeze();
  await hitsAreServedAndMissesRefused();
  service.redis.thaw();
  await expect.poll(async () => (await service.call(`${path}/events/101-200`)).status).toBe(200);
});

test('with Redis stopped, by an api that starts then, and work goes on when it is back', async () => {
  await service.redis.kill();
  await hitsAreServedAndMissesRefused();
  const late = await service.anotherApi();
  try {
    const reply = await fetch(`${late.url}${path}/events/1-100`);
    expect(reply.headers.get('cache-status')).toBe('evoke; hit');
    await reply.text();
  } finally {
    await late.stop(0);
  }
  await service.redis.restart();
  await expect.poll(async () => (await service.call(`${path}/events/101-200`)).status).toBe(200);
});
