import { expect, test } from 'vitest';
import { type ChunkFailed, failedReason, failureOf, parseFailedReason } from '../../queue/job.ts';

const failed: ChunkFailed = { key: 'k', code: 'GENERATION_FAILED', detail: 'Event 7 "fails".', attempts: 2, event: 7 };

test('a failure survives its way through the one string that the queue carries', () => {
  expect(parseFailedReason(failedReason(failed))).toEqual(failed);
  expect(failureOf('k', failedReason(failed))).toEqual(failed);
});

test.each(['job stalled more than allowable limit', '', '{', 'null', '"text"', '{"key": "k"}', '[1]'])(
  'a reason that is not ours, %j, is told in our words with its own',
  (reason) => {
    expect(parseFailedReason(reason)).toBeUndefined();
    const told = failureOf('a-key', reason);
    expect(told).toMatchObject({ key: 'a-key', code: 'GENERATION_FAILED' });
    expect(told.detail).toContain(reason);
  },
);
