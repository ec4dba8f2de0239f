// How a dataset is cut into chunks and record batches: resolved once, when it is declared, and never again.
import type { Grid } from './chunk.ts';
import { EvokeError, type FieldError } from './errors.ts';

/** A chunk is held whole in memory by whoever makes or serves it. */
export const chunkRawBytesMax = 8 * 1024 * 1024;
/** About what is worth one compression call per column, and what a client gets at a time. */
export const batchRawBytesMax = 1024 * 1024;

export interface GridRequest {
  readonly events: number;
  /** What the dataset's owner asked for, if anything. */
  readonly chunkEvents?: number | undefined;
  /** Per event, from the generator. */
  readonly cpuSeconds: number;
  readonly rawBytes: number;
  /** Most CPU seconds a chunk should take. */
  readonly chunkSeconds: number;
}

/**
 * The given `chunkEvents`, or the largest power of two within `chunkSeconds` and 8 MiB raw; `batchEvents` is the largest
 * power of two, at most `chunkEvents`, within 1 MiB raw. Neither goes below one event, however large that is.
 * @throws EvokeError INVALID_DECLARATION when the given chunk is over 8 MiB raw.
 */
export function resolveGrid(request: GridRequest): Grid {
  const { events, cpuSeconds, rawBytes, chunkSeconds } = request;
  const eventsInChunk = Math.floor(chunkRawBytesMax / rawBytes);
  const tooLarge = request.chunkEvents === undefined ? undefined : chunkTooLarge(request.chunkEvents, rawBytes);
  if (tooLarge !== undefined) {
    throw new EvokeError('INVALID_DECLARATION', {
      detail: 'The declaration was refused: chunkEvents is too large.',
      errors: [tooLarge],
    });
  }
  const affordable = cpuSeconds > 0 ? Math.floor(chunkSeconds / cpuSeconds) : eventsInChunk;
  const chunkEvents = request.chunkEvents ?? powerOfTwoWithin(Math.min(affordable, eventsInChunk));
  const batchEvents = powerOfTwoWithin(Math.min(chunkEvents, Math.floor(batchRawBytesMax / rawBytes)));
  return { events, chunkEvents, batchEvents };
}

/** How a chunk of so many events, of so many raw bytes each, is refused; undefined where it is not. */
export function chunkTooLarge(chunkEvents: number, rawBytes: number): FieldError | undefined {
  const eventsMax = Math.max(1, Math.floor(chunkRawBytesMax / rawBytes));
  if (chunkEvents <= eventsMax) return undefined;
  const bytes = Math.ceil(chunkEvents * rawBytes);
  return {
    path: '/chunkEvents',
    message: `${chunkEvents} events would take about ${bytes} bytes; a chunk holds ${chunkRawBytesMax} bytes, so at most ${eventsMax} events`,
  };
}

/** The largest power of two that is at most n; 1 for anything smaller. By doubling: exact for every safe integer. */
function powerOfTwoWithin(n: number): number {
  let power = 1;
  while (power * 2 <= n) power *= 2;
  return power;
}
