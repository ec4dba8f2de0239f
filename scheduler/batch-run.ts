// One batch under way: its filling, its budget, how it ends, and what is told of it: on the board twice a second, in the
// store every ten seconds and at every change of state.
import type { Batch, BatchProgress, BatchRecords } from '../core/batch.ts';
import { chunkRange, chunksCovering } from '../core/chunk.ts';
import { timestamp } from '../core/clock.ts';
import { type Dataset, type DatasetName, formatDatasetName, parseDatasetName } from '../core/dataset.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import { eventsIn } from '../core/event-range.ts';
import type { Log } from '../core/log.ts';
import { emptyTally, isFinal, type Tally, type WorkState } from '../core/work-state.ts';
import type { GeneratorRegistry } from '../generators/registry.ts';
import type { BatchWriter } from './batch-writer.ts';
import { Budget, type BudgetPrices } from './budget.ts';
import { failureReason, lastingReason } from './failure-reason.ts';
import { Filling, type FillingChunks, type FillingEnd, type FillingOptions } from './filling.ts';
import { elapsed, type Time } from './time.ts';
import { TimeLeft } from './time-left.ts';

export interface BatchRunParts {
  readonly writer: Pick<BatchWriter, 'show' | 'save'>;
  readonly catalog: {
    /** @throws EvokeError DATASET_NOT_FOUND */
    get(name: DatasetName): Promise<Dataset>;
    isRetired(name: DatasetName): Promise<boolean>;
  };
  readonly chunks: FillingChunks;
  readonly flights: FillingOptions['flights'];
  readonly registry: Pick<GeneratorRegistry, 'costOf'>;
  readonly prices: BudgetPrices;
  readonly time: Time;
  readonly log: Log;
  /** How many chunks to have on order. */
  readonly window: () => number;
  /** Told after every change: what has been settled since it was last told, and whether a chunk came that was waited for. */
  readonly changed: (settled: Tally, landed: boolean) => void;
}

/** What somebody wants of a running batch: a pause or its end by a person; `pending` when a better one goes first. */
export type Interruption = Extract<WorkState, 'paused' | 'cancelled' | 'pending'>;

/** How a run ends: with this progress, written down; `left`: it goes on elsewhere; `unkept`: paused by the store. */
export type RunEnd = { readonly how: 'ended' | 'unkept'; readonly progress: BatchProgress } | { readonly how: 'left' };

const showMs = 500;
const saveMs = 10_000;

export class BatchRun {
  readonly records: BatchRecords;
  readonly #parts: BatchRunParts;
  readonly #leaving = new AbortController();
  readonly #timeLeft: TimeLeft;
  #filling: Filling | undefined;
  #interruption: Interruption | undefined;
  /** Why it was stopped, if not by an interruption. */
  #refused: EvokeError | undefined;
  #state: WorkState;
  #reason: string | undefined;
  #startedAt: string | undefined;
  #told: Tally;
  #landings = 0;
  #savedAtMs = 0;

  /** `cautious`: the store had trouble; the last word about the batch stands until a chunk was kept. */
  constructor(records: BatchRecords, cautious: boolean, parts: BatchRunParts) {
    const { batch, progress } = records;
    this.records = records;
    this.#parts = parts;
    this.#told = progress ?? emptyTally;
    this.#state = cautious && progress !== undefined ? progress.state : 'running';
    this.#reason = cautious ? progress?.reason : lastingReason(progress?.reason);
    this.#startedAt = progress?.startedAt;
    const chunksLeft = batch.chunks - settled(this.#told);
    this.#timeLeft = new TimeLeft(parts.time, { secondsLeft: progress?.estimatedSecondsLeft, chunksLeft });
  }

  get batch(): Batch {
    return this.records.batch;
  }

  get interruption(): Interruption | undefined {
    return this.#interruption;
  }

  /** Keys of the chunks on order, in the order of ordering. */
  get onOrder(): ReadonlyMap<string, unknown> {
    return this.#filling?.onOrder ?? new Map();
  }

  /** What is written down: whoever goes on from there comes to the same end. After the end everything counts. */
  get checkpoint(): BatchProgress {
    const from = this.#filling?.checkpoint ?? this.records.progress ?? { cursor: 0, ...emptyTally };
    return this.#progress(isFinal(this.#state) ? { ...from, ...this.#told } : from);
  }

  /** Until its end, or the signal, or `leave`. Rejects only for mistakes. */
  async run(signal: AbortSignal): Promise<RunEnd> {
    const leave = () => this.leave();
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    try {
      const end = await this.#fill();
      return end.state === 'left' ? { how: 'left' } : await this.#conclude(end);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  /**
   * For a better batch what is on order stays there, and is counted when it comes; for a person, what no worker has begun is
   * taken back. Nothing comes after a cancellation.
   */
  interrupt(interruption: Interruption): void {
    if (this.#interruption === 'cancelled' || this.#interruption === interruption) return;
    this.#interruption = interruption;
    this.#heedInterruption();
    // A cancellation is shown as such from the moment of the wish, and written down with the last chunk counted.
    if (interruption === 'cancelled') return;
    this.#turn(interruption, undefined);
    void this.#save();
  }

  /** Ends at once, leaving on order what is: somebody goes on from the checkpoint. */
  leave(): void {
    this.#leaving.abort();
  }

  async #fill(): Promise<FillingEnd> {
    try {
      const dataset = await this.#parts.catalog.get(parseDatasetName(this.batch.dataset));
      await this.#checkNotRetired(dataset);
      this.#startedAt ??= timestamp(this.#parts.time);
      const budget = this.#budgetFor(dataset);
      const filling = this.#fillingOf(dataset, budget);
      this.#filling = filling;
      this.#heedInterruption();
      const over = new AbortController();
      const telling = this.#keepTelling(dataset, filling, over.signal);
      try {
        const end = await filling.run(this.#leaving.signal);
        if (end.state === 'spent' && budget !== undefined) this.#reason = budget.reason(filling.tally);
        return end.state === 'stopped' && this.#refused ? { state: 'hopeless', error: this.#refused } : end;
      } finally {
        over.abort();
        await telling;
      }
    } catch (error) {
      if (!(error instanceof EvokeError)) throw error;
      if (this.#leaving.signal.aborted) return { state: 'left' };
      if (error.code === 'STORE_UNAVAILABLE') return { state: 'unkept', error };
      this.#refused = error;
      return { state: 'hopeless', error };
    }
  }

  /** @throws EvokeError RETIRED */
  async #checkNotRetired(dataset: Dataset): Promise<void> {
    if (!(await this.#parts.catalog.isRetired(dataset))) return;
    throw new EvokeError('RETIRED', { detail: `${formatDatasetName(dataset)} is retired.` });
  }

  #budgetFor(dataset: Dataset): Budget | undefined {
    const { registry, prices } = this.#parts;
    if (this.batch.budget === undefined) return undefined;
    const cost = registry.costOf(dataset);
    return new Budget(this.batch.budget, prices, (cost?.cpuSeconds ?? 0) * eventsIn(chunkRange(dataset, 0)));
  }

  #fillingOf(dataset: Dataset, budget: Budget | undefined): Filling {
    const { batch } = this;
    const { chunks, flights, time, window } = this.#parts;
    const { progress } = this.records;
    const filling: Filling = new Filling({
      dataset,
      span: chunksCovering(batch.range, dataset.chunkEvents),
      ...(progress === undefined ? {} : { from: progress }),
      chunks,
      flights,
      window,
      priority: 'batch',
      requestId: batch.requestId,
      batch: batch.id,
      sinceMs: Date.parse(batch.createdAt),
      time,
      ...(budget === undefined ? {} : { mayOrder: (onOrder) => budget.covers(filling.tally, onOrder) }),
      onChange: () => this.#changed(filling),
    });
    return filling;
  }

  #heedInterruption(): void {
    if (this.#interruption === 'pending') this.#filling?.drain();
    else if (this.#interruption !== undefined) this.#filling?.recall();
  }

  #changed({ tally, landings, firstFailure }: Filling): void {
    const told = this.#told;
    const landed = landings > this.#landings;
    this.#told = tally;
    this.#landings = landings;
    this.#timeLeft.landed(landings);
    // A chunk was kept: the store can be used.
    if (landed && this.#interruption === undefined && this.#state !== 'running') this.#turn('running', undefined);
    if (tally.failed > told.failed) this.#reason = failureReason(tally.failed, firstFailure, this.#reason);
    this.#parts.changed(minus(tally, told), landed);
  }

  #turn(state: WorkState, reason: string | undefined): void {
    this.#state = state;
    this.#reason = reason ?? lastingReason(this.#reason);
    this.#savedAtMs = Number.NEGATIVE_INFINITY;
  }

  async #conclude(end: Exclude<FillingEnd, { state: 'left' }>): Promise<RunEnd> {
    const { failed } = this.#told;
    switch (end.state) {
      case 'filled':
        this.#turn(failed > 0 ? 'failed' : 'completed', undefined);
        break;
      case 'spent':
        this.#turn('over-budget', this.#reason);
        break;
      case 'hopeless': {
        if (end.error.code === 'INTERNAL') {
          const mistake = { batch: this.batch.id, error: messageOf(end.error.cause ?? end.error) };
          this.#parts.log.error(mistake, 'a batch met a mistake of ours');
        }
        // Of chunks that failed the reason tells already.
        const told = this.#refused === undefined && end.error.code !== 'GENERATOR_NOT_REGISTERED';
        this.#turn('failed', told ? this.#reason : `${end.error.code}: ${end.error.message}`);
        break;
      }
      case 'unkept':
        // A person who asked for a pause meanwhile has one.
        if (this.#interruption === undefined) this.#turn('paused', `${end.error.code}: ${end.error.message}`);
        else this.#turn(this.#interruption, undefined);
        break;
      case 'stopped':
        this.#turn(this.#interruption ?? 'pending', undefined);
        break;
    }
    await this.#save();
    const unkept = end.state === 'unkept' && this.#interruption === undefined;
    return { how: unkept ? 'unkept' : 'ended', progress: this.checkpoint };
  }

  /** Shows and saves until it is over, and looks whether the dataset may still be made. */
  async #keepTelling(dataset: Dataset, filling: Filling, over: AbortSignal): Promise<void> {
    await this.#save();
    while (!over.aborted) {
      await elapsed(this.#parts.time, showMs, over);
      if (over.aborted || this.#leaving.signal.aborted) return;
      if (this.#parts.time.now() - this.#savedAtMs >= saveMs) await this.#save();
      else await this.#parts.writer.show(this.batch.id, this.#progress({ ...this.#told, cursor: filling.cursor }));
      // While the store cannot say, the dataset is what it was.
      await this.#checkNotRetired(dataset).catch((error: unknown) => {
        if (!(error instanceof EvokeError) || error.code !== 'RETIRED') return;
        this.#refused = error;
        filling.recall();
      });
    }
  }

  async #save(): Promise<void> {
    const { time, writer } = this.#parts;
    this.#savedAtMs = time.now();
    const { checkpoint } = this;
    // Told first, and as the later word: the board counts chunks beyond the checkpoint.
    const at = timestamp({ now: () => Date.parse(checkpoint.at) + 1 });
    await writer.show(this.batch.id, { ...checkpoint, ...tallyOf(this.#told), at });
    await writer.save(this.batch.id, checkpoint);
  }

  #progress(from: Tally & { readonly cursor: number }): BatchProgress {
    const final = isFinal(this.#state);
    const at = timestamp(this.#parts.time);
    const secondsLeft = final || this.#filling?.waitsForQueue ? undefined : this.#secondsLeft();
    return {
      state: this.#state,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      cursor: from.cursor,
      ...tallyOf(from),
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      ...(final ? { endedAt: at } : {}),
      ...(secondsLeft === undefined ? {} : { estimatedSecondsLeft: secondsLeft }),
      at,
    };
  }

  #secondsLeft(): number | undefined {
    return this.#timeLeft.seconds(this.batch.chunks - settled(this.#told), this.#landings);
  }
}

/** Nothing else of what has a tally. */
function tallyOf({ done, skipped, failed, cpuMicros }: Tally): Tally {
  return { done, skipped, failed, cpuMicros };
}

function settled({ done, skipped, failed }: Tally): number {
  return done + skipped + failed;
}

function minus(tally: Tally, before: Tally): Tally {
  return {
    done: tally.done - before.done,
    skipped: tally.skipped - before.skipped,
    failed: tally.failed - before.failed,
    cpuMicros: tally.cpuMicros - before.cpuMicros,
  };
}
