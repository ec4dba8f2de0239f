// What is said of a batch some of whose chunks failed: how many, and the first of them. It stands in the batch's progress from
// the first failure on, so that it is known at once, and still known after a restart.
import type { EvokeError } from '../core/errors.ts';

const pattern = /^GENERATION_FAILED: \d+ of the chunks failed; (the first: .*)$/s;

/** `first` is why the first chunk failed that did, `before` what was said until now, which knows of an earlier one. */
export function failureReason(failed: number, first: EvokeError | undefined, before: string | undefined): string {
  const event = first?.details['event'];
  const where = typeof event === 'number' ? `event ${event}: ` : '';
  const told = pattern.exec(before ?? '')?.[1] ?? `the first: ${where}${first?.message ?? 'nobody knows why'}`;
  return `GENERATION_FAILED: ${failed} of the chunks failed; ${told}`;
}

/** The same reason, if it is one that outlives a change of state. */
export function lastingReason(reason: string | undefined): string | undefined {
  return reason !== undefined && pattern.test(reason) ? reason : undefined;
}
