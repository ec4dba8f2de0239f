import { createHash } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { verifyChunk } from '../../formats/chunk-file.ts';
import { ThreadPool } from '../../workers/pool.ts';
import type { ChunkTaskResult } from '../../workers/task.ts';
import { fixtureGeneratorsUrl } from '../fixtures/generators.ts';
import { anOrder } from '../fixtures/orders.ts';

const patient = 60_000;

function aPool(threads = 1, generators = fixtureGeneratorsUrl): ThreadPool {
  const pool = new ThreadPool({ threads, queueMax: 8, generators });
  onTestFinished(() => pool.close());
  return pool;
}

function run(pool: ThreadPool, order = anOrder('quick'), wallMsMax = patient): Promise<ChunkTaskResult> {
  const origin = { code: '1', worker: { host: 'here', pid: 1, id: 'w' }, attempt: 1, requestId: order.requestId };
  return pool.run({ derivation: order.derivation, chunk: order.chunk, origin }, wallMsMax);
}

test('a thread makes a whole chunk, and gives its digest and CPU with it', async () => {
  const order = anOrder('quick', { batches: 3 });
  const made = await run(aPool(), order);
  if (made.state !== 'made') throw new Error(made.detail);
  const [stream, trailer] = made.sealed;
  // Moved, not copied: the memory is its own, and whole.
  expect(stream.buffer.byteLength).toBe(stream.byteLength);
  expect(made.digest).toBe(createHash('sha256').update(stream).digest('hex'));
  const provenance = await verifyChunk(order.key, Buffer.concat([stream, trailer]));
  expect(provenance).toMatchObject({ digest: made.digest, lastEvent: 12, attempt: 1, requestId: 'a-request' });
  expect(made.cpuSeconds).toBeGreaterThan(0);
  expect(made.wallSeconds).toBeGreaterThan(0);
  // What the ledger is told is what the trailer says.
  const { cpuSeconds, wallSeconds, generatedAt } = made;
  expect(provenance).toMatchObject({ cpuSeconds, wallSeconds, generatedAt });
});

test('of a task that is ended by force, the CPU is known up to its last whole record batch', async () => {
  const pool = aPool();
  await run(pool);
  const ended = await run(pool, anOrder('busy', { parameters: { batchMs: 5 }, batches: 2_000 }), 2_500);
  expect(ended).toMatchObject({ state: 'crashed' });
  expect(ended.cpuSeconds).toBeGreaterThanOrEqual(0.005);
  expect(ended.cpuSeconds).toBeLessThanOrEqual(ended.wallSeconds);
});

test('the CPU of tasks under way is known while they run, batch by batch', async () => {
  const pool = aPool(1);
  expect(pool.cpuSecondsUnderway).toBe(0);
  const running = run(pool, anOrder('busy', { parameters: { batchMs: 20 }, batches: 1000 }));
  await expect.poll(() => pool.cpuSecondsUnderway).toBeGreaterThan(0.06);
  pool.cancelAll();
  await running;
  expect(pool.cpuSecondsUnderway).toBe(0);
});

test('the CPU is what the thread used, not the time that passed', async () => {
  const pool = aPool();
  await run(pool);
  const slept = await run(pool, anOrder('slow', { parameters: { batchMs: 300 } }));
  const toiled = await run(pool, anOrder('busy', { parameters: { batchMs: 300 } }));
  expect(slept.cpuSeconds).toBeLessThan(0.15);
  expect(toiled.cpuSeconds).toBeGreaterThan(0.29);
  expect(toiled.cpuSeconds).toBeLessThan(0.5);
});

test('the same chunk is the same on every thread and at every time', async () => {
  const pool = aPool(2);
  const order = anOrder('quick', { batches: 5 });
  const made = await Promise.all(Array.from({ length: 6 }, () => run(pool, order)));
  expect(new Set(made.map((result) => result.state === 'made' && result.digest)).size).toBe(1);
});

test('tasks that are asked to stop end at their next record batch, and the threads live on', async () => {
  const pool = aPool(1);
  const order = anOrder('slow', { parameters: { batchMs: 30 }, batches: 1000 });
  // The second one waits for the thread: it is not even begun.
  const [running, waiting] = [run(pool, order), run(pool, order)];
  expect(pool.busy).toBe(2);
  pool.cancelAll();
  expect(await running).toMatchObject({ state: 'cancelled' });
  expect(await waiting).toMatchObject({ state: 'cancelled' });
  expect(await run(pool)).toMatchObject({ state: 'made' });
});

test('an event that cannot be made, or is not finite, is told with its number', async () => {
  const pool = aPool();
  expect(await run(pool, anOrder('failing', { parameters: { event: 6 }, batches: 2 }))).toMatchObject({
    state: 'failed',
    event: 6,
    detail: expect.stringContaining('6'),
  });
  expect(await run(pool, anOrder('not_finite', { parameters: { event: 3 } }))).toMatchObject({
    state: 'failed',
    event: 3,
  });
});

test('a mistake of the generator is told as what it is, and the next chunk gets a new start', async () => {
  const pool = aPool();
  expect(await run(pool, anOrder('mistaken'))).toMatchObject({
    state: 'crashed',
    detail: 'a mistake in the generator',
  });
  expect(await run(pool)).toMatchObject({ state: 'made' });
});

test.each(['exiting', 'greedy'])('a thread that dies (%s) takes only its own task along', async (generator) => {
  const pool = aPool(2);
  const bystander = run(pool, anOrder('slow', { parameters: { batchMs: 100 }, batches: 3 }));
  expect(await run(pool, anOrder(generator))).toMatchObject({ state: 'crashed' });
  expect(await bystander).toMatchObject({ state: 'made' });
  expect(await Promise.all([run(pool), run(pool)])).toMatchObject([{ state: 'made' }, { state: 'made' }]);
});

test('a task that takes far too long is ended by force, and the thread is replaced', async () => {
  const pool = aPool();
  await run(pool);
  const ended = await run(pool, anOrder('slow', { parameters: { batchMs: 60_000 } }), 200);
  expect(ended).toMatchObject({ state: 'crashed', detail: expect.stringContaining('longer than') });
  expect(ended.wallSeconds).toBeGreaterThan(0.19);
  expect(ended.wallSeconds).toBeLessThan(5);
  expect(pool.busy).toBe(0);
  expect(await run(pool)).toMatchObject({ state: 'made' });
});

test('generators that do not load fail the tasks, not the process', async () => {
  const pool = aPool(1, new URL('nothing-here.ts', import.meta.url).href);
  for (let i = 0; i < 2; i++) {
    expect(await run(pool)).toMatchObject({ state: 'crashed', detail: expect.stringContaining('nothing-here.ts') });
  }
});

test('more than the threads and the queue hold is refused', async () => {
  const pool = new ThreadPool({ threads: 1, queueMax: 1, generators: fixtureGeneratorsUrl });
  onTestFinished(() => pool.close());
  await run(pool);
  const order = anOrder('slow', { parameters: { batchMs: 50 } });
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => run(pool, order)));
  expect(outcomes.map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    ...Array.from({ length: 8 }, () => 'rejected'),
  ]);
});

test('the time a task waits for a thread is not held against it', async () => {
  const pool = aPool();
  await run(pool);
  const long = run(pool, anOrder('slow', { parameters: { batchMs: 1_200 } }));
  // Far longer than it takes, and shorter than it waits.
  const next = run(pool, anOrder('quick'), 800);
  expect(await next).toMatchObject({ state: 'made' });
  expect(await long).toMatchObject({ state: 'made' });
});

test('a pool that is closed ends those who wait for a thread too', async () => {
  const pool = aPool();
  await run(pool);
  const order = anOrder('slow', { parameters: { batchMs: 60_000 } });
  const outcomes = Promise.all([run(pool, order), run(pool, order), run(pool, order)]);
  await pool.close();
  expect((await outcomes).map(({ state }) => state)).toEqual(['cancelled', 'cancelled', 'cancelled']);
  expect(pool.busy).toBe(0);
});
