import { expect, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { EvokeError } from '../../core/errors.ts';
import { arrowWriter, ChunkWriter } from '../../formats/arrow-writer.ts';
import { sealChunk, verifyChunk } from '../../formats/chunk-file.ts';
import { GeneratorRegistry } from '../../generators/registry.ts';
import type { ChunkJob } from '../../queue/job.ts';
import { Chunks } from '../../store/chunks.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { Cancelled, ChunkMaker, type ChunkMakerParts } from '../../workers/chunk-maker.ts';
import { WorkerCounters } from '../../workers/counters.ts';
import type { ChunkTask, ChunkTaskResult } from '../../workers/task.ts';
import { builtInGenerators, quick } from '../fixtures/generators.ts';
import { keepingLog } from '../fixtures/line.ts';
import { anOrder } from '../fixtures/orders.ts';

/** What a thread would give, made here. */
function made({ derivation, chunk, origin }: Omit<ChunkTask, 'watch'>, salt = 0): ChunkTaskResult {
  const writer = new ChunkWriter(chunk, quick.columns);
  const events = chunk.range.end;
  writer.add({
    events,
    values: { event: new BigUint64Array(events).fill(BigInt(salt)), value: new Float32Array(events) },
    offsets: {},
  });
  const { stream, digest } = writer.finish();
  const provenance = {
    derivation,
    derivationId: chunk.derivation,
    startEvent: 1,
    lastEvent: events,
    batchEvents: chunk.batchEvents,
    digest,
    writer: arrowWriter,
    runtime: { node: '1', v8: '1', arch: 'a', platform: 'p' },
    cpuSeconds: 0.5,
    wallSeconds: 0.7,
    generatedAt: '2030-01-01T00:00:00.000Z',
    ...origin,
  };
  const { cpuSeconds, wallSeconds, generatedAt } = provenance;
  return { state: 'made', sealed: sealChunk(stream, provenance), digest, cpuSeconds, wallSeconds, generatedAt };
}

/** A maker over a store in memory, with every step it takes written down. */
function aMaker(
  parts: Partial<ChunkMakerParts> = {},
  result: (task: Omit<ChunkTask, 'watch'>) => ChunkTaskResult = (task) => made(task),
) {
  const steps: string[] = [];
  const counters = new WorkerCounters();
  const log = keepingLog();
  const chunks = new Chunks(new MemoryStore());
  const maker = new ChunkMaker({
    pool: {
      run: async (task) => {
        steps.push('make');
        return result(task);
      },
    },
    registry: builtInGenerators,
    chunks: {
      head: (chunk) => chunks.head(chunk),
      get: (chunk) => chunks.get(chunk),
      put: (chunk, bytes, options) => {
        steps.push('put');
        return chunks.put(chunk, bytes, options);
      },
      trailer: (chunk) => chunks.trailer(chunk),
      recordDigest: (chunk, digest) => {
        steps.push('record');
        return chunks.recordDigest(chunk, digest);
      },
    },
    room: {
      reserve: async (bytes) => {
        steps.push('reserve');
        expect(bytes).toBeGreaterThan(0);
        return {
          settle: async () => void steps.push('settle'),
          release: async () => void steps.push('release'),
        };
      },
    },
    identity: { host: 'a-host', pid: 7, id: 'a-worker' },
    code: '1.2.3',
    counters,
    ...parts,
  });
  const fulfil = (job: ChunkJob, attempt = 1) => maker.fulfil(job, attempt, log);
  return { maker, fulfil, steps, counters, chunks, log };
}

test('room is promised before the chunk is made, settled when it is stored, and the digest comes after the answer', async () => {
  const { maker, fulfil, steps, chunks, counters } = aMaker();
  const order = anOrder('quick', { requestId: 'the-first-to-ask' });
  const done = await fulfil(order, 2);
  expect(steps).toEqual(['reserve', 'make', 'put', 'settle']);
  await maker.settled();
  expect(steps).toEqual(['reserve', 'make', 'put', 'settle', 'record']);

  const stored = await chunks.get(order.chunk);
  expect(done).toMatchObject({ key: order.key, bytes: stored?.length, cpuSeconds: 0.5, generated: true });
  const provenance = await verifyChunk(order.key, stored ?? Buffer.alloc(0));
  expect(provenance).toMatchObject({
    derivation: order.derivation,
    startEvent: 1,
    lastEvent: 4,
    writer: arrowWriter,
    code: '1.2.3',
    worker: { host: 'a-host', pid: 7, id: 'a-worker' },
    cpuSeconds: 0.5,
    attempt: 2,
    requestId: 'the-first-to-ask',
  });
  expect(await chunks.recordedDigests(order.chunk)).toMatchObject([{ digest: provenance.digest, writer: arrowWriter }]);
  expect(counters).toMatchObject({ generated: 1, bytes: done.bytes });
});

test('a chunk that is stored already is not made again', async () => {
  const { fulfil, steps, counters } = aMaker();
  const order = anOrder('quick');
  const first = await fulfil(order);
  steps.length = 0;
  expect(await fulfil(order)).toMatchObject({ key: order.key, bytes: first.bytes, cpuSeconds: 0, generated: false });
  expect(steps).toEqual([]);
  expect(counters).toMatchObject({ generated: 1, found: 1 });
});

test('whatever fails after the promise of room gives it back', async () => {
  const failed: ChunkTaskResult = { state: 'failed', detail: 'no', event: 3, cpuSeconds: 0.25, wallSeconds: 0.5 };
  const unmade = aMaker({}, () => failed);
  await expect(unmade.fulfil(anOrder('quick'))).rejects.toMatchObject({
    code: 'GENERATION_FAILED',
    details: { event: 3 },
  });
  expect(unmade.steps).toEqual(['reserve', 'make', 'release']);
  expect(unmade.counters).toMatchObject({ generated: 0, cpuSeconds: 0.25, wastedCpuSeconds: 0.25 });

  const put = () => Promise.reject(new EvokeError('STORE_UNAVAILABLE'));
  const chunks = {
    head: async () => undefined,
    get: async () => undefined,
    put,
    trailer: async () => undefined,
    recordDigest: async () => 'new' as const,
  };
  const unstored = aMaker({ chunks });
  await expect(unstored.fulfil(anOrder('quick'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(unstored.steps).toEqual(['reserve', 'make', 'release']);
});

test('without room nothing is made', async () => {
  const full = aMaker({ room: { reserve: () => Promise.reject(new EvokeError('STORE_UNAVAILABLE')) } });
  await expect(full.fulfil(anOrder('quick'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(full.steps).toEqual([]);
});

test('a book that cannot be reached spoils neither a chunk that is stored nor the reason why one is not', async () => {
  const away = () => Promise.reject(new EvokeError('QUEUE_UNAVAILABLE'));
  const room = { reserve: async () => ({ settle: away, release: away }) };
  expect(await aMaker({ room }).fulfil(anOrder('quick'))).toMatchObject({ generated: true });
  const crashed = aMaker({ room }, () => ({ state: 'crashed', detail: 'the reason', cpuSeconds: 0, wallSeconds: 0 }));
  await expect(crashed.fulfil(anOrder('quick'))).rejects.toThrow('the reason');
});

test('a cancelled task is told apart from a failed one', async () => {
  const { fulfil, steps } = aMaker({}, () => ({
    state: 'cancelled',
    detail: 'asked to stop',
    cpuSeconds: 0,
    wallSeconds: 0,
  }));
  await expect(fulfil(anOrder('quick'))).rejects.toBeInstanceOf(Cancelled);
  expect(steps).toEqual(['reserve', 'make', 'release']);
});

test('a chunk that comes back different is an error in the log, and counted', async () => {
  let salt = 0;
  const { maker, fulfil, chunks, counters, log } = aMaker({}, (task) => made(task, salt));
  const order = anOrder('quick');
  const again = async () => {
    await fulfil(order);
    await maker.settled();
    await chunks.delete(order.chunk);
  };
  await again();
  await again();
  expect(counters.digestsDiffering).toBe(0);
  salt = 1;
  await again();
  expect(counters.digestsDiffering).toBe(1);
  expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
});

test('a digest that cannot be recorded is only a warning', async () => {
  const chunks = {
    head: async () => undefined,
    get: async () => undefined,
    put: async () => true,
    trailer: async () => undefined,
    recordDigest: () => Promise.reject(new EvokeError('STORE_UNAVAILABLE')),
  };
  const { maker, fulfil, log } = aMaker({ chunks });
  expect(await fulfil(anOrder('quick'))).toMatchObject({ generated: true });
  await maker.settled();
  expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
});

test('an order whose key, chunk and derivation do not belong together is refused before anything is done', async () => {
  const order = anOrder('quick');
  const other = anOrder('quick');
  const { fulfil, steps } = aMaker();
  const wrong: ChunkJob[] = [
    { ...order, key: other.key },
    { ...order, derivation: other.derivation },
    { ...order, key: chunkKey(other.chunk), chunk: other.chunk },
  ];
  for (const job of wrong) await expect(fulfil(job)).rejects.toMatchObject({ code: 'INTERNAL' });
  expect(steps).toEqual([]);
});

test('an order for a generator that is not there, or not in this version, says so', async () => {
  const { fulfil } = aMaker();
  await expect(fulfil(anOrder('unheard_of'))).rejects.toMatchObject({ code: 'GENERATOR_NOT_REGISTERED' });
});

test('a task has a minute and twenty times its estimate on its thread, but never longer than a timer holds', async () => {
  const wallMs: number[] = [];
  const costing = (cpuSeconds: number) =>
    aMaker({
      registry: new GeneratorRegistry([{ ...quick, cost: () => ({ cpuSeconds, rawBytes: 12 }) }]),
      pool: {
        run: async (task, wallMsMax) => {
          wallMs.push(wallMsMax);
          return made(task);
        },
      },
    });
  const order = anOrder('quick');
  for (const cpuSeconds of [0, 1, 1e9]) await costing(cpuSeconds).maker.fulfil(order, 1, keepingLog());
  expect(wallMs).toEqual([60_000, 60_000 + 20_000 * order.chunk.range.end, 86_400_000]);
});
