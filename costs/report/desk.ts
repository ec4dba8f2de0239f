// Where reports are asked for. One is reckoned at a time, a few may wait, and more are refused. What is asked for again is
// remembered for twenty times as long as it took, and whoever asks while it is reckoned waits for the same: however many
// ask, a question takes a twentieth of a core at the most.
import { LRUCache } from 'lru-cache';
import { EvokeError } from '../../core/errors.ts';
import type { ReportForms } from './forms.ts';
import { OneAtATime } from './one-at-a-time.ts';
import type { CostQuery } from './report.ts';

/** Ends early, with the signal's reason, when it is aborted. */
export type ComputeReport = (query: CostQuery, signal: AbortSignal) => Promise<ReportForms>;

export interface GivenReport {
  readonly forms: ReportForms;
  /** How long ago it was begun, milliseconds; undefined when it was not ready before it was asked for. */
  readonly ageMs: number | undefined;
}

/** One that is being reckoned, for everybody who asked. */
interface Flight {
  readonly forms: Promise<ReportForms>;
  readonly stop: AbortController;
  callers: number;
}

interface Remembered {
  readonly outcome: ReportForms | EvokeError;
  readonly begunMs: number;
  readonly untilMs: number;
}

/** Each waits for at most those before it. */
const waitingMax = 4;
const reportMsMax = 10 * 60_000;
const retryAfterSeconds = 10;
const restPerWork = 20;
const rememberedMsMin = 2000;
const rememberedMax = 64;
/** One that is larger is reckoned again each time: it has some ten thousand rows. */
const rememberedBytesMax = 64 * 1024 * 1024;
/** Of a refusal, and of what is around a report. */
const ownBytes = 1024;

export class ReportDesk {
  readonly #compute: ComputeReport;
  readonly #nowMs: () => number;
  readonly #door = new OneAtATime(waitingMax);
  readonly #flights = new Map<string, Flight>();
  readonly #remembered = new LRUCache<string, Remembered>({
    max: rememberedMax,
    maxSize: rememberedBytesMax,
    sizeCalculation: ({ outcome }) => bytesOf(outcome),
  });

  /** `nowMs`: of a clock that only goes on. */
  constructor(compute: ComputeReport, nowMs: () => number = () => performance.now()) {
    this.#compute = compute;
    this.#nowMs = nowMs;
  }

  /**
   * `question` is the same for queries whose answers may stand for each other: a window up to now is, a while later.
   * @throws EvokeError OVERLOADED, and what computing throws; the signal's reason
   */
  async cost(question: string, query: CostQuery, signal: AbortSignal): Promise<GivenReport> {
    signal.throwIfAborted();
    const known = this.#recall(question);
    if (known !== undefined) return known;
    const flight = this.#flights.get(question) ?? this.#begin(question, query);
    flight.callers++;
    try {
      return { forms: await unlessAborted(flight.forms, signal), ageMs: undefined };
    } finally {
      if (--flight.callers === 0) this.#end(question, flight);
    }
  }

  #recall(question: string): GivenReport | undefined {
    const nowMs = this.#nowMs();
    for (const [other, { untilMs }] of this.#remembered) {
      if (untilMs <= nowMs) this.#remembered.delete(other);
    }
    const known = this.#remembered.get(question);
    if (known === undefined) return undefined;
    const { outcome, begunMs, untilMs } = known;
    if (outcome instanceof EvokeError) throw refusal(outcome, untilMs - nowMs);
    return { forms: outcome, ageMs: nowMs - begunMs };
  }

  #begin(question: string, query: CostQuery): Flight {
    if (this.#door.isFull) {
      throw new EvokeError('OVERLOADED', { detail: 'Too many reports are being reckoned already.', retryAfterSeconds });
    }
    const stop = new AbortController();
    const forms = this.#inTurn(question, query, stop.signal);
    const flight: Flight = { forms, stop, callers: 0 };
    this.#flights.set(question, flight);
    // Whoever still waits is told; perhaps nobody does.
    forms.catch(() => undefined).finally(() => this.#end(question, flight));
    return flight;
  }

  /** Done, or not wanted any more: who asks from now on begins anew. */
  #end(question: string, flight: Flight): void {
    if (this.#flights.get(question) === flight) this.#flights.delete(question);
    flight.stop.abort(new Error('Nobody waits for the report any more.'));
  }

  async #inTurn(question: string, query: CostQuery, signal: AbortSignal): Promise<ReportForms> {
    await this.#door.enter(signal);
    const begunMs = this.#nowMs();
    const late = AbortSignal.timeout(reportMsMax);
    try {
      const forms = await this.#compute(query, AbortSignal.any([signal, late]));
      this.#remember(question, forms, begunMs);
      return forms;
    } catch (thrown) {
      const error = late.aborted && !signal.aborted ? tooLong() : thrown;
      // It would be the same again, and take as long. A store that is away may be back.
      if (!(error instanceof EvokeError && (error.code === 'OVERLOADED' || error.status < 500))) throw error;
      throw refusal(error, this.#remember(question, error, begunMs));
    } finally {
      this.#door.leave();
    }
  }

  /** For how long, milliseconds. */
  #remember(question: string, outcome: ReportForms | EvokeError, begunMs: number): number {
    const nowMs = this.#nowMs();
    const forMs = Math.max(rememberedMsMin, restPerWork * (nowMs - begunMs));
    this.#remembered.set(question, { outcome, begunMs, untilMs: nowMs + forMs });
    return forMs;
  }
}

function bytesOf(outcome: ReportForms | EvokeError): number {
  return outcome instanceof EvokeError ? ownBytes : ownBytes + outcome.json.length + outcome.csv.length;
}

function refusal({ code, details }: EvokeError, forMs: number): EvokeError {
  return new EvokeError(code, code === 'OVERLOADED' ? { ...details, retryAfterSeconds: forMs / 1000 } : details);
}

function tooLong(): EvokeError {
  return new EvokeError('OVERLOADED', {
    detail: `The report was not done within ${reportMsMax / 60_000} minutes.`,
    hint: 'The ledger is read from its beginning: it is long, or the store is slow. An earlier `to` takes less.',
  });
}

/** Leaves the promise alone when the signal is aborted. @throws the signal's reason */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
