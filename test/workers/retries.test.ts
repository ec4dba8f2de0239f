import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { failureIn, pauseBeforeRetryMs } from '../../workers/retries.ts';

test('pauses between tries double up to ten seconds, and the second half of each is chance', () => {
  expect([1, 2, 3, 4].map((tries) => pauseBeforeRetryMs(tries, () => 1))).toEqual([250, 500, 1000, 2000]);
  expect([1, 2, 3, 4].map((tries) => pauseBeforeRetryMs(tries, () => 0))).toEqual([125, 250, 500, 1000]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), (tries) => {
      const pause = pauseBeforeRetryMs(tries);
      expect(Number.isInteger(pause)).toBe(true);
      expect(pause).toBeGreaterThanOrEqual(125);
      expect(pause).toBeLessThanOrEqual(10_000);
    }),
  );
});

test('what a generator cannot make is told with its event and never tried again', () => {
  const error = new EvokeError('GENERATION_FAILED', { detail: 'Event 5 cannot be made.', event: 5 });
  expect(failureIn(error, 'k', 1)).toEqual({
    failed: { key: 'k', code: 'GENERATION_FAILED', detail: 'Event 5 cannot be made.', attempts: 1, event: 5 },
    retryable: false,
  });
});

test('a store that is away is tried again, a generator that is not there is not', () => {
  expect(failureIn(new EvokeError('STORE_UNAVAILABLE'), 'k', 2)).toMatchObject({
    failed: { code: 'STORE_UNAVAILABLE', attempts: 2 },
    retryable: true,
  });
  expect(failureIn(new EvokeError('GENERATOR_NOT_REGISTERED'), 'k', 1)).toMatchObject({
    failed: { code: 'GENERATOR_NOT_REGISTERED' },
    retryable: false,
  });
});

test.each([new Error('the thread died'), 'a thrown text', undefined, null, { odd: 1 }])(
  'anything unexpected (%j) is a failed generation that may be tried again',
  (thrown) => {
    const { failed, retryable } = failureIn(thrown, 'k', 1);
    expect(failed).toMatchObject({ key: 'k', code: 'GENERATION_FAILED', attempts: 1 });
    expect(failed.detail.length).toBeGreaterThan(0);
    expect(retryable).toBe(true);
  },
);
