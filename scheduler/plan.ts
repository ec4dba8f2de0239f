// Pure planning: by which means each chunk of a range is had, run-length encoded, and what that takes.
// Estimates are for people and for choosing; nothing that is promised rests on them.
import type { ChunkSpan } from '../core/chunk.ts';
import type { Dataset } from '../core/dataset.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventsIn, intersection } from '../core/event-range.ts';
import type { Nano, Prices } from '../costs/prices.ts';
import { cpuCost, egressCost, fromNano, waitingCost } from '../costs/prices.ts';
import { readingSeconds } from '../costs/reading.ts';
import type { ChainCost } from '../generators/registry.ts';
import type { InputNeed } from './input-survey.ts';

/** `memory`: held by this process. `near`: in the store. `join`: being made for somebody. `generate`: to be made. */
export type Means = 'memory' | 'near' | 'join' | 'generate';

/** Consecutive chunks of one state; both ends inclusive. */
export interface ChunkRun<S> {
  readonly firstChunk: number;
  readonly lastChunk: number;
  readonly state: S;
  /** Of those that are stored. */
  readonly bytes: number;
}

/** What making the chunks of a run takes of one input. `none`: all that is derived from it is read. */
export interface PlannedInput {
  /** `scope:name` */
  readonly dataset: string;
  readonly derivation: string;
  readonly means: 'read' | 'remake' | 'both' | 'none';
  /** Reads of stored chunks: one that is read for two chunks counts twice. */
  readonly chunksRead: number;
  readonly eventsRemade: number;
  /** Of those of the run. */
  readonly cpuSeconds: number;
  /** Of those of the run. */
  readonly seconds: number;
  /** One sentence. */
  readonly why: string;
}

export interface PlannedRun {
  readonly firstChunk: number;
  readonly lastChunk: number;
  readonly means: Means;
  /** Wall seconds until the run is ready, when nothing else is in the way. */
  readonly seconds: number;
  /** What this request adds: chunks made for others cost it nothing. */
  readonly cpuSeconds: number;
  /** Bytes at rest of the events asked for. */
  readonly bytes: number;
  /** In the configured currency. */
  readonly cost: number;
  /** One sentence. */
  readonly why: string;
  /** Of a derived dataset what is generated, the nearest input first. */
  readonly inputs?: readonly PlannedInput[];
}

/** How many chunks of a range are stored, being made already, and to be made: what Cache-Status says. */
export interface PlanSummary {
  readonly hit: number;
  readonly joined: number;
  readonly generated: number;
}

export interface PlanTotal {
  readonly chunks: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly bytes: number;
  readonly cost: number;
}

export interface Plan {
  readonly runs: readonly PlannedRun[];
  readonly total: PlanTotal;
  readonly summary: PlanSummary;
}

/** What estimates rest on. */
export interface Estimates {
  /** Per event, from the generators of the chain; undefined where one is not registered. */
  readonly eventCost: ChainCost | undefined;
  /** Generating threads of all live workers; 0 when no worker is up. */
  readonly threads: number;
  readonly prices: Pick<Prices, 'cpuCoreHour' | 'waitHour' | 'egressGb'>;
}

/** Joins neighbours of equal state. Push runs in order; what comes back is finished. */
export class RunMerger<S> {
  #run: ChunkRun<S> | undefined;

  push(next: ChunkRun<S>): ChunkRun<S> | undefined {
    const run = this.#run;
    if (run !== undefined && run.state === next.state && run.lastChunk + 1 === next.firstChunk) {
      this.#run = { ...run, lastChunk: next.lastChunk, bytes: run.bytes + next.bytes };
      return undefined;
    }
    this.#run = next;
    return run;
  }

  /** The last run, if there was any. */
  end(): ChunkRun<S> | undefined {
    const run = this.#run;
    this.#run = undefined;
    return run;
  }
}

/** Adds runs up to a plan of which the first `limit` runs are kept: a range may have millions of chunks. */
export class PlanBuilder {
  readonly #dataset: Dataset;
  readonly #range: EventRange;
  readonly #estimates: Estimates;
  readonly #limit: number;
  readonly #runs: PlannedRun[] = [];
  readonly #summary = { hit: 0, joined: 0, generated: 0 };
  readonly #total = { chunks: 0, seconds: 0, cpuSeconds: 0, bytes: 0 };
  #cost: Nano = 0n;

  constructor(dataset: Dataset, range: EventRange, estimates: Estimates, limit = Number.POSITIVE_INFINITY) {
    this.#dataset = dataset;
    this.#range = range;
    this.#estimates = estimates;
    this.#limit = limit;
  }

  /** `needs`: what a run that is generated takes of its inputs. */
  add(run: ChunkRun<Means>, needs: readonly InputNeed[] = []): void {
    const chunks = run.lastChunk - run.firstChunk + 1;
    const { cost, inputs, ...figures } = this.#figures(run, chunks, needs);
    this.#cost += cost;
    this.#total.chunks += chunks;
    this.#total.seconds += figures.seconds;
    this.#total.cpuSeconds += figures.cpuSeconds;
    this.#total.bytes += figures.bytes;
    if (run.state === 'join') this.#summary.joined += chunks;
    else if (run.state === 'generate') this.#summary.generated += chunks;
    else this.#summary.hit += chunks;
    if (this.#runs.length === this.#limit) return;
    const { firstChunk, lastChunk, state: means } = run;
    const why = whyOf(means, chunks, this.#estimates);
    const planned = { firstChunk, lastChunk, means, ...figures, cost: fromNano(cost), why };
    this.#runs.push(inputs.length === 0 ? planned : { ...planned, inputs });
  }

  /** Totals are of all runs, kept or not; sums of costs are exact. */
  plan(): Plan {
    return {
      runs: this.#runs,
      total: { ...this.#total, cost: fromNano(this.#cost) },
      summary: { ...this.#summary },
    };
  }

  #figures(run: ChunkRun<Means>, chunks: number, needs: readonly InputNeed[]) {
    const { eventCost, threads, prices } = this.#estimates;
    const whole = wholeChunks(this.#dataset, { first: run.firstChunk, end: run.lastChunk + 1 });
    const asked = intersection(whole, this.#range);
    const share = asked === undefined ? 0 : eventsIn(asked) / eventsIn(whole);
    const stored = run.state === 'memory' || run.state === 'near';
    const bytesAtRest = stored ? run.bytes : eventsIn(whole) * (eventCost?.rawBytes ?? 0);
    const bytes = Math.round(bytesAtRest * share);
    // One chunk is made by one thread, so there are as many rounds as the fullest thread has chunks.
    const rounds = Math.ceil(chunks / Math.max(1, threads));
    const secondsOf = (work: number) => (work / chunks) * rounds;
    const inputs = needs.map((need) => plannedInput(need, secondsOf(need.cpuSeconds + readingSecondsOf(need))));
    // What is being made for others may take all of its chain: nobody knows what it reads.
    const eventSeconds = run.state === 'generate' ? eventCost?.links[0] : eventCost?.cpuSeconds;
    const makingSeconds = stored ? 0 : eventsIn(whole) * (eventSeconds ?? 0);
    const nearSeconds = run.state === 'near' ? readingSeconds({ chunks, bytes: bytesAtRest }) : 0;
    const seconds = nearSeconds + secondsOf(makingSeconds) + sumOf(inputs.map((input) => input.seconds));
    const ownSeconds = run.state === 'generate' ? makingSeconds : 0;
    const cpuSeconds = ownSeconds + sumOf(inputs.map((input) => input.cpuSeconds));
    const cost = cpuCost(prices, cpuSeconds) + waitingCost(prices, seconds) + egressCost(prices, bytes);
    return { seconds, cpuSeconds, bytes, cost, inputs };
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function readingSecondsOf({ chunksRead: chunks, bytesRead: bytes }: InputNeed): number {
  return readingSeconds({ chunks, bytes });
}

function plannedInput(need: InputNeed, seconds: number): PlannedInput {
  const { link, chunksRead, eventsRemade, cpuSeconds } = need;
  const means = meansOf(need);
  return {
    dataset: link.dataset,
    derivation: link.derivationId,
    means,
    chunksRead,
    eventsRemade,
    cpuSeconds,
    seconds,
    why: whyOfInput(means, need),
  };
}

function meansOf({ chunksRead, eventsRemade }: InputNeed): PlannedInput['means'] {
  if (eventsRemade > 0) return chunksRead > 0 ? 'both' : 'remake';
  return chunksRead > 0 ? 'read' : 'none';
}

function whyOfInput(means: PlannedInput['means'], { isStored }: InputNeed): string {
  if (means === 'none') return 'Not needed: everything that is derived from it is read.';
  if (means === 'read') return 'All that is needed is stored, and read sooner than made again.';
  if (means === 'both')
    return 'What is stored and read sooner than made again is read; the rest is made on the way, and not kept.';
  if (isStored) return 'Made on the way, and not kept: that takes less than reading what is stored of it.';
  return 'None of it is stored: it is made on the way, and not kept.';
}

/** The events of consecutive chunks; the dataset's last one is clipped. */
export function wholeChunks(dataset: Dataset, span: ChunkSpan): EventRange {
  return { first: span.first * dataset.chunkEvents, end: Math.min(span.end * dataset.chunkEvents, dataset.events) };
}

function whyOf(means: Means, chunks: number, { eventCost, threads }: Estimates): string {
  const subject = chunks === 1 ? 'The chunk is' : `The ${chunks} chunks are`;
  if (means === 'memory') return `${subject} in the memory of this process.`;
  if (means === 'near') return `${subject} in the store.`;
  if (means === 'join') return `${subject} being made for another request.`;
  if (eventCost === undefined) return `${subject} not stored, and no generator is registered that could make more.`;
  if (threads === 0) return `${subject} not stored, and no worker is up to make more.`;
  return `${subject} not stored and made by ${threads} generating ${threads === 1 ? 'thread' : 'threads'}.`;
}
