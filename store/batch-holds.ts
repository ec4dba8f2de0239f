// What batches hold: while one is under way, and for a time after its end, its chunks are not evicted for room. So a batch
// larger than the store waits for room instead of making room of its own beginning. At most two seconds behind the store.
import type { BatchRecords } from '../core/batch.ts';
import type { Clock } from '../core/clock.ts';
import { type Dataset, formatDatasetName } from '../core/dataset.ts';
import { type EventRange, intersection } from '../core/event-range.ts';
import { Fresh } from '../core/fresh.ts';
import { isFinal } from '../core/work-state.ts';
import type { BatchIndex } from './batch-index.ts';
import type { Batches } from './batches.ts';

const ageMaxMs = 2_000;

type HeldRanges = ReadonlyMap<string, readonly EventRange[]>;

export class BatchHolds {
  readonly #index: BatchIndex;
  readonly #ranges: Fresh<HeldRanges>;

  constructor(batches: Batches, clock: Clock) {
    this.#index = batches.index((records) => holdsUntilMs(records) > clock.now());
    this.#ranges = new Fresh(() => this.#look(), { maxAgeMs: ageMaxMs, entriesMax: 1, clock });
  }

  /** Whether a batch over this dataset holds any event of the range. @throws EvokeError STORE_UNAVAILABLE */
  async isHeld(dataset: Dataset, range: EventRange): Promise<boolean> {
    const ranges = (await this.#ranges.get('')).get(formatDatasetName(dataset)) ?? [];
    return ranges.some((held) => intersection(held, range) !== undefined);
  }

  async #look(): Promise<HeldRanges> {
    const ranges = new Map<string, EventRange[]>();
    for (const { batch } of await this.#index.look()) {
      ranges.set(batch.dataset, [...(ranges.get(batch.dataset) ?? []), batch.range]);
    }
    return ranges;
  }
}

/** Milliseconds since the epoch; Infinity while it is under way. A cancelled batch holds nothing. */
function holdsUntilMs({ batch, wish, progress }: BatchRecords): number {
  const ended = progress !== undefined && isFinal(progress.state);
  const state = ended ? progress.state : wish?.state;
  if (state === 'cancelled') return Number.NEGATIVE_INFINITY;
  if (!ended) return Number.POSITIVE_INFINITY;
  return Date.parse(progress.endedAt ?? progress.at) + batch.holdSeconds * 1000;
}
