// The working side of the queue: takes orders for chunks as long as threads are free, has them fulfilled, and answers.
// What cannot be made is told here, once, in the words of queue/job.ts: tried again, failed for good, or put back.
import { DelayedError, type Job, UnrecoverableError, Worker } from 'bullmq';
import { EvokeError } from '../core/errors.ts';
import { type Log, Sparing } from '../core/log.ts';
import { endsWithin, goodbyeMsMax, ignoreLateErrors, patientOptions } from '../queue/connection.ts';
import { type ChunkDone, type ChunkJob, failedReason, isChunkJob } from '../queue/job.ts';
import { keyPrefix, queueName } from '../queue/names.ts';
import { Cancelled, ChunkMaker, type ChunkMakerParts } from './chunk-maker.ts';
import { WorkerCounters } from './counters.ts';
import { ThreadPool } from './pool.ts';
import { failureIn, pauseBeforeRetryMs, silentStartsMax } from './retries.ts';

/**
 * A killed worker's job is taken up by another when its lock has run out and two checks have seen it so: with these, half
 * of the kills are made good within 1.8 s and all within 2.4 s, and threads that keep every core busy never let a lock
 * run out by mistake. Shorter gains half a second, and leaves a pause of the main thread little room.
 */
const lockMs = 1_500;
const lockRenewMs = 500;
const stalledCheckMs = 500;
/** Jobs are given up by our own count of starts (retries.ts), which can say why; the queue's must not come first. */
const stalledCountMax = 1_000;
/** An idle worker looks by itself so often; otherwise a marker wakes it. */
const idleLookSeconds = 2;
/** BullMQ waits 15 s before it tries again what Redis refused. */
const redisRetryMs = 500;
/** A connection on which nothing comes back for so long, although something should, is given up. More than an idle look. */
const silenceMsMax = 10_000;
/** Without its Redis a worker meets an error several times a second: one line in so long is enough. */
const errorLineMs = 5_000;
/** How long a record batch under way, and giving its job back, may take when the worker stops. */
const cancelMsMax = 3_000;

export interface WorkerParts extends Omit<ChunkMakerParts, 'pool' | 'counters'> {
  readonly redisUrl: string;
  readonly redisPrefix: string;
  readonly threads: number;
  /** Tries of a chunk before it counts as failed. */
  readonly attempts: number;
  /** URL of the module whose `builtInGenerators` is the registry: the threads load it for themselves. */
  readonly generators: string;
  /** Where the worker counts, together with what else of its process counts there. */
  readonly counters?: WorkerCounters;
  readonly log: Log;
}

export class ChunkWorker {
  readonly counters: WorkerCounters;
  readonly #parts: WorkerParts;
  readonly #pool: ThreadPool;
  readonly #maker: ChunkMaker;
  readonly #active = new Set<Promise<unknown>>();
  #worker: Worker<ChunkJob, ChunkDone> | undefined;
  #stopping = false;
  #killing = false;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    const { threads, generators } = parts;
    this.counters = parts.counters ?? new WorkerCounters();
    this.#pool = new ThreadPool({ threads, queueMax: ordersAtOnce(threads) - threads, generators });
    this.#maker = new ChunkMaker({ ...parts, pool: this.#pool, counters: this.counters });
  }

  /** Begins to take orders; waits for Redis as long as it takes. */
  start(): void {
    const { redisUrl, redisPrefix, log, threads } = this.#parts;
    const worker = new Worker<ChunkJob, ChunkDone>(queueName, (job, token) => this.#handle(job, token), {
      connection: { ...patientOptions(redisUrl), socketTimeout: silenceMsMax },
      prefix: keyPrefix(redisPrefix),
      concurrency: ordersAtOnce(threads),
      lockDuration: lockMs,
      lockRenewTime: lockRenewMs,
      stalledInterval: stalledCheckMs,
      maxStalledCount: stalledCountMax,
      drainDelay: idleLookSeconds,
      runRetryDelay: redisRetryMs,
      settings: { backoffStrategy: (attemptsMade) => pauseBeforeRetryMs(attemptsMade) },
    });
    const errors = new Sparing(errorLineMs);
    worker.on('error', (error) => {
      errors.tell((heldBack) => log.warn({ error: error.message, heldBack }, 'the queue met an error'));
    });
    worker.on('stalled', (jobId) => {
      this.counters.stalled += 1;
      log.warn({ jobId }, 'an order lost its worker and is taken up again');
    });
    const backend = worker.getBackend();
    ignoreLateErrors([backend.client, backend.blockingClient]);
    this.#worker = worker;
  }

  get threads(): number {
    return this.#pool.threads;
  }

  /** Threads at work. */
  get busy(): number {
    return Math.min(this.#pool.busy, this.#pool.threads);
  }

  /** What nobody would tell the ledger if this worker were killed. */
  get cpuSecondsUnderway(): number {
    return this.#pool.cpuSecondsUnderway;
  }

  /** Takes no more orders, finishes what it can within `ms`, puts the rest back into the queue, and ends its threads. */
  async drain(ms: number): Promise<void> {
    this.#stopping = true;
    const closed = this.#worker?.close() ?? Promise.resolve();
    await endsWithin(ms, this.#idle());
    this.#pool.cancelAll();
    await endsWithin(cancelMsMax, this.#idle());
    // Threads that did not look up die now, and their orders go back like the others.
    this.#killing = true;
    await endsWithin(goodbyeMsMax, this.#pool.close());
    await endsWithin(goodbyeMsMax, Promise.all([this.#idle(), this.#maker.settled()]));
    // A Redis that is away cannot be told: there the locks run out, and others take over.
    if (!(await endsWithin(goodbyeMsMax, closed))) await endsWithin(goodbyeMsMax, this.#worker?.disconnect() ?? closed);
  }

  async #idle(): Promise<void> {
    while (this.#active.size > 0) await Promise.allSettled(this.#active);
  }

  async #handle(job: Job<ChunkJob, ChunkDone>, token: string | undefined): Promise<ChunkDone> {
    const handling = this.#answer(job, token);
    this.#active.add(handling);
    try {
      return await handling;
    } finally {
      this.#active.delete(handling);
    }
  }

  async #answer(job: Job<ChunkJob, ChunkDone>, token: string | undefined): Promise<ChunkDone> {
    // Others may write to this Redis: what is no order is not tried again and again.
    if (!isChunkJob(job.data)) throw new UnrecoverableError('This is no order for a chunk.');
    const { key, requestId } = job.data;
    const attempt = job.attemptsMade + 1;
    const log = this.#parts.log.child({ key, jobId: job.id, requestId, attempt });
    try {
      // One may have been on its way.
      if (this.#stopping) throw new Cancelled('this worker stops');
      checkStarts(job.attemptsStarted - attempt);
      return await this.#maker.fulfil(job.data, attempt, log);
    } catch (error) {
      if (error instanceof Cancelled || this.#killing) {
        this.counters.putBack += 1;
        // Not `moveToWait`: that wakes nobody, and the order would lie there until somebody looks. Without Redis its lock
        // runs out, which does the same.
        await endsWithin(goodbyeMsMax, job.moveToDelayed(Date.now(), token));
        throw new DelayedError();
      }
      const { failed, retryable } = failureIn(error, key, attempt);
      const { code, detail, event } = failed;
      if (retryable && attempt < this.#parts.attempts) {
        this.counters.retried += 1;
        log.warn({ code, detail }, 'a chunk could not be made; it is tried again');
        throw new Error(failedReason(failed));
      }
      this.counters.failed += 1;
      log.error({ code, detail, event }, 'a chunk failed');
      throw new UnrecoverableError(failedReason(failed));
    }
  }
}

/** One more than the threads: while a chunk is being stored, its thread makes the next. */
function ordersAtOnce(threads: number): number {
  return threads + 1;
}

/** `silent`: earlier starts of which nobody heard how they ended. @throws EvokeError GENERATION_FAILED */
function checkStarts(silent: number): void {
  if (silent < silentStartsMax) return;
  throw new EvokeError('GENERATION_FAILED', {
    detail: `It killed ${silent} workers, or each of them was stopped before it could finish.`,
  });
}
