// Stopping: what can be finished is, the rest goes back into the queue as it was, and nothing is left behind.
import { expect, test } from 'vitest';
import { Line } from '../fixtures/line.ts';
import { anOrder } from '../fixtures/orders.ts';

test.concurrent('a stopping worker finishes what it can in time, and takes nothing new', async (context) => {
  const line = await Line.start(context);
  const { worker, stop } = await line.worker();
  const begun = anOrder('slow', { parameters: { batchMs: 300 } });
  const outcome = line.outcome(begun.key);
  await line.queue.add(begun, 'interactive');
  await context.expect.poll(() => worker.busy, { interval: 5 }).toBe(1);
  const stopped = stop(5_000);
  const late = anOrder('quick');
  await line.queue.add(late, 'interactive');
  await stopped;
  expect(await outcome).toMatchObject({ generated: true });
  expect(worker.counters).toMatchObject({ generated: 1 });
  expect(await line.queue.find(late.key)).toMatchObject({ state: 'queued' });
  // The digest is written down before the worker is gone.
  expect(await line.chunks.recordedDigests(begun.chunk)).toHaveLength(1);
});

test.concurrent('what cannot be finished in time goes back, is not counted as a failure, and the next worker makes it', async (context) => {
  const line = await Line.start(context);
  const first = await line.worker({ attempts: 1 });
  const order = anOrder('slow', { parameters: { batchMs: 20 }, batches: 100 });
  const outcome = line.outcome(order.key);
  const { jobId } = await line.queue.add(order, 'interactive');
  await context.expect.poll(() => first.worker.busy, { interval: 5 }).toBe(1);
  const stopping = performance.now();
  await first.stop(50);
  expect(performance.now() - stopping).toBeLessThan(10_000);
  expect(first.worker.counters).toMatchObject({ putBack: 1, generated: 0, failed: 0 });
  expect(await line.queue.fate(jobId)).toEqual({ state: 'queued' });
  const next = await line.worker({ attempts: 1 });
  expect(await outcome).toMatchObject({ generated: true });
  // No lock had to run out for it.
  expect(next.worker.counters).toMatchObject({ generated: 1, stalled: 0 });
});

test.concurrent('a waiting peer takes over what a stopping worker puts back', async (context) => {
  const line = await Line.start(context);
  const first = await line.worker();
  const order = anOrder('slow', { parameters: { batchMs: 20 }, batches: 100 });
  const outcome = line.outcome(order.key);
  await line.queue.add(order, 'interactive');
  await context.expect.poll(() => first.worker.busy, { interval: 5 }).toBe(1);
  const peer = await line.worker();
  await first.stop(0);
  expect(await outcome).toMatchObject({ generated: true });
  expect(peer.worker.counters.generated).toBe(1);
});

test.concurrent('a generator that does not look up is ended by force, and its chunk goes back as well', async (context) => {
  const line = await Line.start(context);
  const { worker, stop } = await line.worker();
  await line.order(anOrder('quick'));
  const order = anOrder('slow', { parameters: { batchMs: 20_000 } });
  const { jobId } = await line.queue.add(order, 'interactive');
  await context.expect.poll(() => worker.busy).toBe(1);
  // The thread is warm and about to fall asleep; nothing tells when it has.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const begun = performance.now();
  await stop(0);
  expect(performance.now() - begun).toBeLessThan(15_000);
  expect(worker.counters).toMatchObject({ putBack: 1, failed: 0, retried: 0 });
  expect(await line.queue.fate(jobId)).toEqual({ state: 'queued' });
});

test.concurrent.for(['stopped', 'frozen'])('a worker stops in bounded time with Redis %s', async (how, context) => {
  const line = await Line.start(context);
  const { worker, stop } = await line.worker();
  await line.queue.add(anOrder('slow', { parameters: { batchMs: 100 }, batches: 100 }), 'interactive');
  await context.expect.poll(() => worker.busy, { interval: 5 }).toBe(1);
  if (how === 'stopped') await line.redis.kill();
  else line.redis.freeze();
  const begun = performance.now();
  await stop(100);
  expect(performance.now() - begun).toBeLessThan(12_000);
});
