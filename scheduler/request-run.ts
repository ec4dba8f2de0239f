// One asynchronous request on its way in this process: its chunks are made one after another, at the priority of somebody who
// waits. Trouble with queue or store is waited out for a while; a chunk that cannot be made ends it.
import { chunksCovering } from '../core/chunk.ts';
import { timestamp } from '../core/clock.ts';
import type { Dataset } from '../core/dataset.ts';
import { asEvokeError, EvokeError, messageOf } from '../core/errors.ts';
import type { EventsRequest, EventsRequestEnd, EventsRequestWord } from '../core/events-request.ts';
import type { Log } from '../core/log.ts';
import { emptyTally, type Tally } from '../core/work-state.ts';
import { Filling, type FillingOptions } from './filling.ts';
import type { Time } from './time.ts';
import { TimeLeft } from './time-left.ts';

export interface RunParts {
  readonly chunks: FillingOptions['chunks'];
  readonly flights: FillingOptions['flights'];
  readonly time: Time;
  /** How long queue or store may be in trouble (setting WAIT_SECONDS). */
  readonly waitMs: number;
  /** How many chunks it may have on order at present. */
  readonly window: () => number;
  readonly log: Log;
}

export interface RunOptions {
  readonly request: EventsRequest;
  readonly dataset: Dataset;
  /** Who asked; undefined for a request that another process accepted. */
  readonly client?: string;
  /** Of its chunks, those that were not stored when it was accepted, where that is known. */
  readonly absent?: number;
}

/** Until a store that could not be used is tried again, with one chunk; then twice as long each time. */
const firstPauseMs = 2_000;
const pauseMsMax = 60_000;
/** One of which nothing has come for so long is given up: no worker is up, or none gets to it. */
const idleMsMax = 24 * 3_600_000;

export class RequestRun {
  readonly request: EventsRequest;
  readonly client: string | undefined;
  /** How it ended; undefined when this process left it to another. Never rejects. */
  readonly ended: Promise<EventsRequestEnd | undefined>;
  /** Nothing of it is on order here any more. Never rejects. */
  readonly over: Promise<void>;
  readonly #parts: RunParts;
  readonly #dataset: Dataset;
  readonly #absent: number | undefined;
  readonly #timeLeft: TimeLeft;
  readonly #leaving = new AbortController();
  readonly #outcome = Promise.withResolvers<EventsRequestEnd | undefined>();
  #filling: Filling | undefined;
  #landedBefore = 0;
  #end: EventsRequestEnd | undefined;
  #trouble: { readonly sinceMs: number; readonly error: EvokeError } | undefined;
  /** The most chunks that were ever settled, and since when. */
  #settledMost = 0;
  #changedAtMs: number;
  #pauseMs = firstPauseMs;
  #wake: () => void = () => undefined;

  constructor(parts: RunParts, { request, dataset, client, absent }: RunOptions) {
    this.#parts = parts;
    this.request = request;
    this.client = client;
    this.#dataset = dataset;
    this.#absent = absent;
    this.#timeLeft = new TimeLeft(parts.time);
    this.#changedAtMs = parts.time.now();
    this.ended = this.#outcome.promise;
    this.over = this.#work()
      .catch((error: unknown) => this.#fail(asEvokeError(error)))
      .finally(() => this.#outcome.resolve(this.#end));
  }

  /** Where it stands: its end, or what to say on the board. */
  get standing(): EventsRequestEnd | EventsRequestWord {
    if (this.#end !== undefined) return this.#end;
    const secondsLeft = this.#secondsLeft();
    return {
      state: 'running',
      ...this.#tally,
      ...(secondsLeft === undefined ? {} : { estimatedSecondsLeft: secondsLeft }),
      at: timestamp(this.#parts.time),
    };
  }

  /** Somebody does not want it any more: what is not begun is taken back. */
  cancel(): void {
    this.#finish({ state: 'cancelled' });
  }

  /**
   * So it has ended, by this process or elsewhere. The first end counts, and is known at once; what a worker has begun is
   * still waited for.
   */
  endsAs(end: EventsRequestEnd): void {
    if (this.#end !== undefined || this.#leaving.signal.aborted) return;
    this.#end = end;
    this.#outcome.resolve(end);
    this.#filling?.recall();
    this.#wake();
  }

  /** It is not to be made any more, and for this reason. */
  refuse(error: EvokeError): void {
    this.#fail(error);
  }

  /** This process stops: what is on order stays so, for whoever goes on with it. */
  leave(): void {
    this.#leaving.abort();
    this.#wake();
  }

  /** To be called every second or so: whether trouble has lasted too long. */
  check(): void {
    const nowMs = this.#parts.time.now();
    if (this.#filling?.waitsForQueue) {
      this.#trouble ??= { sinceMs: nowMs, error: queueAway() };
    } else if (this.#trouble?.error.code === 'QUEUE_UNAVAILABLE') {
      this.#trouble = undefined;
    }
    if (this.#trouble !== undefined && nowMs - this.#trouble.sinceMs >= this.#parts.waitMs) {
      this.#fail(this.#trouble.error);
    } else if (nowMs - this.#changedAtMs >= idleMsMax) {
      this.#fail(new EvokeError('OVERLOADED', { detail: 'No chunk of the request was ready for a day.' }));
    }
  }

  get #tally(): Tally {
    const { done, skipped, failed, cpuMicros } = this.#filling?.tally ?? emptyTally;
    return { done, skipped, failed, cpuMicros };
  }

  async #work(): Promise<void> {
    const { chunks, flights, time, window } = this.#parts;
    const { id, range, acceptedAt } = this.request;
    const options: FillingOptions = {
      dataset: this.#dataset,
      span: chunksCovering(range, this.#dataset.chunkEvents),
      chunks,
      flights,
      // What cannot be kept is not made over and over.
      window: () => (this.#trouble === undefined ? window() : 1),
      priority: 'interactive',
      requestId: id,
      sinceMs: Date.parse(acceptedAt),
      time,
      onChange: () => this.#changed(),
    };
    for (let from: FillingOptions['from']; this.#end === undefined; ) {
      this.#landedBefore = this.#landed;
      const filling = new Filling({ ...options, ...(from && { from }) });
      this.#filling = filling;
      const end = await filling.run(this.#leaving.signal);
      if (end.state === 'left') return;
      if (end.state === 'filled' && filling.firstFailure === undefined) return this.#finish({ state: 'completed' });
      if (end.state !== 'unkept') {
        return this.#fail(filling.firstFailure ?? ('error' in end ? end.error : stoppedEarly()));
      }
      this.#trouble ??= { sinceMs: time.now(), error: end.error };
      from = filling.checkpoint;
      await this.#pause();
      if (this.#leaving.signal.aborted) return;
    }
  }

  #changed(): void {
    const { done, skipped, failed } = this.#tally;
    // Whoever begins again at a checkpoint comes by chunks that were settled before: those are no news.
    if (done + skipped + failed > this.#settledMost) {
      this.#settledMost = done + skipped + failed;
      this.#changedAtMs = this.#parts.time.now();
      this.#trouble = undefined;
      this.#pauseMs = firstPauseMs;
    }
    this.#timeLeft.landed(this.#landed);
    const failure = this.#filling?.firstFailure;
    if (failure !== undefined) this.#fail(failure);
  }

  #fail(error: EvokeError): void {
    const { code, details } = error;
    if (code === 'INTERNAL' && this.#end === undefined) {
      const mistake = { requestId: this.request.id, error: messageOf(error.cause ?? error) };
      this.#parts.log.error(mistake, 'an asynchronous request met a mistake of ours');
    }
    this.#finish({ state: 'failed', failure: { code, details } });
  }

  #finish(end: Pick<EventsRequestEnd, 'state' | 'failure'>): void {
    this.endsAs({ ...end, ...this.#tally, endedAt: timestamp(this.#parts.time) });
  }

  /** Chunks that had to be waited for, so far. */
  get #landed(): number {
    return this.#landedBefore + (this.#filling?.landings ?? 0);
  }

  #secondsLeft(): number | undefined {
    const landed = this.#landed;
    const { done, skipped } = this.#tally;
    const unsettled = Math.max(0, this.request.chunks - done - skipped);
    const toMake = this.#absent === undefined ? unsettled : Math.min(unsettled, Math.max(0, this.#absent - landed));
    return this.#timeLeft.seconds(toMake, landed);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.time.after(this.#pauseMs, resolve);
      this.#pauseMs = Math.min(2 * this.#pauseMs, pauseMsMax);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

function queueAway(): EvokeError {
  return new EvokeError('QUEUE_UNAVAILABLE', {
    detail: 'The queue could not be reached for too long.',
    retryAfterSeconds: 2,
  });
}

/** Not from within: it ends by itself only when everything is settled. */
function stoppedEarly(): EvokeError {
  return new EvokeError('INTERNAL', { detail: 'The work ended before its time.' });
}
