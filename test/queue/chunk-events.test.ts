import { Queue, Worker } from 'bullmq';
import { expect, test } from 'vitest';
import { ChunkEvents } from '../../queue/chunk-events.ts';
import { patientOptions } from '../../queue/connection.ts';
import type { ChunkDone, ChunkJob } from '../../queue/job.ts';
import { keyPrefix, queueName } from '../../queue/names.ts';
import { Line, prefix } from '../fixtures/line.ts';
import { anOrder } from '../fixtures/orders.ts';
import { redisFor } from '../redis.ts';

/** A worker that makes everything at once, or throws `failure`. */
function aWorker(line: Line, failure?: Error): void {
  const worker = new Worker<ChunkJob, ChunkDone>(
    queueName,
    async ({ data }) => {
      if (failure !== undefined) throw failure;
      return { key: data.key, bytes: 1, cpuSeconds: 0, generated: true, workMs: 0 };
    },
    { connection: patientOptions(line.redis.url), prefix: keyPrefix(prefix), drainDelay: 1, runRetryDelay: 100 },
  );
  worker.on('error', () => undefined);
  line.onTestFinished(() => worker.close(true));
}

test.concurrent('every listener hears of every chunk, from the moment it is ready', async (context) => {
  const line = await Line.start(context);
  aWorker(line);
  for (let i = 0; i < 5; i++) {
    const events = new ChunkEvents({ url: line.redis.url, prefix });
    context.onTestFinished(() => events.close());
    await events.ready();
    const order = anOrder('quick');
    const here = new Promise((resolve) => events.once('done', resolve));
    const there = line.outcome(order.key);
    await line.queue.add(order, 'interactive');
    expect(await here).toMatchObject({ key: order.key, generated: true });
    expect(await there).toMatchObject({ key: order.key });
  }
});

test.concurrent('a failure in the words of the queue is told for its chunk', async (context) => {
  const line = await Line.start(context);
  aWorker(line, Object.assign(new Error('not in our words'), { name: 'UnrecoverableError' }));
  const order = anOrder('quick');
  expect(await line.order(order)).toMatchObject({
    key: order.key,
    code: 'GENERATION_FAILED',
    detail: expect.stringContaining('not in our words'),
  });
});

test.concurrent('a failure of a job that is forgotten already tells to look again', async (context) => {
  const line = await Line.start(context);
  const gone = new Promise((resolve) => line.events.once('gone', resolve));
  await line.redis.command(
    'XADD',
    `${keyPrefix(prefix)}:${queueName}:events`,
    '*',
    'event',
    'failed',
    'jobId',
    'x',
    'failedReason',
    'y',
  );
  expect(await gone).toEqual({ jobId: 'x' });
});

test.concurrent.for(['FLUSHALL', 'a restart', 'a freeze'])('after %s events are heard again', async (what, context) => {
  const line = await Line.start(context);
  aWorker(line);
  const before = anOrder('quick');
  expect(await line.order(before)).toMatchObject({ key: before.key });
  if (what === 'FLUSHALL') await line.redis.command('FLUSHALL');
  else if (what === 'a restart') {
    await line.redis.kill();
    await line.redis.restart();
  } else {
    line.redis.freeze();
    await context.expect.poll(() => line.queue.ping()).toBe(false);
    line.redis.thaw();
  }
  await context.expect.poll(() => line.queue.ping(), { interval: 20 }).toBe(true);
  // The listener's own connection may come back a little later than the queue's, and miss the first ones.
  const heard = new Promise((resolve) => line.events.once('done', resolve));
  const asking = setInterval(() => void line.queue.add(anOrder('quick'), 'interactive').catch(() => undefined), 50);
  const begun = performance.now();
  await heard;
  clearInterval(asking);
  expect(performance.now() - begun).toBeLessThan(5_000);
});

test.concurrent('a listener that is made while Redis is away listens when it comes, and closes while it is away', async (context) => {
  const redis = await redisFor(context);
  await redis.kill();
  const closed = new ChunkEvents({ url: redis.url, prefix });
  await closed.close();
  const events = new ChunkEvents({ url: redis.url, prefix });
  context.onTestFinished(() => events.close());
  await redis.restart();
  await events.ready();
  const queue = new Queue(queueName, { connection: patientOptions(redis.url), prefix: keyPrefix(prefix) });
  context.onTestFinished(() => queue.close());
  const gone = new Promise((resolve) => events.once('gone', resolve));
  const job = await queue.add('chunk', anOrder('quick'), { jobId: 'a-job' });
  await job.remove();
  expect(await gone).toEqual({ jobId: 'a-job' });
});
