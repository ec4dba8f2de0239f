// When a download tries again: after anything that may pass, as long as tries bring something, as the service asks, and never for ever.
import { ConnectionError, ServiceError } from './errors.ts';

export interface RetryPolicy {
  /** Tries in a row that bring nothing, before it gives up. */
  readonly fruitlessMax: number;
  readonly firstPauseMs: number;
  readonly pauseMsMax: number;
  /** A longer Retry-After is not waited for. */
  readonly retryAfterMsMax: number;
}

export const defaultRetries: RetryPolicy = {
  fruitlessMax: 10,
  firstPauseMs: 250,
  pauseMsMax: 10_000,
  retryAfterMsMax: 600_000,
};

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
