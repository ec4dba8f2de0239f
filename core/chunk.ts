// The chunk grid. A chunk is `chunkEvents` consecutive events of a dataset, the last one clipped to it:
// the unit of queueing, storing, coalescing and eviction, never of randomness.
import { EvokeError } from './errors.ts';
import type { EventRange } from './event-range.ts';

/** How a dataset is cut: fixed at declaration. `batchEvents` divides the chunk into record batches. */
export interface Grid {
  readonly events: number;
  readonly chunkEvents: number;
  readonly batchEvents: number;
}

/** One chunk, named by what fixes its bytes: two datasets of one derivation share chunks where these agree. */
export interface ChunkRef {
  readonly derivation: string;
  readonly batchEvents: number;
  readonly range: EventRange;
}

/** Chunk indices [first, end), 0-based and half-open. */
export interface ChunkSpan {
  readonly first: number;
  readonly end: number;
}

export function chunkCount(grid: Grid): number {
  return Math.ceil(grid.events / grid.chunkEvents);
}

/** Events of chunk `index`. */
export function chunkRange(grid: Grid, index: number): EventRange {
  const first = index * grid.chunkEvents;
  return { first, end: Math.min(first + grid.chunkEvents, grid.events) };
}

/** The chunks that a range touches: consecutive, so a span and not a list. */
export function chunksCovering(range: EventRange, chunkEvents: number): ChunkSpan {
  return { first: Math.floor(range.first / chunkEvents), end: Math.floor((range.end - 1) / chunkEvents) + 1 };
}

/** The chunks that lie wholly inside a range (the clipped last chunk counts as whole at the dataset's end); may be empty. */
export function chunksInside(range: EventRange, grid: Grid): ChunkSpan {
  const first = Math.ceil(range.first / grid.chunkEvents);
  const end = range.end === grid.events ? chunkCount(grid) : Math.floor(range.end / grid.chunkEvents);
  return { first, end: Math.max(first, end) };
}

const digits = 16;

/** `<derivation>/<batchEvents>/<first>-<last>`, event numbers zero-padded so that names sort as events do. */
export function chunkKey(chunk: ChunkRef): string {
  const first = String(chunk.range.first + 1).padStart(digits, '0');
  const last = String(chunk.range.end).padStart(digits, '0');
  return `${chunk.derivation}/${chunk.batchEvents}/${first}-${last}`;
}

const keyPattern = /^([0-9a-f]{64})\/([1-9]\d{0,15})\/(\d{16})-(\d{16})$/;

export function isChunkKey(text: unknown): text is string {
  return typeof text === 'string' && keyPattern.test(text);
}

/** The chunk a key names. @throws EvokeError INTERNAL when it is none. */
export function parseChunkKey(key: string): ChunkRef {
  const match = keyPattern.exec(key);
  if (match === null) throw new EvokeError('INTERNAL', { detail: `"${key}" is not a chunk key.` });
  return {
    derivation: match[1] as string,
    batchEvents: Number(match[2]),
    range: { first: Number(match[3]) - 1, end: Number(match[4]) },
  };
}

/** The record batches of a chunk, in order: event ranges cut at multiples of `batchEvents` from the chunk's first event. */
export function* batchesOf(chunk: ChunkRef): Generator<EventRange> {
  for (let first = chunk.range.first; first < chunk.range.end; first += chunk.batchEvents) {
    yield { first, end: Math.min(first + chunk.batchEvents, chunk.range.end) };
  }
}
