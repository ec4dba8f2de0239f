// Failures that are remembered for a while, so that a chunk that cannot be made is not made over and over by everybody
// who asks. Bounded: the oldest are forgotten first.
import type { Clock } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import { EvokeError } from '../core/errors.ts';
import type { ChunkFailed } from '../queue/job.ts';

const rememberedMs = 60_000;
/** Circumstances that pass by themselves (no space, a store away) are given a new try sooner. */
const passingMs = 5_000;
const passing: readonly ErrorCode[] = ['STORE_UNAVAILABLE', 'QUEUE_UNAVAILABLE', 'OVERLOADED'];
const failuresMax = 4096;

/** Whether an error is one of circumstances, not of the chunk. */
export function isPassing(code: ErrorCode): boolean {
  return passing.includes(code);
}

export class Failures {
  readonly #clock: Clock;
  /** In the order of remembering. */
  readonly #byKey = new Map<string, { failed: ChunkFailed; untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#byKey.size;
  }

  remember(failed: ChunkFailed): void {
    const forMs = isPassing(failed.code) ? passingMs : rememberedMs;
    this.#byKey.delete(failed.key);
    this.#byKey.set(failed.key, { failed, untilMs: this.#clock.now() + forMs });
    if (this.#byKey.size <= failuresMax) return;
    const [oldest] = this.#byKey.keys();
    if (oldest !== undefined) this.#byKey.delete(oldest);
  }

  /** What a request for this chunk is told at once, while the failure is remembered. */
  recall(key: string): EvokeError | undefined {
    const entry = this.#byKey.get(key);
    if (entry === undefined) return undefined;
    const leftMs = entry.untilMs - this.#clock.now();
    if (leftMs > 0) return failureError(entry.failed, leftMs);
    this.#byKey.delete(key);
    return undefined;
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }
}

/**
 * The error a client sees. A worker's reason that is not the generator's (a full disk, an unregistered generator) keeps
 * its own code; everything else that went wrong while generating is GENERATION_FAILED.
 */
export function failureError(failed: ChunkFailed, retryAfterMs = rememberedMs): EvokeError {
  const own = isPassing(failed.code) || failed.code === 'GENERATOR_NOT_REGISTERED';
  return new EvokeError(own ? failed.code : 'GENERATION_FAILED', {
    detail: failed.detail,
    attempts: failed.attempts,
    lastWords: failed.detail,
    ...(failed.event === undefined ? {} : { event: failed.event }),
    chunk: failed.key,
    retryAfterSeconds: Math.ceil(retryAfterMs / 1000),
  });
}
