// What the store's capacity is kept with: which chunks are stored, how large they are, when they were last used, and what
// is promised to chunks still being made. All workers share one book. It may be lost at any time (then it is 'unknown',
// and rebuilt from a listing): the store is the truth.

/**
 * Twice a minute is often enough to renew a reservation, also for a process that is busy or whose Redis is away for a moment;
 * one that died stands in nobody's way for longer than this.
 */
export const reservationMs = 60_000;

/** A stored chunk, as the book knows it. */
export interface UsageEntry {
  /** core/chunk.ts chunkKey. */
  readonly key: string;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly usedAtMs: number;
}

/** Every method may fail with EvokeError QUEUE_UNAVAILABLE: the shared book lives in Redis. */
export interface UsageBook {
  /**
   * Promises `bytes` to a chunk about to be made, when what is stored and promised leaves room for them below `capacityBytes`.
   * A reservation that is neither settled, released nor renewed (its worker died) lapses after `reservationMs`.
   */
  reserve(id: string, bytes: number, capacityBytes: number): Promise<'reserved' | 'full' | 'unknown'>;
  /** The reservation became a stored chunk, used just now. */
  settle(id: string, key: string, bytes: number): Promise<void>;
  release(id: string): Promise<void>;
  /** Those of the reservations that stand hold for `reservationMs` from now on. */
  renew(ids: readonly string[]): Promise<void>;
  /** The least recently used chunks, the oldest first. */
  oldest(count: number): Promise<{ key: string }[]>;
  /** Names what is recorded of a chunk now: another mark once the chunk was settled anew. Undefined where nothing is. */
  mark(key: string): Promise<string | undefined>;
  /** The chunk is gone. Only the record that the mark names is forgotten: the chunk may have been stored again since. */
  forget(key: string, mark: string): Promise<void>;
  /** Takes a listing of the store in; what settles meanwhile stays. From then on the book is known, unless it was lost on the way. */
  rebuild(entries: AsyncIterable<UsageEntry>): Promise<void>;
  /** Later uses of chunks; chunks that the book does not know are ignored, and so is a use before the recorded one. */
  touch(entries: readonly { readonly key: string; readonly usedAtMs: number }[]): Promise<void>;
  /** Undefined while nothing is known. */
  usage(): Promise<{ usedBytes: number; reservedBytes: number } | undefined>;
}
