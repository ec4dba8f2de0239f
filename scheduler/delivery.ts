// Delivers the chunks of an event range, in event order, by whatever means each is had. What is in memory is delivered
// without I/O; what is missing is ordered a window ahead of the reader; what is held in memory meanwhile keeps within the
// byte budget of the process. A slow reader slows its own window and nobody else's.
import type { ChunkSpan } from '../core/chunk.ts';
import { chunksCovering } from '../core/chunk.ts';
import type { Dataset } from '../core/dataset.ts';
import { chunkOf } from '../core/dataset.ts';
import type { EventRange } from '../core/event-range.ts';
import { Holds } from './holds.ts';
import type { ListedChunks } from './listed-chunks.ts';
import type { PlanSummary } from './plan.ts';
import { Ride } from './ride.ts';
import type { SlotChunks, SlotFlights } from './slot.ts';
import { sizeOf } from './slot.ts';
import type { Naming } from './survey.ts';
import { indicesAmong, surveyRange } from './survey.ts';
import type { Time } from './time.ts';
import { ByteBudget } from './window.ts';

/** What a delivery needs of the store. */
export type DeliveryChunks = SlotChunks & ListedChunks;

/** What a delivery needs of the flights. */
export interface DeliveryFlights extends SlotFlights {
  /** Of the chunks on order. */
  keys(): Iterable<string>;
}

export interface DeliveryOptions {
  readonly chunks: DeliveryChunks;
  readonly flights: DeliveryFlights;
  /** Bytes that all deliveries of this process hold (setting WINDOW_BYTES). */
  readonly windowBytes: number;
  /** How long a request waits for one chunk (setting WAIT_SECONDS). */
  readonly waitMs: number;
  readonly time: Time;
  /** Told of every chunk delivered: what was used recently is evicted last. */
  readonly touch?: (key: string) => void;
}

export interface OpenOptions {
  /** When aborted, everything on order for this delivery is left and its bytes are free. */
  readonly signal: AbortSignal;
  readonly requestId: string;
}

/** Ranges of at most so many chunks are looked up chunk by chunk; a listing is cheaper beyond. */
const headsMax = 16;
/** More than this is not peeked at in one go: it would hold up the event loop. */
const peeksMax = 4096;

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #budget: ByteBudget;
  readonly #holds: Holds;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#budget = new ByteBudget(options.windowBytes, options.time);
    this.#holds = new Holds(this.#budget);
  }

  /** Bytes held for answers under way. */
  get usedBytes(): number {
    return this.#budget.usedBytes;
  }

  /**
   * Plans a range that lies within the dataset. Nothing is ordered or held before the first chunk is asked for, so a
   * delivery that is only looked at needs no closing. @throws EvokeError STORE_UNAVAILABLE
   */
  async open(dataset: Dataset, range: EventRange, { signal, requestId }: OpenOptions): Promise<Ride> {
    const span = chunksCovering(range, dataset.chunkEvents);
    const surveyed = this.#allInMemory(dataset, span) ?? (await this.#survey(dataset, range, span));
    return new Ride({ ...this.#options, ...surveyed, holds: this.#holds, dataset, range, span, signal, requestId });
  }

  #allInMemory(dataset: Dataset, { first, end }: ChunkSpan): Surveyed | undefined {
    if (end - first > peeksMax) return undefined;
    for (let index = first; index < end; index++) {
      if (this.#options.chunks.peek(chunkOf(dataset, index)) === undefined) return undefined;
    }
    return { summary: { hit: end - first, joined: 0, generated: 0 }, known: new Map(), joined: new Set() };
  }

  async #survey(dataset: Dataset, range: EventRange, span: ChunkSpan): Promise<Surveyed> {
    const chunks = span.end - span.first;
    const underway = indicesAmong(dataset, span, this.#options.flights.keys());
    const { hit, joined, known } =
      chunks <= headsMax ? await this.#lookUp(dataset, span, underway) : await this.#listed(dataset, range, underway);
    return { summary: { hit, joined: joined.size, generated: chunks - hit - joined.size }, known, joined };
  }

  async #lookUp(dataset: Dataset, { first, end }: ChunkSpan, underway: ReadonlySet<number>) {
    const { chunks } = this.#options;
    const known: Surveyed['known'] = new Map(
      await Promise.all(
        Array.from({ length: end - first }, async (_, i) => {
          const chunk = chunkOf(dataset, first + i);
          return [first + i, { bytes: chunks.peek(chunk)?.length ?? (await sizeOf(chunks, chunk)) }] as const;
        }),
      ),
    );
    const absent = [...known].filter(([, { bytes }]) => bytes === undefined).map(([index]) => index);
    const joined = new Set(absent.filter((index) => underway.has(index)));
    return { hit: known.size - absent.length, joined, known };
  }

  async #listed(dataset: Dataset, range: EventRange, underway: ReadonlySet<number>) {
    const special = new Map([...underway].map((index) => [index, 'joined' as const]));
    const naming: Naming<'hit' | 'joined' | 'absent'> = { stored: () => 'hit', absent: 'absent', special };
    const joined = new Set<number>();
    let hit = 0;
    for await (const { state, firstChunk, lastChunk } of surveyRange(dataset, range, this.#options.chunks, naming)) {
      if (state === 'hit') hit += lastChunk - firstChunk + 1;
      if (state === 'joined') for (let index = firstChunk; index <= lastChunk; index++) joined.add(index);
    }
    return { hit, joined, known: new Map() };
  }
}

interface Surveyed {
  readonly summary: PlanSummary;
  /** What was looked up one by one: undefined bytes mean absent. */
  readonly known: ReadonlyMap<number, { readonly bytes: number | undefined }>;
  /** Absent chunks that this process has on order already. */
  readonly joined: ReadonlySet<number>;
}
