// When a client tries again: after anything that may pass, as long as tries bring something, as the service asks, and never for ever.
import { pause } from '../core/clock.ts';
import { ConnectionError, ServiceError } from './errors.ts';

export interface RetryPolicy {
  /** Tries in a row that bring nothing, before it gives up. */
  readonly fruitlessMax: number;
  readonly firstPauseMs: number;
  readonly pauseMsMax: number;
  /** A longer Retry-After is not waited for. */
  readonly retryAfterMsMax: number;
  /**
   * Whether a first call that nobody answers is repeated, too: a program may wait for a service that starts again, a person
   * wants to hear at once that none runs.
   */
  readonly evenUnanswered?: boolean;
}

export const defaultRetries: RetryPolicy = {
  fruitlessMax: 10,
  firstPauseMs: 250,
  pauseMsMax: 10_000,
  retryAfterMsMax: 600_000,
};

/** For work that takes long and is worth waiting for a service that is away: about ten minutes without a word. */
export const patientRetries: RetryPolicy = { ...defaultRetries, fruitlessMax: 65 };

/** How long to wait before the next try, or undefined when there is to be none. `fruitless`: tries without gain, this one included. */
export function pauseBeforeRetry(
  error: unknown,
  fruitless: number,
  policy: RetryPolicy,
  random: () => number,
): number | undefined {
  const mayPass = error instanceof ConnectionError || (error instanceof ServiceError && error.retryable);
  if (!mayPass || fruitless >= policy.fruitlessMax) return undefined;
  const asked = error instanceof ServiceError ? error.retryAfterMs : undefined;
  if (asked !== undefined) return asked <= policy.retryAfterMsMax ? asked : undefined;
  // Half of it is chance, so that clients cut off together do not come back together.
  const longest = Math.min(policy.pauseMsMax, policy.firstPauseMs * 2 ** (fruitless - 1));
  return longest * (0.5 + 0.5 * random());
}

export interface RetriedOptions {
  readonly policy: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
  /** Whether it does no harm to call again after this error; always, unless said. */
  readonly mayRepeat?: (error: unknown) => boolean;
  /** Told before every wait. */
  readonly onWait?: (error: unknown) => void;
}

/**
 * What the call gives, over as many tries as the policy allows.
 * @throws what the last try threw; the signal's reason
 */
export async function retried<T>(call: () => Promise<T>, options: RetriedOptions): Promise<T> {
  const { policy, signal, mayRepeat = () => true, onWait } = options;
  let answered = policy.evenUnanswered === true;
  for (let fruitless = 1; ; fruitless++) {
    try {
      signal?.throwIfAborted();
      return await call();
    } catch (error) {
      signal?.throwIfAborted();
      answered ||= !(error instanceof ConnectionError);
      const ms = answered && mayRepeat(error) ? pauseBeforeRetry(error, fruitless, policy, Math.random) : undefined;
      if (ms === undefined) throw error;
      onWait?.(error);
      await pause(ms, signal);
    }
  }
}
