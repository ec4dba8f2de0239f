// Real Redis, real threads: what a worker makes of orders, of failures, and of a Redis that comes and goes.
import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { verifyChunk } from '../../formats/chunk-file.ts';
import { ChunkQueue } from '../../queue/chunk-queue.ts';
import type { ChunkDone } from '../../queue/job.ts';
import { keyPrefix, queueName } from '../../queue/names.ts';
import type { Chunks } from '../../store/chunks.ts';
import { silentStartsMax } from '../../workers/retries.ts';
import { keepingLog, Line, prefix } from '../fixtures/line.ts';
import { anOrder } from '../fixtures/orders.ts';

/** The line's chunks, with something in front of every put. */
function chunksWith(
  line: Line,
  before: () => Promise<void> | void,
): Pick<Chunks, 'head' | 'get' | 'put' | 'trailer' | 'recordDigest'> {
  const { chunks } = line;
  return {
    head: (chunk) => chunks.head(chunk),
    get: (chunk) => chunks.get(chunk),
    put: async (chunk, parts, options) => {
      await before();
      return chunks.put(chunk, parts, options);
    },
    trailer: (chunk) => chunks.trailer(chunk),
    recordDigest: (chunk, made) => chunks.recordDigest(chunk, made),
  };
}

test.concurrent('an ordered chunk is in the store, whole, when its being done is told', async (context) => {
  const line = await Line.start(context);
  await line.worker();
  const order = anOrder('quick', { batches: 3 });
  const done = (await line.order(order)) as ChunkDone;
  expect(done).toMatchObject({ key: order.key, generated: true });
  const stored = await line.chunks.get(order.chunk);
  expect(stored?.length).toBe(done.bytes);
  await verifyChunk(order.key, stored ?? Buffer.alloc(0));
  // Asked for again, it is found and not made again.
  expect(await line.order(order)).toMatchObject({ generated: false, cpuSeconds: 0, bytes: done.bytes });
});

test.concurrent('two hundred orders of one chunk over two queues make one generation', async (context) => {
  const line = await Line.start(context);
  const { worker } = await line.worker({ threads: 2 });
  const other = new ChunkQueue({ url: line.redis.url, prefix });
  context.onTestFinished(() => other.close());
  const order = anOrder('slow', { parameters: { batchMs: 300 } });
  const outcome = line.outcome(order.key);
  await Promise.all(Array.from({ length: 200 }, (_, i) => (i % 2 ? line.queue : other).add(order, 'interactive')));
  expect(await outcome).toMatchObject({ generated: true });
  expect(worker.counters).toMatchObject({ generated: 1, found: 0 });
});

test.concurrent('an event that cannot be made fails the chunk at once, with its number', async (context) => {
  const line = await Line.start(context);
  const { worker } = await line.worker();
  const order = anOrder('failing', { parameters: { event: 6 }, batches: 2 });
  expect(await line.order(order)).toEqual({
    key: order.key,
    code: 'GENERATION_FAILED',
    detail: 'Event 6 cannot be made.',
    attempts: 1,
    event: 6,
  });
  expect(worker.counters).toMatchObject({ retried: 0, failed: 1 });
  expect(await line.queue.failures()).toHaveProperty('size', 1);
});

test.concurrent('a store that fails twice is tried a third time', async (context) => {
  const line = await Line.start(context);
  let failures = 2;
  const chunks = chunksWith(line, () => {
    if (failures-- > 0) throw new EvokeError('STORE_UNAVAILABLE', { detail: 'no space' });
  });
  const { worker } = await line.worker({ chunks, attempts: 3 });
  expect(await line.order(anOrder('quick'))).toMatchObject({ generated: true });
  expect(worker.counters).toMatchObject({ retried: 2, failed: 0, generated: 1 });
});

test.concurrent('a store that goes on failing fails the chunk after so many attempts, in its own words', async (context) => {
  const line = await Line.start(context);
  const chunks = chunksWith(line, () => Promise.reject(new EvokeError('STORE_UNAVAILABLE', { detail: 'no space' })));
  await line.worker({ chunks, attempts: 2 });
  expect(await line.order(anOrder('quick'))).toMatchObject({
    code: 'STORE_UNAVAILABLE',
    detail: 'no space',
    attempts: 2,
  });
});

test.concurrent('a chunk that was started too often without a word is given up, and not started again', async (context) => {
  const line = await Line.start(context);
  const order = anOrder('quick');
  const { jobId } = await line.queue.add(order, 'interactive');
  // As if that many workers had begun it and died.
  await line.redis.command('HSET', `${keyPrefix(prefix)}:${queueName}:${jobId}`, 'ats', String(silentStartsMax));
  const outcome = line.outcome(order.key);
  const { worker } = await line.worker();
  expect(await outcome).toMatchObject({
    code: 'GENERATION_FAILED',
    detail: expect.stringContaining(`killed ${silentStartsMax} workers`),
  });
  expect(worker.counters.generated).toBe(0);
});

test.concurrent('interactive orders overtake what is less urgent', async (context) => {
  const line = await Line.start(context);
  const { Queue } = await import('bullmq');
  const { patientOptions } = await import('../../queue/connection.ts');
  const behind = new Queue(queueName, { connection: patientOptions(line.redis.url), prefix: keyPrefix(prefix) });
  context.onTestFinished(() => behind.close());
  const told: string[] = [];
  line.events.on('done', ({ key }) => told.push(key));
  const patient = [anOrder('quick'), anOrder('quick'), anOrder('quick')];
  for (const order of patient) await behind.add('chunk', order, { priority: 1000 });
  const urgent = anOrder('quick');
  await line.queue.add(urgent, 'interactive');
  await line.worker();
  await context.expect.poll(() => told.length).toBe(4);
  expect(told[0]).toBe(urgent.key);
});

test.concurrent.for(['stopped', 'frozen'])(
  'a worker whose Redis is %s for a while goes on by itself when it is back',
  async (how, context) => {
    const line = await Line.start(context);
    await line.worker();
    expect(await line.order(anOrder('quick'))).toMatchObject({ generated: true });
    if (how === 'stopped') await line.redis.kill();
    else line.redis.freeze();
    await context.expect.poll(() => line.queue.ping()).toBe(false);
    // Longer than a lock holds.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    if (how === 'stopped') await line.redis.restart();
    else line.redis.thaw();
    await context.expect.poll(() => line.queue.ping(), { interval: 20 }).toBe(true);
    const begun = performance.now();
    const order = anOrder('quick');
    await line.queue.add(order, 'interactive');
    await context.expect.poll(() => line.chunks.head(order.chunk), { interval: 20 }).toBeDefined();
    expect(performance.now() - begun).toBeLessThan(10_000);
  },
);

test.concurrent('a job that ends while Redis is away is done when it is back', async (context) => {
  const line = await Line.start(context);
  const { worker } = await line.worker();
  const order = anOrder('slow', { parameters: { batchMs: 400 } });
  await line.queue.add(order, 'interactive');
  await context.expect.poll(() => worker.busy, { interval: 5 }).toBe(1);
  line.redis.freeze();
  await context.expect.poll(() => worker.counters.generated).toBe(1);
  const outcome = line.outcome(order.key);
  line.redis.thaw();
  expect(await outcome).toMatchObject({ key: order.key });
});

// The following keep every core busy: alone, so that they do not disturb others' times.

test('a thread that runs out of memory is tried again elsewhere, then the chunk fails, and the pool is still good', async (context) => {
  const line = await Line.start(context);
  const { worker } = await line.worker({ attempts: 2 });
  expect(await line.order(anOrder('greedy'))).toMatchObject({
    code: 'GENERATION_FAILED',
    attempts: 2,
    detail: expect.stringMatching(/memory/i),
  });
  expect(await line.order(anOrder('quick'))).toMatchObject({ generated: true });
  expect(worker.counters).toMatchObject({ retried: 1, failed: 1, generated: 1 });
});

test('FLUSHALL again and again under load: whoever asks again gets every chunk', async (context) => {
  const line = await Line.start(context);
  const log = keepingLog();
  await line.worker({ threads: 2, log });
  const orders = Array.from({ length: 30 }, () => anOrder('slow', { parameters: { batchMs: 10 }, batches: 4 }));
  let flushing = true;
  const flushes = (async () => {
    for (; flushing; await new Promise((resolve) => setTimeout(resolve, 100))) await line.redis.command('FLUSHALL');
  })();
  // What a flight does: the store decides, the queue is asked again.
  await Promise.all(
    orders.map(async (order) => {
      while ((await line.chunks.head(order.chunk)) === undefined) {
        await line.queue.add(order, 'interactive');
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }),
  );
  flushing = false;
  await flushes;
  for (const order of orders) await verifyChunk(order.key, (await line.chunks.get(order.chunk)) ?? Buffer.alloc(0));
  // And without a flush events work again.
  expect(await line.order(anOrder('quick'))).toMatchObject({ generated: true });
});

test('busy threads lose no job: no lock runs out while every core computes', async (context) => {
  const line = await Line.start(context);
  const workers = await Promise.all([line.worker({ threads: 2 }), line.worker({ threads: 2 })]);
  const orders = Array.from({ length: 6 }, () => anOrder('busy', { parameters: { batchMs: 200 }, batches: 4 }));
  const outcomes = orders.map((order) => line.outcome(order.key));
  for (const order of orders) await line.queue.add(order, 'interactive');
  for (const outcome of outcomes) expect(await outcome).toMatchObject({ generated: true });
  for (const { worker } of workers) expect(worker.counters).toMatchObject({ stalled: 0, failed: 0, retried: 0 });
});
