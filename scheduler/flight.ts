// One chunk on its way, for everybody in this process who waits for it: ordered in the queue, it ends when the chunk is in
// the store or cannot come. Events only hurry it: what ends it is what the store and the queue say when they are looked at,
// at every event and every two seconds, so that a lost event or a flushed queue costs seconds and not a hang.
import type { ChunkRef } from '../core/chunk.ts';
import { EvokeError } from '../core/errors.ts';
import type { ChunkDone, ChunkFailed, ChunkJob } from '../queue/job.ts';
import { type Priority, priorities } from '../queue/priorities.ts';
import type { Time } from './time.ts';

/** What a flight needs of the queue. */
export interface FlightQueue {
  /** @throws EvokeError QUEUE_UNAVAILABLE, in bounded time */
  add(job: ChunkJob, priority: Priority): Promise<{ jobId: string; joined: boolean }>;
  /** Takes back what has not been started. */
  withdraw(jobId: string): Promise<void>;
  fate(jobId: string): Promise<Fate>;
}

export type Fate =
  | { readonly state: 'queued' | 'generating' | 'lost' }
  | { readonly state: 'done'; readonly done: ChunkDone | undefined }
  | { readonly state: 'failed'; readonly failed: ChunkFailed };

/** What a flight needs of the store. */
export interface FlightChunks {
  head(chunk: ChunkRef): Promise<{ readonly bytes: number } | undefined>;
}

export interface Landed {
  /** Size at rest. */
  readonly bytes: number;
  /** Whether this flight's own job made it. */
  readonly generated: boolean;
  /** Milliseconds from the order to the start of the work, and of the work. */
  readonly queueMs: number;
  readonly workMs: number;
}

/** How a flight ends. */
export type FlightEnd =
  | { readonly state: 'landed'; readonly landed: Landed }
  /** The queue says that the generation failed for good. */
  | { readonly state: 'failed'; readonly failed: ChunkFailed }
  | { readonly state: 'lost'; readonly error: unknown };

export interface FlightSurroundings {
  readonly queue: FlightQueue;
  readonly chunks: FlightChunks;
  readonly time: Time;
  /** The order stands under this job id, and no longer under the one before. */
  ordered(flight: Flight, jobId: string, before: string | undefined): void;
  /** Called once. */
  ended(flight: Flight, end: FlightEnd): void;
  /** For the counts. */
  happened(what: 'withdrawn' | 'lookedAgain' | 'readded'): void;
}

const lookMs = 2_000;
/** How long work under way may do without queue or store before it is given up. */
const patienceMs = 10_000;
const disagreementsMax = 2;

export class Flight {
  readonly job: ChunkJob;
  readonly #with: FlightSurroundings;
  readonly #startedAtMs: number;
  /** Steps run one after another, so that no two of them look or order at once. */
  #steps: Promise<void>;
  #lookOrdered = false;
  #cancelTimer: () => void = () => undefined;
  #over = false;
  #priority: Priority;
  #jobId: string | undefined;
  #withdrawnId: string | undefined;
  #joined = false;
  #done: ChunkDone | undefined;
  #disagreements = 0;
  #troubledSinceMs: number | undefined;

  /** Takes off once `after` (the withdrawal of an earlier order for the chunk, which never rejects) is through. */
  constructor(
    job: ChunkJob,
    priority: Priority,
    surroundings: FlightSurroundings,
    after: Promise<void> = Promise.resolve(),
  ) {
    this.job = job;
    this.#priority = priority;
    this.#with = surroundings;
    this.#startedAtMs = surroundings.time.now();
    this.#steps = after;
    this.#step(() => this.#add());
  }

  get jobId(): string | undefined {
    return this.#jobId;
  }

  /** Whether the order that it waits for is another process's. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Whether queue or store did not answer when it last looked. */
  get troubled(): boolean {
    return this.#troubledSinceMs !== undefined;
  }

  /** The queue says that the chunk is stored. */
  done(done: ChunkDone): void {
    this.#done = done;
    this.lookAgain();
  }

  /** The queue says that it cannot be made. */
  failed(failed: ChunkFailed): void {
    this.#end({ state: 'failed', failed });
  }

  /** Looks in store and queue as soon as the step under way is through. */
  lookAgain(): void {
    if (this.#over || this.#lookOrdered) return;
    this.#lookOrdered = true;
    this.#step(() => {
      this.#lookOrdered = false;
      return this.#look();
    });
  }

  /** Somebody waits for whom it is more urgent: the order is asked to be so too. */
  raise(priority: Priority): void {
    if (priorities[priority] >= priorities[this.#priority]) return;
    this.#priority = priority;
    if (this.#jobId !== undefined) this.#step(() => this.#add());
  }

  /**
   * A waiter leaves unless the work has begun. Where it is the last (`waiting` says how many there are), the order is taken
   * back first, and `leave` called only if no worker was quicker.
   */
  recall(waiting: () => number, leave: () => void): void {
    this.#step(async () => {
      if (waiting() === 1 && !this.#joined) await this.#withdraw(this.#jobId);
      // With Redis away nobody knows, and nobody has to wait for it.
      const fate =
        this.#jobId === undefined ? undefined : await this.#with.queue.fate(this.#jobId).catch(() => undefined);
      const begun = fate !== undefined && fate.state !== 'queued' && fate.state !== 'lost';
      if (!begun) leave();
      if (waiting() > 0) this.#stay();
    });
  }

  /**
   * Nobody waits any more. As soon as no order is being placed, `stillEmpty` is asked; if so, the flight is over, and
   * `leaving` gets the promise to wait for before the chunk may be ordered again: our own order is taken back unless it
   * has been started; another process's order is that process's.
   */
  abandon(stillEmpty: () => boolean, leaving: (withdrawn: Promise<void>) => void): void {
    this.#step(async () => {
      if (!stillEmpty()) {
        this.#stay();
        return;
      }
      this.#stop();
      leaving(this.#joined ? Promise.resolve() : this.#withdraw(this.#jobId));
    });
  }

  /** Whoever came while the order was being taken back needs it again. */
  #stay(): void {
    if (this.#withdrawnId === undefined) return;
    this.#withdrawnId = undefined;
    this.lookAgain();
  }

  async #withdraw(jobId: string | undefined): Promise<void> {
    if (jobId === undefined || jobId === this.#withdrawnId) return;
    this.#withdrawnId = jobId;
    this.#with.happened('withdrawn');
    // With Redis away there is nobody to tell; the chunk is then made for whoever comes next.
    await this.#with.queue.withdraw(jobId).catch(() => undefined);
  }

  #step(act: () => Promise<void>): void {
    this.#steps = this.#steps.then(async () => {
      if (this.#over) return;
      this.#cancelTimer();
      try {
        await act();
      } catch (error) {
        await this.#trouble(error);
      }
      if (this.#over) return;
      this.#cancelTimer = this.#with.time.after(lookMs, () => {
        this.#with.happened('lookedAgain');
        this.lookAgain();
      });
    });
  }

  async #add(): Promise<void> {
    this.#done = undefined;
    const { jobId, joined } = await this.#with.queue.add(this.job, this.#priority);
    if (this.#over) {
      // It failed meanwhile: nobody waits for this order.
      if (!joined) await this.#withdraw(jobId);
      return;
    }
    this.#troubledSinceMs = undefined;
    // The order that it has stands, as urgent as it is now.
    if (jobId === this.#jobId) return;
    this.#with.ordered(this, jobId, this.#jobId);
    this.#jobId = jobId;
    this.#joined = joined;
  }

  async #look(): Promise<void> {
    if (this.#withdrawnId !== undefined) return;
    if ((await this.#landIfStored()) || this.#jobId === undefined) return;
    const fate = await this.#with.queue.fate(this.#jobId);
    this.#troubledSinceMs = undefined;
    if (fate.state === 'queued' || fate.state === 'generating') return;
    if (fate.state === 'failed') {
      this.failed(fate.failed);
      return;
    }
    if (fate.state === 'done') this.#done = fate.done;
    // It may have been stored, and its job have ended, between the two looks.
    if (await this.#landIfStored()) return;
    if (fate.state === 'done' && ++this.#disagreements === disagreementsMax) {
      this.#end({ state: 'lost', error: storeDisagrees(this.job.key) });
      return;
    }
    if (this.#over) return;
    this.#with.happened('readded');
    await this.#add();
  }

  async #landIfStored(): Promise<boolean> {
    const info = await this.#with.chunks.head(this.job.chunk);
    if (info === undefined) return false;
    const workMs = this.#done?.workMs ?? 0;
    const elapsedMs = this.#with.time.now() - this.#startedAtMs;
    const generated = !this.#joined && (this.#done?.generated ?? true);
    const landed = { bytes: info.bytes, generated, queueMs: Math.max(0, elapsedMs - workMs), workMs };
    this.#end({ state: 'landed', landed });
    return true;
  }

  /** Without an order, the chunk can only come by chance; with one, somebody may be working on it. */
  async #trouble(error: unknown): Promise<void> {
    if (this.#jobId === undefined) {
      const stored = await this.#landIfStored().catch(() => false);
      if (!stored) this.#end({ state: 'lost', error });
      return;
    }
    const nowMs = this.#with.time.now();
    this.#troubledSinceMs ??= nowMs;
    if (nowMs - this.#troubledSinceMs >= patienceMs) this.#end({ state: 'lost', error });
  }

  #end(end: FlightEnd): void {
    if (this.#over) return;
    this.#stop();
    this.#with.ended(this, end);
  }

  #stop(): void {
    this.#over = true;
    this.#cancelTimer();
  }
}

/** Completed twice, absent twice: generating a third time would not help. */
export function storeDisagrees(key: string): EvokeError {
  return new EvokeError('STORE_DISAGREES', {
    detail: `Chunk ${key} was reported stored more than once, and is absent.`,
    hint: 'Do workers and api use the same store? Is its capacity too small for what is asked for at once?',
    retryAfterSeconds: 10,
  });
}
