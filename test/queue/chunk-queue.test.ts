import { type Job, Queue, Worker } from 'bullmq';
import { expect, test } from 'vitest';
import { ChunkQueue } from '../../queue/chunk-queue.ts';
import { patientOptions } from '../../queue/connection.ts';
import { type ChunkDone, type ChunkFailed, type ChunkJob, failedReason } from '../../queue/job.ts';
import { jobName, keyPrefix, queueName } from '../../queue/names.ts';
import { priorities } from '../../queue/priorities.ts';
import { Line, prefix } from '../fixtures/line.ts';
import { anOrder } from '../fixtures/orders.ts';
import { redisFor } from '../redis.ts';

/** BullMQ itself, to look behind the scenes. */
function behindTheScenes(line: Line): Queue<ChunkJob> {
  const queue = new Queue<ChunkJob>(queueName, {
    connection: patientOptions(line.redis.url),
    prefix: keyPrefix(prefix),
  });
  queue.on('error', () => undefined);
  line.onTestFinished(() => queue.close());
  return queue;
}

/** A worker that does what it is told, in the place of ours. */
function workerThat(line: Line, does: (job: Job<ChunkJob, ChunkDone>) => Promise<ChunkDone>): void {
  const worker = new Worker<ChunkJob, ChunkDone>(queueName, does, {
    connection: patientOptions(line.redis.url),
    prefix: keyPrefix(prefix),
    settings: { backoffStrategy: () => 10_000 },
  });
  worker.on('error', () => undefined);
  line.onTestFinished(() => worker.close(true));
}

const done = (job: ChunkJob): ChunkDone => ({ key: job.key, bytes: 5, cpuSeconds: 1, generated: true, workMs: 2 });

test.concurrent('an order is queued under an id of its own, which is no counter', async (context) => {
  const line = await Line.start(context);
  const order = anOrder('quick');
  const { jobId, joined } = await line.queue.add(order, 'interactive');
  expect(joined).toBe(false);
  expect(jobId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-/);
  expect(await line.queue.find(order.key)).toEqual({ jobId, state: 'queued' });
  expect(await line.queue.fate(jobId)).toEqual({ state: 'queued' });
  expect(await line.queue.states()).toEqual(new Map([[order.key, 'queued']]));
  expect(await line.queue.depth()).toEqual({ queued: 1, generating: 0 });
});

test.concurrent('a waiting order can be made more urgent, never less, and one that was begun stays as it is', async (context) => {
  const line = await Line.start(context);
  const [first, second, third] = [anOrder('quick'), anOrder('quick'), anOrder('quick')];
  for (const order of [first, second, third]) await line.queue.add(order, 'batch');
  expect(await line.queue.promote(third.key, 'granted')).toBe(true);
  expect(await line.queue.promote(third.key, 'interactive')).toBe(false);
  expect(await line.queue.promote(third.key, 'granted')).toBe(false);
  expect(await line.queue.promote(anOrder('quick').key, 'granted')).toBe(false);
  const begun: string[] = [];
  const hold = Promise.withResolvers<void>();
  workerThat(line, async (job) => {
    begun.push(job.data.key);
    if (begun.length === 1) await hold.promise;
    return done(job.data);
  });
  await expect.poll(() => begun).toEqual([third.key]);
  expect(await line.queue.promote(third.key, 'granted')).toBe(false);
  expect(await line.queue.promote(second.key, 'interactive')).toBe(true);
  // A batch that orders what somebody waits for does not make it less urgent.
  await line.queue.add(second, 'batch');
  hold.resolve();
  await expect.poll(() => begun).toEqual([third.key, second.key, first.key]);
});

test.concurrent('two hundred orders for one chunk over two queues are one job', async (context) => {
  const line = await Line.start(context);
  const other = new ChunkQueue({ url: line.redis.url, prefix });
  context.onTestFinished(() => other.close());
  const order = anOrder('quick');
  const added = await Promise.all(
    Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? line.queue : other).add(order, 'interactive')),
  );
  expect(new Set(added.map(({ jobId }) => jobId)).size).toBe(1);
  expect(added.filter(({ joined }) => !joined)).toHaveLength(1);
  expect(await line.queue.depth()).toEqual({ queued: 1, generating: 0 });
});

test.concurrent('services with other prefixes do not meet', async (context) => {
  const line = await Line.start(context);
  const other = new ChunkQueue({ url: line.redis.url, prefix: 'another' });
  context.onTestFinished(() => other.close());
  const order = anOrder('quick');
  await line.queue.add(order, 'interactive');
  expect(await other.find(order.key)).toBeUndefined();
  expect((await other.add(order, 'interactive')).joined).toBe(false);
});

test.concurrent('joining raises the priority of what waits, and never lowers it', async (context) => {
  const line = await Line.start(context);
  const behind = behindTheScenes(line);
  const [late, early] = [anOrder('quick'), anOrder('quick')];
  const add = (job: ChunkJob, priority: number) =>
    behind.add(jobName, job, { jobId: `id-of-${priority}`, priority, deduplication: { id: job.key } });
  await add(late, 500);
  await add(early, 2);
  expect(await line.queue.add(late, 'interactive')).toEqual({ jobId: 'id-of-500', joined: true });
  expect(await line.queue.add(early, 'interactive')).toEqual({ jobId: 'id-of-2', joined: true });
  expect((await behind.getJob('id-of-500'))?.priority).toBe(priorities.interactive);
  expect((await behind.getJob('id-of-2'))?.priority).toBe(2);
  expect((await behind.getPrioritized()).map((job) => job.id)).toEqual(['id-of-2', 'id-of-500']);
});

test.concurrent('what becomes of a job can be looked up: made, failed, or never heard of', async (context) => {
  const line = await Line.start(context);
  const [good, bad] = [anOrder('quick'), anOrder('failing')];
  const failed: ChunkFailed = { key: bad.key, code: 'GENERATION_FAILED', detail: 'no', attempts: 3, event: 4 };
  workerThat(line, async (job) => {
    if (job.data.key === good.key) return done(job.data);
    throw Object.assign(new Error(failedReason(failed)), { name: 'UnrecoverableError' });
  });
  const [{ jobId: goodId }, { jobId: badId }] = [
    await line.queue.add(good, 'interactive'),
    await line.queue.add(bad, 'interactive'),
  ];
  await context.expect.poll(() => line.queue.fate(goodId)).toEqual({ state: 'done', done: done(good) });
  await context.expect.poll(() => line.queue.fate(badId)).toEqual({ state: 'failed', failed });
  expect(await line.queue.fate('nobody')).toEqual({ state: 'lost' });
  expect(await line.queue.find(good.key)).toBeUndefined();
  expect(await line.queue.states()).toEqual(new Map());
  expect(await line.queue.failures()).toEqual(new Map([[bad.key, failed]]));
  // How they ended stays known: another process may not have looked yet.
  await line.queue.withdraw(badId);
  expect(await line.queue.fate(badId)).toEqual({ state: 'failed', failed });
  // The next one may try again.
  expect((await line.queue.add(bad, 'interactive')).joined).toBe(false);
});

test.concurrent('the latest failures are told first, and of one chunk the latest', async (context) => {
  const line = await Line.start(context);
  const [one, other] = [anOrder('failing'), anOrder('failing')];
  let tries = 0;
  workerThat(line, async ({ data: { key } }) => {
    const failed: ChunkFailed = { key, code: 'GENERATION_FAILED', detail: `try ${++tries}`, attempts: 1 };
    throw Object.assign(new Error(failedReason(failed)), { name: 'UnrecoverableError' });
  });
  for (const order of [one, other, one]) {
    const outcome = line.outcome(order.key);
    await line.queue.add(order, 'interactive');
    await outcome;
  }
  expect([...(await line.queue.failures())].map(([key, { detail }]) => [key, detail])).toEqual([
    [one.key, 'try 3'],
    [other.key, 'try 2'],
  ]);
});

test.concurrent('what a worker has begun is generating, is joined, and cannot be withdrawn', async (context) => {
  const line = await Line.start(context);
  const finish = Promise.withResolvers<void>();
  workerThat(line, async (job) => {
    await finish.promise;
    return done(job.data);
  });
  const order = anOrder('quick');
  const outcome = line.outcome(order.key);
  const { jobId } = await line.queue.add(order, 'interactive');
  await context.expect.poll(() => line.queue.fate(jobId)).toEqual({ state: 'generating' });
  expect(await line.queue.states()).toEqual(new Map([[order.key, 'generating']]));
  expect(await line.queue.add(order, 'interactive')).toEqual({ jobId, joined: true });
  await line.queue.withdraw(jobId);
  finish.resolve();
  expect(await outcome).toEqual(done(order));
});

test.concurrent('what is tried again keeps its place: it is queued, and joined', async (context) => {
  const line = await Line.start(context);
  let tried = false;
  workerThat(line, () => {
    tried = true;
    return Promise.reject(new Error('no luck'));
  });
  const order = anOrder('quick');
  const { jobId } = await line.queue.add(order, 'interactive');
  await context.expect.poll(() => tried).toBe(true);
  await context.expect.poll(() => line.queue.fate(jobId)).toEqual({ state: 'queued' });
  expect(await line.queue.add(order, 'interactive')).toEqual({ jobId, joined: true });
  expect(await line.queue.states()).toEqual(new Map([[order.key, 'queued']]));
});

test.concurrent('a withdrawn order is gone, whoever waits for it is told, and it can be ordered again', async (context) => {
  const line = await Line.start(context);
  const order = anOrder('quick');
  const { jobId } = await line.queue.add(order, 'interactive');
  const gone = new Promise((resolve) => line.events.once('gone', resolve));
  await line.queue.withdraw(jobId);
  expect(await gone).toEqual({ jobId });
  expect(await line.queue.fate(jobId)).toEqual({ state: 'lost' });
  expect((await line.queue.add(order, 'interactive')).joined).toBe(false);
  // Nothing to take back is no error.
  await line.queue.withdraw(jobId);
});

test.concurrent('FLUSHALL loses orders, and nothing else: the next one is taken', async (context) => {
  const line = await Line.start(context);
  const order = anOrder('quick');
  const { jobId } = await line.queue.add(order, 'interactive');
  await line.redis.command('FLUSHALL');
  expect(await line.queue.fate(jobId)).toEqual({ state: 'lost' });
  const again = await line.queue.add(order, 'interactive');
  expect(again.joined).toBe(false);
  expect(again.jobId).not.toBe(jobId);
});

test.concurrent.for(['frozen', 'stopped'])(
  'with Redis %s every method is refused in time, and all is well afterwards',
  async (how, context) => {
    const line = await Line.start(context);
    const order = anOrder('quick');
    const { jobId } = await line.queue.add(order, 'interactive');
    if (how === 'frozen') line.redis.freeze();
    else await line.redis.kill();
    const begun = performance.now();
    const methods = [
      () => line.queue.add(anOrder('quick'), 'interactive'),
      () => line.queue.add(order, 'interactive'),
      () => line.queue.withdraw(jobId),
      () => line.queue.find(order.key),
      () => line.queue.fate(jobId),
      () => line.queue.states(),
      () => line.queue.failures(),
      () => line.queue.depth(),
    ];
    await Promise.all(methods.map((method) => expect(method()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })));
    expect(await line.queue.ping()).toBe(false);
    expect(performance.now() - begun).toBeLessThan(5_000);
    if (how === 'frozen') line.redis.thaw();
    else await line.redis.restart();
    await context.expect.poll(() => line.queue.ping(), { interval: 20 }).toBe(true);
    const late = anOrder('quick');
    const { jobId: lateId } = await line.queue.add(late, 'interactive');
    expect(await line.queue.find(late.key)).toEqual({ jobId: lateId, state: 'queued' });
  },
);

test.concurrent('a queue that is made while Redis is away works when it comes', async (context) => {
  const redis = await redisFor(context);
  await redis.kill();
  const queue = new ChunkQueue({ url: redis.url, prefix });
  context.onTestFinished(() => queue.close());
  await expect(queue.add(anOrder('quick'), 'interactive')).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  await redis.restart();
  await context.expect.poll(() => queue.ping(), { interval: 20 }).toBe(true);
  expect((await queue.add(anOrder('quick'), 'interactive')).joined).toBe(false);
});
