// Makes the chunks of a span exist: walks it in order, passes over what is stored, keeps a window of chunks on order, and
// tallies what became of each. What it counts, the store can tell again (times, and the trailers' batch or request): whoever
// goes on from a checkpoint comes to the same tally, whatever was killed in between.
import { Bell } from '../core/bell.ts';
import type { ChunkRef, ChunkSpan } from '../core/chunk.ts';
import { chunkKey } from '../core/chunk.ts';
import type { Dataset } from '../core/dataset.ts';
import { chunkOf } from '../core/dataset.ts';
import { asEvokeError, EvokeError } from '../core/errors.ts';
import { cpuMicrosOf, type Provenance } from '../core/provenance.ts';
import type { Tally } from '../core/work-state.ts';
import { type ChunkJob, orderOf } from '../queue/job.ts';
import type { Priority } from '../queue/priorities.ts';
import { FailureCount } from './failure-count.ts';
import type { BoardOptions, Landing } from './flights.ts';
import { type ListedPlaces, type Place, Places } from './places.ts';
import { type Outcome, Settled } from './settled.ts';
import { type Time, unlessOver } from './time.ts';

export interface FillingChunks extends ListedPlaces {
  head(chunk: ChunkRef): Promise<{ readonly modifiedAtMs: number } | undefined>;
  trailer(chunk: ChunkRef): Promise<Provenance | undefined>;
  /** Reads and verifies; undefined when absent, or damaged and now in quarantine. */
  inspect(chunk: ChunkRef): Promise<{ readonly provenance: Provenance } | undefined>;
}

export interface FillingOptions {
  readonly dataset: Dataset;
  readonly span: ChunkSpan;
  /** Where to go on, with the tally of everything before it; the beginning unless given. */
  readonly from?: Tally & { readonly cursor: number };
  readonly chunks: FillingChunks;
  readonly flights: { board(job: ChunkJob, options: BoardOptions): Promise<Landing> };
  /** How many chunks to have on order at present; asked again as chunks land. */
  readonly window: () => number;
  readonly priority: Priority;
  /** The request that asked for the work. */
  readonly requestId: string;
  /** Id of the batch that the work is. */
  readonly batch?: string;
  /** When the work was asked for: what was stored before was there already. */
  readonly sinceMs: number;
  readonly time: Time;
  /** Whether one more chunk may be ordered while so many are on order: asked before every order. */
  readonly mayOrder?: (onOrder: number) => boolean;
  /** Told after every change of the tally. */
  readonly onChange?: () => void;
}

export type FillingEnd =
  /** Every chunk is settled. */
  | { readonly state: 'filled' }
  /** By `drain` or `recall`. */
  | { readonly state: 'stopped' }
  /** By the signal: what was on order still is. */
  | { readonly state: 'left' }
  /** `mayOrder` said no with nothing on order. */
  | { readonly state: 'spent' }
  /** The store cannot be used: chunks could not be kept, or found. Nothing is on order any more. */
  | { readonly state: 'unkept'; readonly error: EvokeError }
  /** Nothing can be made (no such generator, or chunk after chunk failed). Nothing is on order any more. */
  | { readonly state: 'hopeless'; readonly error: EvokeError };

/** A store's clock may differ from ours by so much; what was stored within it is decided by its trailer. */
const clockSkewMs = 60_000;
/** Trailers read at a time beside the chunks on order. */
const looksMax = 16;
/** How far the walk may be ahead of the first chunk that is not settled. */
const spreadMax = 4_096;
/** Until the queue is asked again, or a chunk tried again after a failure of circumstances. */
const pauseMs = 2_000;
const triesMax = 3;

export class Filling {
  readonly #options: FillingOptions;
  readonly #settled: Settled;
  readonly #places: Places;
  /** Chunks whose outcome is awaited. */
  readonly #open = new Set<number>();
  /** Those of them that are on order, by key. */
  readonly #onOrder = new Map<string, number>();
  readonly #recalled = new AbortController();
  #place: Place | undefined;
  /** The first chunk index that the walk has not come to. */
  #ahead: number;
  #stopping: FillingEnd | undefined;
  #left = false;
  readonly #bell = new Bell();
  #queueAway = 0;
  #landings = 0;
  readonly #failures = new FailureCount();

  constructor(options: FillingOptions) {
    const { dataset, span, from, chunks, time } = options;
    this.#options = options;
    this.#settled = new Settled(Math.max(from?.cursor ?? 0, span.first), from);
    this.#ahead = this.#settled.cursor;
    this.#places = new Places(dataset, { first: this.#settled.cursor, end: span.end }, chunks, time);
  }

  /** Of all chunks settled so far. */
  get tally(): Tally {
    return this.#settled.tally;
  }

  /** Everything before this chunk index is settled. */
  get cursor(): number {
    return this.#settled.cursor;
  }

  /** What to write down, and to go on from. */
  get checkpoint(): Tally & { readonly cursor: number } {
    return this.#settled.checkpoint;
  }

  /** Keys of the chunks on order, in the order of ordering. */
  get onOrder(): ReadonlyMap<string, unknown> {
    return this.#onOrder;
  }

  /** Chunks that had to be waited for and came: what a rate is computed from. */
  get landings(): number {
    return this.#landings;
  }

  /** Whether it waits for the queue. */
  get waitsForQueue(): boolean {
    return this.#queueAway > 0;
  }

  /** Why the first chunk failed that did. */
  get firstFailure(): EvokeError | undefined {
    return this.#failures.first;
  }

  /**
   * Works until everything is settled or something ends it; once. With the signal it ends at once, and what is on order stays
   * on order: for a process that stops while the work goes on elsewhere. Rejects only for mistakes.
   */
  async run(signal: AbortSignal): Promise<FillingEnd> {
    const leave = () => {
      this.#left = true;
      this.#bell.ring();
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    try {
      await this.#walk();
      while (this.#open.size > 0 && !this.#left) await this.#bell.next();
    } catch (error) {
      this.#giveUp(error);
      throw error;
    } finally {
      signal.removeEventListener('abort', leave);
      await this.#places.close().catch(() => undefined);
    }
    if (this.#left) return { state: 'left' };
    const filled = this.#settled.cursor === this.#options.span.end;
    return filled ? { state: 'filled' } : (this.#stopping ?? { state: 'stopped' });
  }

  /** Orders nothing more; ends when what is on order has come. */
  drain(): void {
    this.#stop({ state: 'stopped' });
  }

  /** Takes back what no worker has begun; ends when what was begun has come. */
  recall(): void {
    this.#stop({ state: 'stopped' });
    this.#recalled.abort(new Error('The work was stopped.'));
  }

  /** Nothing more is to be ordered. */
  get #over(): boolean {
    return this.#stopping !== undefined || this.#left;
  }

  async #walk(): Promise<void> {
    while (!this.#over) {
      if (!this.#hasRoom()) {
        await this.#bell.next();
        continue;
      }
      try {
        this.#place ??= await this.#places.next();
      } catch (error) {
        this.#giveUp(error);
        return;
      }
      if (this.#over || this.#place === undefined) return;
      if (!(await this.#take(this.#place))) continue;
      this.#ahead = this.#place.index + 1;
      this.#place = undefined;
    }
  }

  #hasRoom(): boolean {
    const window = this.#options.window();
    const spread = this.#ahead - this.#settled.cursor;
    return this.#onOrder.size < window && this.#open.size < window + looksMax && spread < spreadMax;
  }

  /** Whether the place is taken care of; if not, it has waited for a change. */
  async #take({ index, storedAtMs }: Place): Promise<boolean> {
    const { dataset, mayOrder, sinceMs } = this.#options;
    if (storedAtMs !== undefined && storedAtMs < sinceMs - clockSkewMs) {
      this.#settle(index, { kind: 'skipped' });
      return true;
    }
    if (storedAtMs === undefined && mayOrder?.(this.#onOrder.size) === false) {
      if (this.#open.size === 0) this.#stop({ state: 'spent' });
      else await this.#bell.next();
      return false;
    }
    const chunk = chunkOf(dataset, index);
    const key = chunkKey(chunk);
    this.#open.add(index);
    // From now on, so that the window counts it.
    if (storedAtMs === undefined) this.#onOrder.set(key, index);
    void this.#fill(index, chunk, key);
    return true;
  }

  async #fill(index: number, chunk: ChunkRef, key: string): Promise<void> {
    try {
      const outcome = await this.#outcome(index, chunk, key);
      if (outcome !== undefined && !this.#left) this.#settle(index, outcome);
    } catch (error) {
      this.#giveUp(error);
    } finally {
      this.#onOrder.delete(key);
      this.#open.delete(index);
      this.#bell.ring();
    }
  }

  /** Undefined when the work was stopped first. */
  async #outcome(index: number, chunk: ChunkRef, key: string): Promise<Outcome | undefined> {
    for (let tries = 1; ; tries++) {
      try {
        const there = await this.#look(chunk);
        if (there !== undefined) return there;
        if (this.#over) return undefined;
        this.#onOrder.set(key, index);
        return await this.#make(chunk);
      } catch (error) {
        if (this.#recalled.signal.aborted && error === this.#recalled.signal.reason) return undefined;
        const code = error instanceof EvokeError ? error.code : 'INTERNAL';
        if (code === 'STORE_UNAVAILABLE' || code === 'GENERATOR_NOT_REGISTERED') throw error;
        const waits = code === 'QUEUE_UNAVAILABLE' || code === 'OVERLOADED';
        if (code === 'GENERATION_FAILED' || (!waits && tries >= triesMax)) return this.#failed(error);
        if (waits) tries--;
        if (code === 'QUEUE_UNAVAILABLE') this.#queueAway++;
        await unlessOver(this.#options.time, pauseMs, this.#bell, () => this.#over);
        if (code === 'QUEUE_UNAVAILABLE') this.#queueAway--;
        if (this.#over) return undefined;
      }
    }
  }

  /** What a stored chunk counts as; undefined when it is absent. */
  async #look(chunk: ChunkRef): Promise<Outcome | undefined> {
    const { chunks, sinceMs } = this.#options;
    const stored = await chunks.head(chunk);
    if (stored === undefined) return undefined;
    if (stored.modifiedAtMs < sinceMs - clockSkewMs) return { kind: 'skipped' };
    const provenance = (await chunks.trailer(chunk)) ?? (await chunks.inspect(chunk))?.provenance;
    return provenance && this.#counted(provenance);
  }

  async #make(chunk: ChunkRef): Promise<Outcome> {
    const { chunks, dataset, flights, priority } = this.#options;
    const waitMs = Number.POSITIVE_INFINITY;
    const landing = await flights.board(orderOf(dataset, chunk, this.#options), {
      priority,
      waitMs,
      recall: this.#recalled.signal,
    });
    const provenance = await chunks.trailer(chunk);
    this.#landings++;
    if (provenance !== undefined) return this.#counted(provenance);
    // Gone again already.
    return landing.generated ? { kind: 'done', cpuMicros: 0 } : { kind: 'skipped' };
  }

  #counted(provenance: Provenance): Outcome {
    const { batch, requestId } = this.#options;
    const own = batch === undefined ? provenance.requestId === requestId : provenance.batch === batch;
    return own ? { kind: 'done', cpuMicros: cpuMicrosOf(provenance) } : { kind: 'skipped' };
  }

  #failed(error: unknown): Outcome {
    const known = asEvokeError(error);
    if (!this.#failures.failed(known)) this.#giveUp(known);
    return { kind: 'failed' };
  }

  #settle(index: number, outcome: Outcome): void {
    if (outcome.kind === 'done') this.#failures.made();
    this.#settled.settle(index, outcome);
    this.#options.onChange?.();
    this.#bell.ring();
  }

  #giveUp(error: unknown): void {
    const known = asEvokeError(error);
    this.#stop({ state: known.code === 'STORE_UNAVAILABLE' ? 'unkept' : 'hopeless', error: known });
    this.#recalled.abort(known);
  }

  /** The first reason counts. */
  #stop(end: FillingEnd): void {
    this.#stopping ??= end;
    this.#bell.ring();
  }
}
