// What is held for whoever asked for event ranges: the chunks of a range that was accepted stay until its events were
// delivered, or its time is up. All processes share one book. It may be lost at any time, which does no harm: what is
// evicted then is made again when it is asked for.
import { type ChunkSpan, chunkCount, chunkKey, chunkRange, chunksCovering, type Grid } from './chunk.ts';
import type { EventRange } from './event-range.ts';

/** Events of a derivation, on the grid whose chunks have them. The same events asked for again are the same hold. */
export interface HeldRange {
  readonly derivation: string;
  readonly range: EventRange;
  readonly grid: Grid;
  /** What a chunk takes, at most. */
  readonly chunkBytes: number;
}

/** How much may be held altogether. */
export interface HoldLimits {
  readonly bytesMax: number;
  readonly chunksMax: number;
  readonly rangesMax: number;
}

export interface Held {
  readonly ranges: number;
  readonly chunks: number;
  /** By the measure of `chunkBytes`. */
  readonly bytes: number;
}

/** Every method may fail with EvokeError QUEUE_UNAVAILABLE: the shared book lives in Redis. */
export interface HoldBook {
  /**
   * Holds the ranges, one after another, for `holdMs` from now; one that is held already is held for longer where that is
   * later. Answers for each whether it is held: not where it would go over a limit, or has too many chunks.
   */
  hold(ranges: readonly HeldRange[], holdMs: number, limits: HoldLimits): Promise<boolean[]>;
  /** These events were delivered: ranges that lie wholly within them are held no longer. Returns how many were let go. */
  delivered(derivation: string, range: EventRange): Promise<number>;
  /** Whether a chunk (core/chunk.ts chunkKey) is held. */
  isHeld(key: string): Promise<boolean>;
  held(): Promise<Held>;
}

/** More chunks than any range of an event service has; a range that has more is not held. */
export const heldChunksOfRangeMax = 500;

/** The chunks that have the range, or undefined where they are too many to be held. */
export function chunksToHold({ range, grid }: Pick<HeldRange, 'range' | 'grid'>): ChunkSpan | undefined {
  const { first, end } = chunksCovering(range, grid.chunkEvents);
  return end - first > heldChunksOfRangeMax ? undefined : { first, end: Math.min(end, chunkCount(grid)) };
}

/** The keys of those chunks. */
export function keysToHold({ derivation, range, grid }: Omit<HeldRange, 'chunkBytes'>): string[] {
  const { first, end } = chunksToHold({ range, grid }) ?? { first: 0, end: 0 };
  const { batchEvents } = grid;
  return Array.from({ length: end - first }, (_, i) =>
    chunkKey({ derivation, batchEvents, range: chunkRange(grid, first + i) }),
  );
}
