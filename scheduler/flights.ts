// Single flight: however many ask this process for an absent chunk, it is ordered once, and the queue's deduplication joins
// the orders of all processes. (An economy, not a safety device: the same chunk made twice has the same bytes.)
// The flight has its own lifetime; each waiter has its own deadline and its own abort, and none can fail another.
import { EvokeError } from '../core/errors.ts';
import type { ChunkDone, ChunkFailed, ChunkJob } from '../queue/job.ts';
import type { Priority } from '../queue/priorities.ts';
import { Failures, failureError, isPassing } from './failures.ts';
import type { FlightChunks, FlightEnd, FlightQueue, Landed } from './flight.ts';
import { Flight } from './flight.ts';
import type { Time } from './time.ts';

/** What the queue tells of any process's jobs. Words may be lost or come twice. */
export interface FlightEvents {
  on(event: 'done', listener: (done: ChunkDone) => void): unknown;
  on(event: 'failed', listener: (failed: ChunkFailed) => void): unknown;
  on(event: 'gone', listener: (gone: { readonly jobId: string }) => void): unknown;
}

export interface Landing extends Landed {
  /** Whether this waiter found somebody else's order, in this process or another. */
  readonly joined: boolean;
}

/** Every path out of `board` is counted in exactly one of landed, failed, left and refused. */
export interface FlightStats {
  boarded: number;
  /** Waiters that found a flight of this process, or whose flight joined another process's order. */
  joined: number;
  landed: number;
  failed: number;
  /** Aborted, or past their deadline. */
  left: number;
  /** Turned away at once: too many flights, a failure remembered, the queue away. */
  refused: number;
  /** Orders taken back because nobody waited any more. */
  withdrawn: number;
  /** Looks in store and queue because nothing was heard for two seconds. */
  lookedAgain: number;
  /** Orders placed again: the queue had lost them. */
  readded: number;
}

export interface BoardOptions {
  readonly signal?: AbortSignal;
  /** Leaves too, but only where the work has not begun. */
  readonly recall?: AbortSignal;
  /**
   * `interactive` unless given. A batch, which has its own patience with circumstances that pass, is not refused for having
   * met them a moment ago.
   */
  readonly priority?: Priority;
  /** The waiter's deadline; the setting WAIT_SECONDS unless given. Infinity: until aborted. */
  readonly waitMs?: number;
  /** Not needed yet: such orders leave half of the flights to what is needed now. */
  readonly ahead?: boolean;
}

interface Waiter {
  readonly joined: boolean;
  settle(end: FlightEnd, joined: boolean): void;
}

interface Boarded {
  readonly flight: Flight;
  readonly waiters: Set<Waiter>;
}

export class Flights {
  readonly stats: FlightStats = {
    boarded: 0,
    joined: 0,
    landed: 0,
    failed: 0,
    left: 0,
    refused: 0,
    withdrawn: 0,
    lookedAgain: 0,
    readded: 0,
  };
  readonly #queue: FlightQueue;
  readonly #chunks: FlightChunks;
  readonly #time: Time;
  readonly #flightsMax: number;
  readonly #waitMs: number;
  readonly #failures: Failures;
  readonly #byKey = new Map<string, Boarded>();
  readonly #byJob = new Map<string, Flight>();
  /** Orders being taken back: the same chunk is ordered again only after that. */
  readonly #withdrawing = new Map<string, Promise<void>>();

  constructor(options: {
    queue: FlightQueue;
    events: FlightEvents;
    chunks: FlightChunks;
    time: Time;
    /** Chunks that may be on order at a time (setting FLIGHTS). */
    flightsMax: number;
    /** How long a waiter waits (setting WAIT_SECONDS). */
    waitMs: number;
  }) {
    this.#queue = options.queue;
    this.#chunks = options.chunks;
    this.#time = options.time;
    this.#flightsMax = options.flightsMax;
    this.#waitMs = options.waitMs;
    this.#failures = new Failures(options.time);
    options.events.on('done', (done) => {
      this.#failures.forget(done.key);
      this.#byKey.get(done.key)?.flight.done(done);
    });
    options.events.on('failed', (failed) => {
      this.#failures.remember(failed);
      this.#byKey.get(failed.key)?.flight.failed(failed);
    });
    options.events.on('gone', ({ jobId }) => this.#byJob.get(jobId)?.lookAgain());
  }

  /** Chunks on order. */
  get size(): number {
    return this.#byKey.size;
  }

  /** Keys of the chunks on order. */
  keys(): Iterable<string> {
    return this.#byKey.keys();
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** What a request for this chunk would be told at once: a failure of the last minute. */
  failureOf(key: string): EvokeError | undefined {
    return this.#failures.recall(key);
  }

  /**
   * Waits until the chunk is in the store. Whoever asks has looked there before.
   * @throws EvokeError GENERATION_FAILED (with `event`, `attempts`, `lastWords`), also for a failure of the last minute;
   *   OVERLOADED when too much is on order or the deadline passed; QUEUE_UNAVAILABLE; STORE_DISAGREES; STORE_UNAVAILABLE
   * @throws the signal's reason when it is aborted
   */
  board(job: ChunkJob, options: BoardOptions = {}): Promise<Landing> {
    const gone = [options.signal, options.recall].find((signal) => signal?.aborted);
    if (gone !== undefined) {
      this.stats.left++;
      return Promise.reject(gone.reason);
    }
    const { priority = 'interactive' } = options;
    const existing = this.#byKey.get(job.key);
    const refusal = existing === undefined ? this.#refusalOf(job, options) : refusalToJoin(existing.flight);
    if (refusal !== undefined) {
      this.stats.refused++;
      return Promise.reject(refusal);
    }
    this.stats.boarded++;
    existing?.flight.raise(priority);
    return this.#wait(existing ?? this.#launch(job, priority), existing !== undefined, options);
  }

  #refusalOf(job: ChunkJob, { ahead = false, priority }: BoardOptions): EvokeError | undefined {
    const failure = this.#failures.recall(job.key);
    if (failure !== undefined && !(priority === 'batch' && isPassing(failure.code))) return failure;
    const flightsMax = ahead ? Math.floor(this.#flightsMax / 2) : this.#flightsMax;
    if (this.#byKey.size < flightsMax) return undefined;
    return new EvokeError('OVERLOADED', {
      detail: `${this.#byKey.size} chunks are on order already; this process orders ${this.#flightsMax} at a time.`,
      retryAfterSeconds: 5,
    });
  }

  #launch(job: ChunkJob, priority: Priority): Boarded {
    const surroundings = {
      queue: this.#queue,
      chunks: this.#chunks,
      time: this.#time,
      ordered: (flight: Flight, jobId: string, before: string | undefined) => {
        if (before !== undefined) this.#byJob.delete(before);
        this.#byJob.set(jobId, flight);
      },
      ended: (flight: Flight, end: FlightEnd) => this.#ended(flight, end),
      happened: (what: 'withdrawn' | 'lookedAgain' | 'readded') => {
        this.stats[what]++;
      },
    };
    const flight = new Flight(job, priority, surroundings, this.#withdrawing.get(job.key));
    const boarded = { flight, waiters: new Set<Waiter>() };
    // Before the order is placed: no event about it can be missed.
    this.#byKey.set(job.key, boarded);
    return boarded;
  }

  #wait(boarded: Boarded, joined: boolean, options: BoardOptions): Promise<Landing> {
    const { signal, recall, waitMs = this.#waitMs } = options;
    return new Promise<Landing>((resolve, reject) => {
      const release = () => {
        cancelTimer();
        signal?.removeEventListener('abort', aborted);
        recall?.removeEventListener('abort', recalled);
      };
      const leave = (reason: unknown) => {
        release();
        this.stats.left++;
        boarded.waiters.delete(waiter);
        if (boarded.waiters.size === 0) this.#abandon(boarded);
        reject(reason);
      };
      const aborted = () => leave(signal?.reason);
      const waiting = () => boarded.waiters.size;
      const recalled = () =>
        boarded.flight.recall(waiting, () => {
          if (boarded.waiters.has(waiter)) leave(recall?.reason);
        });
      const late = () => leave(waitedTooLong(waitMs));
      const waiter: Waiter = {
        joined,
        settle: (end, orderJoined) => {
          release();
          if (end.state === 'landed') resolve({ ...end.landed, joined: joined || orderJoined });
          else reject(end.state === 'failed' ? failureError(end.failed) : end.error);
        },
      };
      const cancelTimer = Number.isFinite(waitMs) ? this.#time.after(waitMs, late) : () => undefined;
      signal?.addEventListener('abort', aborted, { once: true });
      recall?.addEventListener('abort', recalled, { once: true });
      boarded.waiters.add(waiter);
    });
  }

  #ended(flight: Flight, end: FlightEnd): void {
    const boarded = this.#forget(flight);
    if (end.state === 'failed') this.#failures.remember(end.failed);
    for (const waiter of boarded?.waiters ?? []) {
      if (waiter.joined || flight.joined) this.stats.joined++;
      this.stats[end.state === 'landed' ? 'landed' : 'failed']++;
      waiter.settle(end, flight.joined);
    }
  }

  #abandon(boarded: Boarded): void {
    const { flight, waiters } = boarded;
    const { key } = flight.job;
    flight.abandon(
      () => waiters.size === 0,
      (withdrawn) => {
        this.#forget(flight);
        const through = withdrawn.finally(() => {
          if (this.#withdrawing.get(key) === through) this.#withdrawing.delete(key);
        });
        this.#withdrawing.set(key, through);
      },
    );
  }

  #forget(flight: Flight): Boarded | undefined {
    const { key } = flight.job;
    const boarded = this.#byKey.get(key);
    this.#byKey.delete(key);
    if (flight.jobId !== undefined) this.#byJob.delete(flight.jobId);
    return boarded;
  }
}

/** A flight in trouble may be over its patience soon; whoever asks while Redis is away is told so at once. */
function refusalToJoin(flight: Flight): EvokeError | undefined {
  if (!flight.troubled) return undefined;
  return new EvokeError('QUEUE_UNAVAILABLE', {
    detail: 'The queue cannot be reached, and the chunk is not stored yet.',
    retryAfterSeconds: 2,
  });
}

export function waitedTooLong(waitMs: number): EvokeError {
  return new EvokeError('OVERLOADED', {
    detail: `The chunk was not ready within ${waitMs / 1000} s.`,
    hint: 'It may be by now: ask again.',
    retryAfterSeconds: 10,
  });
}
