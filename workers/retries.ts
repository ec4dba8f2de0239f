// When a chunk is tried again, and when it is given up.
import { EvokeError, messageOf } from '../core/errors.ts';
import type { ChunkFailed } from '../queue/job.ts';

const firstPauseMs = 250;
const pauseMsMax = 10_000;

/**
 * Starts that may end without a word (the worker was killed, lost its Redis, or put the job back to stop) before the chunk
 * itself is suspected. More than one, because those are no fault of the chunk; not many, because a chunk that does kill
 * its workers takes one down each time, and each time others' chunks with it.
 */
export const silentStartsMax = 10;

/** The pause before the next try: doubles from 250 ms to at most 10 s; the second half of it at random, to keep tries apart. */
export function pauseBeforeRetryMs(attemptsMade: number, random: () => number = Math.random): number {
  const whole = Math.min(firstPauseMs * 2 ** (attemptsMade - 1), pauseMsMax);
  return Math.round(whole * (0.5 + 0.5 * random()));
}

/** What went wrong, as the queue carries it, and whether the same may succeed next time. */
export function failureIn(error: unknown, key: string, attempts: number): { failed: ChunkFailed; retryable: boolean } {
  if (!(error instanceof EvokeError)) {
    // A thread that died or a mistake of a generator: the machine may have been at fault, so it is tried again.
    return { failed: { key, code: 'GENERATION_FAILED', detail: messageOf(error), attempts }, retryable: true };
  }
  const { code, message: detail, retryable } = error;
  const event = error.details['event'];
  return { failed: { key, code, detail, attempts, ...(typeof event === 'number' ? { event } : {}) }, retryable };
}
