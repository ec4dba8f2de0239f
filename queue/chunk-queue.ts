// The asking side of the queue: orders chunks, finds what is ordered, takes back what nobody waits for.
// Every method answers within about a second, or throws QUEUE_UNAVAILABLE; none of them carries event bytes.
import { randomUUID } from 'node:crypto';
import { type Job, type JobType, Queue } from 'bullmq';
import type { Log } from '../core/log.ts';
import { endsWithin, goodbyeMsMax, RedisCalls } from './connection.ts';
import type { ChunkDone, ChunkFailed, ChunkJob } from './job.ts';
import { failureOf, isKey, parseChunkDone } from './job.ts';
import { jobName, keyPrefix, queueName } from './names.ts';
import { type Priority, priorities } from './priorities.ts';

/** How long a finished job can be looked up: longer than anybody needs who missed the event. */
const finishedKeptSeconds = 60;
/** A bound for the finished ones in Redis: a thousand small chunks a second for those sixty seconds would be too many. */
const finishedKeptCount = 10_000;
/** The worker decides when a chunk has been tried often enough (setting ATTEMPTS); the queue must only not stop before. */
const attemptsAllowed = 1_000;
/** Jobs of a kind that are looked at to show their states: what lies beyond is shown as virtual. */
const shownMax = 2_000;

export type WorkState = 'queued' | 'generating';

/** What the queue knows of one job: `lost` when it never heard of it, or no longer. */
export type JobFate =
  | { readonly state: WorkState }
  /** `done` where it is told as one of ours. */
  | { readonly state: 'done'; readonly done: ChunkDone | undefined }
  | { readonly state: 'failed'; readonly failed: ChunkFailed }
  | { readonly state: 'lost' };

export class ChunkQueue {
  readonly #calls: RedisCalls;
  readonly #queue: Queue<ChunkJob, ChunkDone, typeof jobName>;

  constructor(options: { url: string; prefix: string; log?: Log }) {
    this.#calls = new RedisCalls(options.url, options);
    this.#queue = new Queue(queueName, {
      connection: this.#calls.redis,
      prefix: keyPrefix(options.prefix),
      // Otherwise a Redis that is away at the start would make every later call fail, or hang.
      skipWaitingForReady: true,
      skipVersionCheck: true,
      defaultJobOptions: {
        attempts: attemptsAllowed,
        // Computed by the worker (workers/retries.ts).
        backoff: { type: 'custom' },
        removeOnComplete: { age: finishedKeptSeconds, count: finishedKeptCount },
        removeOnFail: { age: finishedKeptSeconds, count: finishedKeptCount },
      },
    });
    // The connection's own errors are told by connectRedis, the calls' own by the calls.
    this.#queue.on('error', () => undefined);
  }

  /**
   * Orders a chunk, or joins the order that stands for the same key and raises its priority where ours is more urgent.
   * @throws EvokeError QUEUE_UNAVAILABLE within callMsMax; the order may then still have reached Redis, which is harmless.
   */
  async add(job: ChunkJob, priority: Priority): Promise<{ jobId: string; joined: boolean }> {
    // Never BullMQ's own counter: after a FLUSHALL it begins again, and a waiter would get another job's outcome.
    const ours = randomUUID();
    const urgency = priorities[priority];
    return this.#calls.call(async () => {
      const added = await this.#queue.add(jobName, job, {
        jobId: ours,
        priority: urgency,
        deduplication: { id: job.key },
      });
      const jobId = idOf(added);
      if (jobId === ours) return { jobId, joined: false };
      await this.#raise(jobId, urgency);
      return { jobId, joined: true };
    });
  }

  /** Makes a waiting order more urgent. Returns whether one waited that was less so. @throws EvokeError QUEUE_UNAVAILABLE */
  async promote(key: string, priority: Priority): Promise<boolean> {
    return this.#calls.call(async () => {
      const jobId = await this.#queue.getDeduplicationJobId(key);
      if (jobId === null || (await this.#fate(jobId)).state !== 'queued') return false;
      return this.#raise(jobId, priorities[priority]);
    });
  }

  /** Takes an order back unless a worker has begun it; how one ended stays known to those who look. */
  async withdraw(jobId: string): Promise<void> {
    await this.#calls.call(async () => {
      if ((await this.#fate(jobId)).state !== 'queued') return;
      // Between the look and the removal a worker may have begun: then BullMQ removes nothing, and so be it.
      await this.#queue.remove(jobId);
    });
  }

  /** The order that stands for a chunk. */
  async find(key: string): Promise<{ jobId: string; state: WorkState } | undefined> {
    return this.#calls.call(async () => {
      const jobId = await this.#queue.getDeduplicationJobId(key);
      if (jobId === null) return undefined;
      const fate = await this.#fate(jobId);
      return fate.state === 'queued' || fate.state === 'generating' ? { jobId, state: fate.state } : undefined;
    });
  }

  /** What became of a job: for whoever missed the event. */
  async fate(jobId: string): Promise<JobFate> {
    return this.#calls.call(() => this.#fate(jobId));
  }

  /** The chunks under way by key: those being made, and the first few thousand of those waiting. */
  async states(): Promise<Map<string, WorkState>> {
    return this.#calls.call(async () => {
      const states = new Map<string, WorkState>();
      for (const job of await this.#jobs('first', 'waiting', 'prioritized', 'delayed'))
        states.set(job.data.key, 'queued');
      for (const job of await this.#jobs('first', 'active')) states.set(job.data.key, 'generating');
      return states;
    });
  }

  /** Chunks that failed for good in the last minute, by key, the latest first. */
  async failures(): Promise<Map<string, ChunkFailed>> {
    return this.#calls.call(async () => {
      const since = Date.now() - finishedKeptSeconds * 1000;
      const failures = new Map<string, ChunkFailed>();
      for (const job of await this.#jobs('latest', 'failed')) {
        const { key } = job.data;
        // BullMQ forgets old ones only when the next one ends.
        if ((job.finishedOn ?? 0) < since || failures.has(key)) continue;
        failures.set(key, failureOf(key, job.failedReason));
      }
      return failures;
    });
  }

  async depth(): Promise<{ queued: number; generating: number }> {
    return this.#calls.call(async () => {
      const counts = await this.#queue.getJobCounts('waiting', 'prioritized', 'delayed', 'active');
      const { waiting = 0, prioritized = 0, delayed = 0, active = 0 } = counts;
      return { queued: waiting + prioritized + delayed, generating: active };
    });
  }

  /** Whether the queue can be used now. */
  async ping(): Promise<boolean> {
    return this.#calls.ping();
  }

  async close(): Promise<void> {
    await endsWithin(goodbyeMsMax, this.#queue.close());
    this.#calls.close();
  }

  /** The first in line or the latest of these kinds, each kind bounded; not `getJobs`, which fetches every job twice. */
  async #jobs(which: 'first' | 'latest', ...types: JobType[]): Promise<Job<ChunkJob, ChunkDone>[]> {
    const ids = await this.#queue.getRanges(types, 0, shownMax - 1, which === 'first');
    const jobs = await Promise.all(ids.map((id) => this.#job(id)));
    return jobs.filter((job) => job !== undefined && isKey(job.data?.key)) as Job<ChunkJob, ChunkDone>[];
  }

  /** Undefined also for what does not read as a job: others may write to this Redis. */
  #job(jobId: string): Promise<Job<ChunkJob, ChunkDone> | undefined> {
    return this.#queue.getJob(jobId).catch((error: unknown) => {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    });
  }

  async #fate(jobId: string): Promise<JobFate> {
    const job = await this.#job(jobId);
    if (job === undefined) return { state: 'lost' };
    switch (await job.getState()) {
      case 'active':
        return { state: 'generating' };
      case 'completed':
        return { state: 'done', done: parseChunkDone(job.returnvalue) };
      case 'failed':
        return { state: 'failed', failed: failureOf(String(job.data?.key), job.failedReason) };
      case 'unknown':
        return { state: 'lost' };
      default:
        return { state: 'queued' };
    }
  }

  /** `add` answers with our own priority, whatever is stored: so it is read, and changed where ours is more urgent. */
  async #raise(jobId: string, urgency: number): Promise<boolean> {
    const job = await this.#job(jobId);
    if (job === undefined || job.priority <= urgency) return false;
    // The job may just have ended.
    return job.changePriority({ priority: urgency }).then(
      () => true,
      () => false,
    );
  }
}

function idOf(job: Job<ChunkJob, ChunkDone, typeof jobName>): string {
  if (job.id === undefined) throw new TypeError('A job that was added has an id.');
  return job.id;
}
