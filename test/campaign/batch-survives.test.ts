// A batch on a whole service, on files and on Ceph alike: paused, resumed, its scheduler and worker killed, Redis flushed,
// and beside it people who wait. In the end every chunk is stored once, and the ledger adds up to the store to the byte.
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { BatchShown } from '../../api/batch-views.ts';
import { type ChunkRef, chunkKey } from '../../core/chunk.ts';
import { systemClock } from '../../core/clock.ts';
import type { Generation, Put } from '../../core/ledger.ts';
import { silentLog } from '../../core/log.ts';
import type { StoreLocation } from '../../core/store-location.ts';
import { Ledger } from '../../costs/ledger/ledger.ts';
import { readLedger } from '../../costs/ledger/reader.ts';
import { Reconciler } from '../../costs/ledger/reconcile.ts';
import { Chunks } from '../../store/chunks.ts';
import { openStore } from '../../store/open-store.ts';
import { type Ceph, startCeph } from '../ceph.ts';
import { eventually } from '../eventually.ts';
import { declare, eventsUrl, Service } from '../service.ts';

const chunks = 240;
const chunkEvents = 256;
/** Slow enough that the killing has something to kill: about 40 ms of CPU a chunk. */
const definition = {
  generator: 'minbias',
  seed: 5,
  events: chunks * chunkEvents,
  chunkEvents,
  parameters: { mean: 200 },
};

async function call<T>(url: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(url, { ...init, headers: { 'content-type': 'application/json' } });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

/** What is asked of a batch, through whichever api. */
function batchAt(url: string, id: string) {
  const address = `${url}/v1/batches/${id}`;
  const look = () => call<BatchShown>(address);
  return {
    look,
    set: (state: string) => call<BatchShown>(address, { method: 'PATCH', body: JSON.stringify({ state }) }),
    until: (holds: (batch: BatchShown) => void, timeout = 60_000) =>
      eventually(async () => holds(await look()), { timeout, interval: 100 }),
  };
}

async function interactive(service: Service, index: number): Promise<void> {
  const first = index * chunkEvents + 1;
  const range = `${first}-${first + chunkEvents - 1}.ndjson?columns=event`;
  const response = await fetch(eventsUrl(service.url, 'people:data', range));
  expect(response.status).toBe(200);
  expect((await response.text()).trimEnd().split('\n').length).toBe(chunkEvents);
}

const stores: [string, () => Promise<{ location: StoreLocation; env: Record<string, string> } | undefined>][] = [
  ['files', async () => undefined],
  [
    'Ceph RGW',
    async () => ({ location: ceph.location(`batch-${process.pid}`), env: ceph.envOf(`batch-${process.pid}`) }),
  ],
];

let ceph: Ceph;
beforeAll(async () => {
  ceph = await startCeph();
  Object.assign(process.env, ceph.env);
});
afterAll(() => ceph.stop());

describe.each(stores)('on %s', (_, where) => {
  test('a batch survives all that may happen to it, and the ledger adds up to it', async () => {
    const remote = await where();
    const service = await Service.start({ workers: 2, schedulers: 2, env: remote?.env ?? {} });
    onTestFinished(() => service.stop());
    await declare(service.url, 'batch:data', definition);
    await declare(service.url, 'people:data', { ...definition, seed: 6 });
    const { id } = await call<BatchShown>(`${service.url}/v1/batches`, {
      method: 'POST',
      body: JSON.stringify({ dataset: 'batch:data' }),
    });
    const batch = batchAt(service.url, id);
    await batch.until(({ done }) => expect(done).toBeGreaterThan(10));

    await batch.set('paused');
    await batch.until(({ state }) => expect(state).toBe('paused'));
    await batch.set('running');
    await batch.until(({ state, done }) => expect([state, done > 30]).toEqual(['running', true]));

    for (const role of ['scheduler', 'worker']) {
      const living = service.roles.filter((one) => one.role === role && one.process.exitCode === null);
      // Every scheduler, so that the one that leads is among them.
      await Promise.all((role === 'scheduler' ? living : living.slice(0, 1)).map((one) => one.end('SIGKILL')));
      service.startRole(role);
      await interactive(service, role.length);
      const { done } = await batch.look();
      await batch.until((now) => expect(now.done).toBeGreaterThan(Math.min(done + 5, chunks - 5)));
    }
    await service.redis.command('FLUSHALL');
    await interactive(service, 20);
    await batch.until(({ state }) => expect(state).toBe('completed'), 180_000);
    const ended = await batch.look();
    expect(ended).toMatchObject({ chunks, failed: 0 });
    expect(ended.done + ended.skipped).toBe(chunks);

    // Those that end in order tell the rest of what they did; the killed ones' chunks tell it themselves.
    const location = remote?.location ?? { kind: 'file' as const, folder: `${service.dataDir}/store` };
    await Promise.all(service.roles.map((role) => role.end('SIGTERM')));
    const { store } = await openStore(location);
    const stored = new Map<string, { chunk: ChunkRef; bytes: number }>();
    const all = new Chunks(store);
    for await (const { chunk, bytes } of all.all()) stored.set(chunkKey(chunk), { chunk, bytes });
    const ledger = new Ledger({ store, process: 'test', flushMs: 1000, clock: systemClock, log: silentLog });
    await new Reconciler({ store, chunks: all, ledger, clock: systemClock, log: silentLog }).reconcile({ all: true });
    await ledger.close();
    const generations: Generation[] = [];
    const puts: Put[] = [];
    for await (const entry of readLedger(store, {})) {
      if (entry.kind === 'generation') generations.push(entry);
      if (entry.kind === 'put') puts.push(entry);
    }
    const keyed = (entries: readonly (Generation | Put)[]) =>
      entries.map((entry) => [chunkKey(entry), entry.bytes] as const).sort();
    const listed = [...stored].map(([key, { bytes }]) => [key, bytes] as const).sort();
    expect(keyed(puts)).toEqual(listed);
    expect(keyed(generations)).toEqual(listed);
    const own = generations.filter((generation) => generation.batch === id);
    expect(own.length).toBe(ended.done);
    const cpuMicros = own.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0);
    expect(ended.cpuSeconds).toBeCloseTo(cpuMicros / 1e6, 6);
    for (const { chunk } of stored.values()) {
      const trailer = await all.trailer(chunk);
      const told = generations.find((generation) => chunkKey(generation) === chunkKey(chunk));
      expect(told?.cpuMicros).toBe(Math.round((trailer?.cpuSeconds ?? 0) * 1e6));
    }
    await store.close();
  });
});

test('a batch of a million chunks is accepted in under a second, and stopping it leaves nothing behind', async () => {
  const service = await Service.start({ schedulers: 1 });
  onTestFinished(() => service.stop());
  await declare(service.url, 'huge:data', { ...definition, events: 1_000_000 * chunkEvents });
  const began = performance.now();
  const { id, chunks: many } = await call<BatchShown>(`${service.url}/v1/batches`, {
    method: 'POST',
    body: JSON.stringify({ dataset: 'huge:data' }),
  });
  expect(performance.now() - began).toBeLessThan(1000);
  expect(many).toBe(1_000_000);
  const batch = batchAt(service.url, id);
  await batch.until(({ done }) => expect(done).toBeGreaterThan(5));
  await fetch(`${service.url}/v1/batches/${id}`, { method: 'DELETE' });
  await batch.until(({ state }) => expect(state).toBe('cancelled'));
});

test('a gateway that is killed and restarted under a batch costs time, and no chunk', async () => {
  const prefix = `gateway-${process.pid}`;
  const service = await Service.start({ workers: 2, schedulers: 1, env: ceph.envOf(prefix) });
  onTestFinished(() => service.stop());
  await declare(service.url, 'batch:data', definition);
  const { id } = await call<BatchShown>(`${service.url}/v1/batches`, {
    method: 'POST',
    body: JSON.stringify({ dataset: 'batch:data' }),
  });
  const batch = batchAt(service.url, id);
  await batch.until(({ done }) => expect(done).toBeGreaterThan(10));
  await ceph.killGateway();
  const began = performance.now();
  const refused = await fetch(
    eventsUrl(service.url, 'batch:data', `${chunks * chunkEvents - 1}-${chunks * chunkEvents}`),
  );
  expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true]);
  expect(performance.now() - began).toBeLessThan(30_000);
  await ceph.restartGateway();
  await batch.until(({ state }) => expect(state).toBe('completed'), 240_000);
  const ended = await batch.look();
  expect([ended.done + ended.skipped, ended.failed]).toEqual([chunks, 0]);
});
