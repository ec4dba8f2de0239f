// Promise 2, for batches: whatever is killed or flushed while one runs, it goes on within seconds, and ends with every chunk
// stored once and a tally that is exact.
import { expect, onTestFinished, test } from 'vitest';
import type { BatchShown } from '../../api/batch-views.ts';
import { chunkKey } from '../../core/chunk.ts';
import { Chunks } from '../../store/chunks.ts';
import { openStore } from '../../store/open-store.ts';
import { eventually } from '../eventually.ts';
import { declare, eventsUrl, Service } from '../service.ts';

const chunkEvents = 256;

async function call(url: string, init: RequestInit = {}): Promise<BatchShown> {
  const response = await fetch(url, { ...init, headers: { 'content-type': 'application/json' } });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as BatchShown;
}

function create(service: Service, body: object): Promise<BatchShown> {
  return call(`${service.url}/v1/batches`, { method: 'POST', body: JSON.stringify(body) });
}

function until(service: Service, id: string, holds: (batch: BatchShown) => void): Promise<void> {
  const look = async () => holds(await call(`${service.url}/v1/batches/${id}`));
  return eventually(look, { timeout: 40_000, interval: 50 });
}

/** What every stored chunk says of its making, by key. */
async function trailersOf(service: Service) {
  const { store } = await openStore({ kind: 'file', folder: `${service.dataDir}/store` });
  const chunks = new Chunks(store);
  const trailers = new Map<string, { batch: string | undefined; cpuSeconds: number }>();
  for await (const { chunk } of chunks.all()) {
    const trailer = await chunks.trailer(chunk);
    trailers.set(chunkKey(chunk), { batch: trailer?.batch, cpuSeconds: trailer?.cpuSeconds ?? 0 });
  }
  await store.close();
  return trailers;
}

test('a batch survives the killing of its scheduler and a worker, and a flush, and counts every chunk once', async () => {
  const service = await Service.start({ workers: 2, schedulers: 1, env: { EVOKE_WORKER_THREADS: '1' } });
  onTestFinished(() => service.stop());
  const chunks = 80;
  const definition = { generator: 'minbias', seed: 5, chunkEvents, parameters: { mean: 300 } };
  await declare(service.url, 'batch:data', { ...definition, events: chunks * chunkEvents });
  const { id } = await create(service, { dataset: 'batch:data' });
  await until(service, id, ({ done }) => expect(done).toBeGreaterThan(5));

  await service.roles.find(({ role }) => role === 'scheduler')?.end('SIGKILL');
  service.startRole('scheduler');
  const someone = await fetch(
    eventsUrl(service.url, 'batch:data', `${(chunks - 1) * chunkEvents + 1}-${chunks * chunkEvents}.arrows`),
  );
  expect(someone.status).toBe(200);
  await someone.arrayBuffer();
  await service.roles.find(({ role }) => role === 'worker')?.end('SIGKILL');
  service.startRole('worker');
  const { done } = await call(`${service.url}/v1/batches/${id}`);
  await until(service, id, (now) => expect(now.done).toBeGreaterThan(done + 5));
  await service.redis.command('FLUSHALL');

  await until(service, id, ({ state }) => expect(state).toBe('completed'));
  const ended = await call(`${service.url}/v1/batches/${id}`);
  const trailers = await trailersOf(service);
  const own = [...trailers.values()].filter(({ batch }) => batch === id);
  expect(trailers.size).toBe(chunks);
  expect(ended).toMatchObject({ done: own.length, skipped: chunks - own.length, failed: 0 });
  // The last chunk was a person's.
  expect(ended.skipped).toBeGreaterThan(0);
  const cpuSeconds = own.reduce((sum, trailer) => sum + trailer.cpuSeconds, 0);
  expect(ended.cpuSeconds).toBeCloseTo(cpuSeconds, 3);
}, 90_000);

test('a batch larger than the store pauses instead of eating its own beginning, and goes on when there is room', async () => {
  const capacity = 8 * 1024 * 1024;
  const service = await Service.start({ schedulers: 1, env: { EVOKE_CAPACITY_BYTES: String(capacity) } });
  onTestFinished(() => service.stop());
  const definition = { generator: 'minbias', chunkEvents, parameters: { mean: 50 } };
  await declare(service.url, 'batch:old', { ...definition, seed: 1, events: 20 * chunkEvents });
  await declare(service.url, 'batch:large', { ...definition, seed: 2, events: 100 * chunkEvents });
  const old = await fetch(eventsUrl(service.url, 'batch:old', `1-${4 * chunkEvents}.arrows`));
  await old.arrayBuffer();
  const { id } = await create(service, { dataset: 'batch:large' });
  await until(service, id, ({ state, reason }) => {
    expect(state).toBe('paused');
    expect(reason).toMatch(/^STORE_UNAVAILABLE: /);
  });
  const shown = await call(`${service.url}/v1/batches/${id}`);
  expect(shown.done).toBeGreaterThan(2);
  const trailers = [...(await trailersOf(service)).values()];
  // Everything else had to go, and nothing of its own did.
  expect(trailers.filter(({ batch }) => batch === undefined)).toEqual([]);
  expect(trailers.length).toBe(shown.done);
  // For who asks for other events there is room all the same.
  const someone = await fetch(eventsUrl(service.url, 'batch:old', `1-${chunkEvents}.arrows`));
  expect(someone.status).toBe(200);
  await someone.arrayBuffer();

  await service.roles.find(({ role }) => role === 'worker')?.end('SIGTERM');
  service.startRole('worker', { EVOKE_CAPACITY_BYTES: String(20 * capacity) });
  const patch = { method: 'PATCH', body: JSON.stringify({ state: 'running' }) };
  await call(`${service.url}/v1/batches/${id}`, patch);
  await until(service, id, ({ state }) => expect(state).toBe('completed'));
  expect(await call(`${service.url}/v1/batches/${id}`)).toMatchObject({ done: 100, skipped: 0, failed: 0 });
}, 60_000);

test('a batch of a million chunks is accepted at once, runs, and leaves nothing on order when it is cancelled', async () => {
  const service = await Service.start({ schedulers: 1 });
  onTestFinished(() => service.stop());
  await declare(service.url, 'batch:huge', { generator: 'ee_mumu', seed: 1, events: 1e6 * 64, chunkEvents: 64 });
  const begun = performance.now();
  const { id, chunks } = await create(service, { dataset: 'batch:huge' });
  expect([performance.now() - begun < 1_000, chunks]).toEqual([true, 1_000_000]);
  await until(service, id, ({ done }) => expect(done).toBeGreaterThan(10));
  await fetch(`${service.url}/v1/batches/${id}`, { method: 'DELETE' });
  const depth = async () => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    return /evoke_queue_chunks\{state="queued"\} (\d+)/.exec(metrics)?.[1];
  };
  await expect.poll(depth).toBe('0');
  await until(service, id, ({ state }) => expect(state).toBe('cancelled'));
}, 60_000);
