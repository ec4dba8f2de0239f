// Which stored chunks of an input are read on the way to a chunk that is derived from it. Its other events are made again: the
// bits are the same either way, so only what it takes decides.
import type { EventRange } from '../core/event-range.ts';
import { eventsIn, within, without } from '../core/event-range.ts';
import { readingSeconds } from './reading.ts';

/** Stored bytes of inputs that are read for one chunk, all links of its chain together: they are held in memory meanwhile. */
export const inputBytesMax: number = 32 * 1024 * 1024;

/** Chunks of inputs that are looked for on the way to one chunk; events beyond them are made again. */
export const inputLooksMax = 1024;

export interface StoredInput {
  readonly range: EventRange;
  /** At rest. */
  readonly bytes: number;
}

/**
 * Whether reading a stored chunk for so many of its events takes less than making these again. `secondsPerEvent`: CPU of the
 * input and of all that it is derived from. That the input's own input could be read in turn is not looked at: whoever keeps
 * the nearer link has the shorter way.
 */
export function isWorthReading(events: number, bytes: number, secondsPerEvent: number): boolean {
  return readingSeconds({ chunks: 1, bytes }) < events * secondsPerEvent;
}

/**
 * Of an input's stored chunks, in the order of their events, those that are read for the wanted events: each that is worth it,
 * as long as together they stay within `bytesMax`. What they hold of the wanted events need not be made, and neither need
 * anything that those are derived from.
 */
export function chunksToRead<C extends StoredInput>(
  stored: readonly C[],
  wanted: readonly EventRange[],
  { secondsPerEvent, bytesMax }: { readonly secondsPerEvent: number; readonly bytesMax: number },
): { readonly read: readonly C[]; readonly left: readonly EventRange[] } {
  const read: C[] = [];
  let left = wanted;
  let bytesLeft = bytesMax;
  for (const chunk of stored) {
    const events = within(left, chunk.range).reduce((sum, range) => sum + eventsIn(range), 0);
    if (chunk.bytes > bytesLeft || !isWorthReading(events, chunk.bytes, secondsPerEvent)) continue;
    read.push(chunk);
    bytesLeft -= chunk.bytes;
    left = without(left, chunk.range);
  }
  return { read, left };
}
