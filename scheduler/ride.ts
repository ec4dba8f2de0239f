// One answer's way through its chunks, as an iterator that the reader pulls: what is in memory is handed over at once, the
// rest is prepared (scheduler/slot.ts) a window ahead of the reader, and nothing outlives the answer's end.
import type { ChunkRef, ChunkSpan } from '../core/chunk.ts';
import { chunkKey } from '../core/chunk.ts';
import { chunkOf } from '../core/dataset.ts';
import type { EventRange } from '../core/event-range.ts';
import { intersection } from '../core/event-range.ts';
import type { Landing } from './flights.ts';
import type { Held } from './holds.ts';
import { Pace } from './pace.ts';
import type { Means, PlanSummary } from './plan.ts';
import type { SlotSurroundings } from './slot.ts';
import { Slot } from './slot.ts';

export interface RideOptions extends Omit<SlotSurroundings, 'stop' | 'isNeeded' | 'landed'> {
  /** Told of every chunk delivered. */
  readonly touch?: (key: string) => void;
  readonly range: EventRange;
  readonly span: ChunkSpan;
  readonly summary: PlanSummary;
  /** Sizes of chunks that the plan looked up, undefined for absent ones. */
  readonly known: ReadonlyMap<number, { readonly bytes: number | undefined }>;
  /** Chunks that the summary counts as joined. */
  readonly joined: ReadonlySet<number>;
  readonly signal: AbortSignal;
}

export interface DeliveredChunk {
  readonly chunk: ChunkRef;
  /** Those of its events that were asked for. */
  readonly part: EventRange;
  /** The chunk at rest; not to be changed or moved. */
  readonly stored: Buffer;
  readonly means: Means;
  /** For chunks that had to be made: milliseconds from the order to the start of the work, and of the work. */
  readonly queueMs?: number;
  readonly workMs?: number;
}

type Result = IteratorResult<DeliveredChunk, undefined>;

const finished: Result = { done: true, value: undefined };

export class Ride implements AsyncIterableIterator<DeliveredChunk, undefined> {
  readonly #options: RideOptions;
  readonly #surroundings: SlotSurroundings;
  readonly #counts: { hit: number; joined: number; generated: number };
  readonly #joined: Set<number>;
  readonly #pace = new Pace();
  readonly #stop = new AbortController();
  readonly #slots = new Map<number, Slot>();
  /** Looks, and the orders that follow from them, happen in the order of the chunks: so does the queue's work. */
  #looks: Promise<void> = Promise.resolve();
  #next: number;
  #considered: number;
  #current: Held | undefined;
  #started = false;
  #end: { readonly error?: unknown } | undefined;

  constructor(options: RideOptions) {
    this.#options = options;
    this.#surroundings = {
      ...options,
      stop: this.#stop.signal,
      isNeeded: (index) => index === this.#next - 1,
      landed: (index, landing) => this.#landed(index, landing),
    };
    this.#counts = { ...options.summary };
    this.#joined = new Set(options.joined);
    this.#next = options.span.first;
    this.#considered = options.span.first;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Chunks in all. */
  get chunks(): number {
    return this.#options.span.end - this.#options.span.first;
  }

  /** As planned, corrected by what landed so far: whose order it was shows only then. */
  get summary(): PlanSummary {
    return { ...this.#counts };
  }

  /** How many chunks it prepares ahead of the reader at present. */
  get ahead(): number {
    return this.#pace.ahead;
  }

  /**
   * The next chunk; what was delivered before is released. Fails with what scheduler/flights.ts names, with OVERLOADED for
   * want of room or time, or with the signal's reason; once it failed it goes on failing, so that a part never looks whole.
   */
  next(): Promise<Result> {
    this.#current?.release();
    this.#current = undefined;
    if (!this.#started) this.#start();
    if (this.#end !== undefined) {
      return 'error' in this.#end ? Promise.reject(this.#end.error) : Promise.resolve(finished);
    }
    if (this.#next === this.#options.span.end) return this.return();
    const index = this.#next++;
    this.#feelPace(index);
    this.#prepareAhead(index);
    const hot = this.#fromMemory(index);
    if (hot !== undefined) return Promise.resolve({ done: false, value: hot });
    return this.#untilEnd(this.#need(this.#slots.get(index) ?? this.#prepare(index)));
  }

  /** Leaves all that is on order and frees all that is held; a pending `next` ends as done. */
  return(): Promise<Result> {
    this.#close({});
    return Promise.resolve(finished);
  }

  throw(error: unknown): Promise<Result> {
    this.#close({ error });
    return Promise.reject(error);
  }

  #start(): void {
    this.#started = true;
    const { signal } = this.#options;
    if (signal.aborted) this.#close({ error: signal.reason });
    else signal.addEventListener('abort', this.#aborted, { once: true });
  }

  readonly #aborted = () => this.#close({ error: this.#options.signal.reason });

  #close(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#options.signal.removeEventListener('abort', this.#aborted);
    this.#current?.release();
    this.#current = undefined;
    for (const slot of this.#slots.values()) slot.drop();
    this.#slots.clear();
    this.#stop.abort('error' in end ? end.error : new Error('The delivery was closed.'));
  }

  #feelPace(index: number): void {
    const slot = this.#slots.get(index);
    // The first chunk was not prepared ahead, nor was one that was in memory when it was considered.
    if (slot === undefined) return;
    if (slot.readyAtMs !== undefined) this.#pace.foundReady(this.#options.time.now() - slot.readyAtMs);
    else if (slot.ordered) this.#pace.waited();
  }

  #prepareAhead(index: number): void {
    const { chunks, dataset, span } = this.#options;
    for (const slot of this.#slots.values()) slot.readIfRoom();
    const end = Math.min(span.end, index + 1 + this.#pace.ahead);
    for (; this.#considered < end; this.#considered++) {
      if (chunks.peek(chunkOf(dataset, this.#considered)) === undefined) this.#prepare(this.#considered);
    }
  }

  #prepare(index: number): Slot {
    const slot = new Slot(index, this.#surroundings, this.#options.known.get(index), this.#looks);
    this.#looks = slot.looked;
    this.#slots.set(index, slot);
    return slot;
  }

  #fromMemory(index: number): DeliveredChunk | undefined {
    const { chunks, dataset, holds } = this.#options;
    const slot = this.#slots.get(index);
    if (slot?.untouched === false) return undefined;
    const chunk = chunkOf(dataset, index);
    const stored = chunks.peek(chunk);
    if (stored === undefined) return undefined;
    const key = chunkKey(chunk);
    const held = holds.holdNow(key, stored);
    if (held === undefined) return undefined;
    slot?.drop();
    this.#slots.delete(index);
    return this.#deliver(chunk, key, held, undefined, 'memory');
  }

  async #need(slot: Slot): Promise<Result> {
    const { held, landing } = await slot.need();
    this.#slots.delete(slot.index);
    if (this.#end !== undefined) {
      held.release();
      return finished;
    }
    const means = landing === undefined ? 'near' : landing.joined ? 'join' : 'generate';
    return { done: false, value: this.#deliver(slot.chunk, slot.key, held, landing, means) };
  }

  #deliver(chunk: ChunkRef, key: string, held: Held, landing: Landing | undefined, means: Means): DeliveredChunk {
    this.#current = held;
    this.#options.touch?.(key);
    const part = intersection(chunk.range, this.#options.range) ?? chunk.range;
    const times = landing && { queueMs: landing.queueMs, workMs: landing.workMs };
    return { chunk, part, stored: held.stored, means, ...times };
  }

  #landed(index: number, { joined }: Landing): void {
    if (!joined || this.#joined.has(index) || this.#counts.generated === 0) return;
    this.#joined.add(index);
    this.#counts.joined++;
    this.#counts.generated--;
  }

  /** What a pending `next` gives: its chunk, or at once the end that the ride has come to. */
  #untilEnd(needed: Promise<Result>): Promise<Result> {
    const { signal } = this.#stop;
    return new Promise<Result>((resolve, reject) => {
      const ended = () => {
        if (this.#end !== undefined && 'error' in this.#end) reject(this.#end.error);
        else resolve(finished);
      };
      signal.addEventListener('abort', ended, { once: true });
      needed
        .then(resolve, (error: unknown) => {
          this.#close({ error });
          ended();
        })
        .finally(() => signal.removeEventListener('abort', ended));
    });
  }
}
