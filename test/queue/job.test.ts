import fc from 'fast-check';
import { expect, test } from 'vitest';
import { errorCatalogue } from '../../core/errors.ts';
import {
  type ChunkFailed,
  failedReason,
  failureOf,
  isChunkJob,
  parseChunkDone,
  parseFailedReason,
} from '../../queue/job.ts';

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

test('whatever a reason or a return value says, it is one of ours in every field, or none', () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.record({
      key: fc.oneof(fc.constant('k'), fc.jsonValue()),
      code: fc.oneof(
        fc.constantFrom('GENERATION_FAILED', 'OF_A_LATER_VERSION', '__proto__', 'toString'),
        fc.jsonValue(),
      ),
      detail: fc.oneof(fc.constant('x'.repeat(10_000)), fc.jsonValue()),
      attempts: fc.jsonValue(),
      event: fc.jsonValue(),
      bytes: fc.oneof(fc.nat(), fc.jsonValue()),
      cpuSeconds: fc.oneof(fc.nat(), fc.jsonValue()),
      generated: fc.boolean(),
      workMs: fc.nat(),
    }),
  );
  fc.assert(
    fc.property(value, (given) => {
      const failed = failureOf('a-key', JSON.stringify(given));
      expect(Object.hasOwn(errorCatalogue, failed.code)).toBe(true);
      expect(failed.detail.length).toBeLessThan(2_100);
      expect(Number.isSafeInteger(failed.attempts)).toBe(true);
      const done = parseChunkDone(given);
      if (done !== undefined) expect([typeof done.key, typeof done.generated]).toEqual(['string', 'boolean']);
      expect(isChunkJob(given)).toBe(false);
    }),
  );
});
