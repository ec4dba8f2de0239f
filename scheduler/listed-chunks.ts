// What planning needs of the store: a listing.
import type { ChunkRef } from '../core/chunk.ts';
import type { EventRange } from '../core/event-range.ts';

export interface ListedChunks {
  /** Stored chunks of a derivation that begin within the range, in event order, of whatever grid. */
  list(
    derivation: string,
    batchEvents: number,
    range: EventRange,
  ): AsyncIterable<{ readonly chunk: ChunkRef; readonly bytes: number }>;
}
