// What a worker tells the ledger: every chunk it made and stored once, with the trailer's own numbers, and all work that came
// to nothing, by its cause.
import { expect, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { EvokeError } from '../../core/errors.ts';
import type { ChunkJob } from '../../queue/job.ts';
import { Chunks } from '../../store/chunks.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { ChunkMaker, type ChunkMakerParts } from '../../workers/chunk-maker.ts';
import { WorkerCounters } from '../../workers/counters.ts';
import { ThreadPool } from '../../workers/pool.ts';
import type { ChunkTaskResult } from '../../workers/task.ts';
import { builtInGenerators, fixtureGeneratorsUrl } from '../fixtures/generators.ts';
import { KeepingLedger } from '../fixtures/keeping-ledger.ts';
import { ampleRoom, keepingLog, Line } from '../fixtures/line.ts';
import { anOrder } from '../fixtures/orders.ts';

const now = Date.parse('2030-01-01T00:00:00Z');

/** A maker on real threads over a store in memory. */
async function aMaker(test: { onTestFinished(work: () => Promise<void>): void }, parts: Partial<ChunkMakerParts> = {}) {
  const pool = new ThreadPool({ threads: 1, queueMax: 2, generators: fixtureGeneratorsUrl });
  test.onTestFinished(() => pool.close());
  const ledger = new KeepingLedger();
  const chunks = new Chunks(new MemoryStore());
  const counters = new WorkerCounters();
  const maker = new ChunkMaker({
    pool,
    registry: builtInGenerators,
    chunks,
    room: ampleRoom,
    ledger,
    clock: { now: () => now },
    identity: { host: 'a-host', pid: 7, id: 'a-worker' },
    code: '1',
    counters,
    ...parts,
  });
  const fulfil = (order: ChunkJob, attempt = 1) => maker.fulfil(order, attempt, keepingLog());
  return { pool, ledger, chunks, counters, fulfil };
}

/** The chunks' own methods, with some of them replaced. */
function chunksBut(chunks: Chunks, changes: Partial<ChunkMakerParts['chunks']>): ChunkMakerParts['chunks'] {
  return {
    head: (chunk) => chunks.head(chunk),
    get: (chunk) => chunks.get(chunk),
    put: (chunk, parts, options) => chunks.put(chunk, parts, options),
    trailer: (chunk) => chunks.trailer(chunk),
    recordDigest: (chunk, made) => chunks.recordDigest(chunk, made),
    ...changes,
  };
}

function about({ chunk, derivation, dataset }: ChunkJob) {
  const { batchEvents, range } = chunk;
  return { dataset, generator: derivation.generator, derivation: chunk.derivation, batchEvents, range };
}

test('a chunk made and stored is told once, with exactly what its trailer says', async (context) => {
  const { ledger, chunks, fulfil } = await aMaker(context);
  const order = { ...anOrder('busy', { parameters: { batchMs: 5 }, batches: 3, requestId: 'r' }), batch: 'a-batch' };
  const { bytes } = await fulfil(order, 2);
  const trailer = await chunks.trailer(order.chunk);
  const atMs = Date.parse(trailer?.generatedAt ?? '');
  expect(ledger.entries).toEqual([
    {
      kind: 'generation',
      atMs,
      ...about(order),
      requestId: 'r',
      batch: 'a-batch',
      attempt: 2,
      cpuMicros: Math.round((trailer?.cpuSeconds ?? 0) * 1e6),
      wallMicros: Math.round((trailer?.wallSeconds ?? 0) * 1e6),
      bytes,
    },
    { kind: 'put', atMs, ...about(order), bytes },
  ]);
  expect(ledger.of('generation')[0]?.cpuMicros).toBeGreaterThan(15_000);
  // Found stored: nothing happened that the ledger has to know.
  await fulfil(order);
  expect(ledger.entries).toHaveLength(2);
});

test('work that came to nothing is told with its cause, and with what it took', async (context) => {
  const { ledger, counters, fulfil } = await aMaker(context);
  const failing = anOrder('failing', { parameters: { event: 6 }, batches: 2, requestId: 'r' });
  await expect(fulfil(failing, 3)).rejects.toMatchObject({ code: 'GENERATION_FAILED' });
  expect(ledger.entries).toMatchObject([
    { kind: 'waste', cause: 'failed', atMs: now, ...about(failing), requestId: 'r', batch: '', attempt: 3 },
  ]);
  await expect(fulfil(anOrder('mistaken'))).rejects.toThrow('a mistake');
  await expect(fulfil(anOrder('exiting'))).rejects.toThrow();
  expect(ledger.of('waste').map(({ cause }) => cause)).toEqual(['failed', 'crashed', 'crashed']);
  for (const { wallMicros } of ledger.of('waste')) expect(wallMicros).toBeGreaterThan(0);
  expect(ledger.entries).toHaveLength(3);
  const sum = ledger.of('waste').reduce((total, { cpuMicros }) => total + cpuMicros, 0);
  expect(counters.wastedCpuSeconds * 1e6).toBeCloseTo(sum, 3);
});

test('a task that is asked to stop, or whose thread is ended, was cancelled', async (context) => {
  const { pool, ledger, fulfil } = await aMaker(context);
  await fulfil(anOrder('quick'));
  const asked = fulfil(anOrder('busy', { parameters: { batchMs: 20 }, batches: 1000 }));
  await expect.poll(() => pool.busy).toBe(1);
  pool.cancelAll();
  await expect(asked).rejects.toThrow('asked to stop');
  expect(ledger.of('waste')).toMatchObject([{ cause: 'cancelled' }]);
});

test('a chunk that somebody else stored meanwhile stays, and the work was for nothing', async (context) => {
  const { chunks, fulfil: first, ledger: firsts } = await aMaker(context);
  // Looks before the other has stored it, and stores after.
  const late = await aMaker(context, { chunks: chunksBut(chunks, { head: async () => undefined }) });
  const order = anOrder('quick');
  const { bytes } = await first(order);
  const before = await chunks.get(order.chunk);
  expect(await late.fulfil({ ...order, requestId: 'longer than the other' })).toMatchObject({ generated: false });
  expect((await chunks.get(order.chunk))?.equals(before ?? Buffer.alloc(0))).toBe(true);
  expect(bytes).toBe(before?.length);
  expect(firsts.entries.map(({ kind }) => kind)).toEqual(['generation', 'put']);
  expect(late.ledger.entries).toMatchObject([{ kind: 'waste', cause: 'duplicate', ...about(order) }]);
  expect(late.counters).toMatchObject({ generated: 0, found: 1, bytes: 0 });
});

test('a chunk that cannot be kept is unstored; one that the store took without saying so is told as stored', async (context) => {
  const away = () => Promise.reject(new EvokeError('STORE_UNAVAILABLE'));
  const chunks = new Chunks(new MemoryStore());
  const unkept = await aMaker(context, { chunks: chunksBut(chunks, { put: away }) });
  const order = anOrder('quick');
  await expect(unkept.fulfil(order)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(unkept.ledger.entries).toMatchObject([{ kind: 'waste', cause: 'unstored', ...about(order) }]);

  const silent = await aMaker(context, {
    chunks: chunksBut(chunks, {
      put: async (chunk, parts, options) => {
        await chunks.put(chunk, parts, options);
        return away();
      },
    }),
  });
  expect(await silent.fulfil(order)).toMatchObject({ generated: true });
  expect(silent.ledger.entries.map(({ kind }) => kind)).toEqual(['generation', 'put']);

  // It takes the chunk, goes away before it says so, and is still away when it is asked.
  const gone = await aMaker(context, {
    chunks: chunksBut(chunks, {
      put: async (chunk, parts, options) => {
        await chunks.put(chunk, parts, options);
        return away();
      },
      trailer: away,
    }),
  });
  const other = anOrder('busy', { parameters: { batchMs: 5 } });
  await expect(gone.fulfil(other)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  const { generatedAt, cpuSeconds } = (await chunks.trailer(other.chunk)) ?? { generatedAt: '', cpuSeconds: 0 };
  const making = { atMs: Date.parse(generatedAt), cpuMicros: Math.round(cpuSeconds * 1e6) };
  expect(gone.ledger.entries).toMatchObject([{ kind: 'waste', cause: 'unstored', ...making }]);
});

test('nothing is told of what was never begun', async (context) => {
  const none: ChunkTaskResult = { state: 'cancelled', detail: 'ended', cpuSeconds: 0, wallSeconds: 0 };
  const { ledger, fulfil } = await aMaker(context, { pool: { run: async () => none } });
  await expect(fulfil(anOrder('quick'))).rejects.toThrow('ended');
  const full = await aMaker(context, { room: { reserve: () => Promise.reject(new EvokeError('STORE_UNAVAILABLE')) } });
  await expect(full.fulfil(anOrder('quick'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect([...ledger.entries, ...full.ledger.entries]).toEqual([]);
});

test('a worker over a real queue tells of every try: two that failed, and the third that made it', async (context) => {
  const line = await Line.start(context);
  const ledger = new KeepingLedger();
  let puts = 0;
  const chunks = chunksBut(line.chunks, {
    put: async (chunk, parts, options) => {
      if (++puts < 3) throw new EvokeError('STORE_UNAVAILABLE');
      return line.chunks.put(chunk, parts, options);
    },
  });
  const { stop } = await line.worker({ ledger, chunks });
  const order = anOrder('quick', { requestId: 'who-asked' });
  expect(await line.order(order)).toMatchObject({ generated: true });
  expect(ledger.of('waste').map(({ cause, attempt }) => [cause, attempt])).toEqual([
    ['unstored', 1],
    ['unstored', 2],
  ]);
  expect(ledger.of('generation')).toMatchObject([{ attempt: 3, requestId: 'who-asked' }]);
  expect(ledger.of('put').map((put) => chunkKey(put))).toEqual([order.key]);

  // Stopped in the middle of a chunk: what was spent on it is told before the worker is gone.
  const long = anOrder('busy', { parameters: { batchMs: 20 }, batches: 500 });
  await line.queue.add(long, 'interactive');
  await expect.poll(async () => (await line.queue.find(long.key))?.state).toBe('generating');
  await expect.poll(() => ledger.entries.length).toBe(4);
  await stop(50);
  expect(ledger.of('waste').at(-1)).toMatchObject({ cause: 'cancelled', ...about(long) });
  expect(ledger.of('waste').at(-1)?.cpuMicros).toBeGreaterThan(0);
});
