// Holding what event ranges ask for: the chunks of a range stay until it was delivered or HOLD_SECONDS have passed. Half of
// the store may be held, so that there is room for others; what is over that is served all the same, and may be evicted.
import { type Dataset, formatDatasetName } from '../core/dataset.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import type { EventRange } from '../core/event-range.ts';
import type { HeldRange, HoldBook } from '../core/hold-book.ts';
import type { Log } from '../core/log.ts';
import type { GeneratorRegistry } from '../generators/registry.ts';
import type { Deliveries } from './deliveries.ts';

export interface RangeHoldsParts {
  readonly book: Pick<HoldBook, 'hold'>;
  /** What was sent before is told before: it must not end what is held from now on. */
  readonly deliveries: Pick<Deliveries, 'tell'>;
  readonly registry: Pick<GeneratorRegistry, 'costOf'>;
  /** @throws EvokeError STORE_UNAVAILABLE */
  readonly capacityBytes: () => Promise<number>;
  /** Setting HOLD_SECONDS; 0 holds nothing. */
  readonly holdMs: number;
  readonly log: Log;
}

const shareOfRanges = 0.5;
/** Some hundred bytes of Redis for each. */
const chunksMax = 200_000;
const rangesMax = 200_000;

export class RangeHolds {
  readonly holdMs: number;
  readonly #parts: RangeHoldsParts;

  constructor(parts: RangeHoldsParts) {
    this.#parts = parts;
    this.holdMs = parts.holdMs;
  }

  /** Whether each is held now: none is while Redis is away, or what cannot be made again, which is kept anyway. */
  async hold(ranges: readonly { readonly dataset: Dataset; readonly range: EventRange }[]): Promise<boolean[]> {
    const { book, capacityBytes, deliveries, holdMs, log } = this.#parts;
    const held = ranges.map(() => false);
    const wanted: { readonly range: HeldRange; readonly at: number }[] = [];
    const eventBytes = new Map<string, number | undefined>();
    for (const [at, { dataset, range }] of ranges.entries()) {
      const bytes = this.#eventBytes(dataset, eventBytes);
      if (bytes === undefined) continue;
      const { events, chunkEvents, batchEvents, derivationId: derivation } = dataset;
      const chunkBytes = Math.ceil(bytes * Math.min(chunkEvents, events));
      wanted.push({ range: { derivation, range, grid: { events, chunkEvents, batchEvents }, chunkBytes }, at });
    }
    if (holdMs === 0 || wanted.length === 0) return held;
    try {
      await deliveries.tell();
      const bytesMax = Math.floor(shareOfRanges * (await capacityBytes()));
      const answers = await book.hold(
        wanted.map(({ range }) => range),
        holdMs,
        { bytesMax, chunksMax, rangesMax },
      );
      wanted.forEach(({ at }, i) => {
        held[at] = answers[i] ?? false;
      });
    } catch (error) {
      if (!(error instanceof EvokeError)) throw error;
      log.warn({ code: error.code, error: messageOf(error) }, 'event ranges could not be held');
    }
    return held;
  }

  /** What an event takes uncompressed: more than it will. Undefined where no generator makes it. */
  #eventBytes(dataset: Dataset, known: Map<string, number | undefined>): number | undefined {
    const name = formatDatasetName(dataset);
    if (!known.has(name)) known.set(name, this.#parts.registry.costOf(dataset)?.rawBytes);
    return known.get(name);
  }
}
