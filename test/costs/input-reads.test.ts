import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EventRange, eventsIn, within, without } from '../../core/event-range.ts';
import { chunksToRead, inputBytesMax, isWorthReading, type StoredInput } from '../../costs/input-reads.ts';
import { readingSeconds } from '../../costs/reading.ts';

const count = (ranges: readonly EventRange[]) => ranges.reduce((sum, range) => sum + eventsIn(range), 0);

/** Chunks side by side on a grid, some of which are there. */
const anyStored: fc.Arbitrary<StoredInput[]> = fc
  .tuple(
    fc.integer({ min: 1, max: 40 }),
    fc.array(fc.option(fc.integer({ min: 0, max: 2 * inputBytesMax })), { maxLength: 12 }),
  )
  .map(([events, sizes]) =>
    sizes.flatMap((bytes, i) => (bytes === null ? [] : { range: { first: i * events, end: (i + 1) * events }, bytes })),
  );
const anyWanted: fc.Arbitrary<EventRange[]> = fc
  .uniqueArray(fc.integer({ min: 0, max: 300 }), { minLength: 2, maxLength: 8 })
  .map((ends) => ends.sort((a, b) => a - b))
  .map((ends) => ends.flatMap((first, i) => (i % 2 === 0 && ends[i + 1] ? { first, end: ends[i + 1] as number } : [])));
const anySeconds = fc.constantFrom(0, 1e-6, 1e-3, 1);

test('each chunk that is read is worth it, they stay within their bytes, and what is left is what none of them holds', () => {
  fc.assert(
    fc.property(anyStored, anyWanted, anySeconds, (stored, wanted, secondsPerEvent) => {
      const { read, left } = chunksToRead(stored, wanted, { secondsPerEvent, bytesMax: inputBytesMax });
      expect(read.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(inputBytesMax);
      for (const { range, bytes } of read) {
        expect(readingSeconds({ chunks: 1, bytes })).toBeLessThan(count(within(wanted, range)) * secondsPerEvent);
        expect(within(left, range)).toEqual([]);
      }
      expect(count(left)).toBe(count(wanted) - read.reduce((sum, { range }) => sum + count(within(wanted, range)), 0));
      expect(left).toEqual(read.reduce<readonly EventRange[]>((rest, { range }) => without(rest, range), wanted));
      // What is not read would not have paid, or had no room.
      const bytesLeft = inputBytesMax - read.reduce((sum, { bytes }) => sum + bytes, 0);
      for (const chunk of stored.filter((one) => !read.includes(one) && one.bytes <= bytesLeft)) {
        expect(isWorthReading(count(within(wanted, chunk.range)), chunk.bytes, secondsPerEvent)).toBe(false);
      }
    }),
  );
});

test('a megabyte is read where its events would take longer than a few milliseconds', () => {
  const stored = [{ range: { first: 0, end: 100 }, bytes: 1e6 }];
  const wanted = [{ first: 90, end: 1000 }];
  const read = (secondsPerEvent: number) =>
    chunksToRead(stored, wanted, { secondsPerEvent, bytesMax: inputBytesMax }).read.length;
  expect([read(0.000_35), read(0.000_351)]).toEqual([0, 1]);
});

test('the events that two ranges have in common, and those that are left, are told apart event by event', () => {
  const any = fc.tuple(fc.nat({ max: 30 }), fc.integer({ min: 1, max: 10 }));
  const range = any.map(([first, events]) => ({ first, end: first + events }));
  const numbers = (ranges: readonly EventRange[]) =>
    ranges.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, i) => first + i));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 4 }), range, (ranges, other) => {
      const isIn = (event: number) => event >= other.first && event < other.end;
      expect(numbers(within(ranges, other))).toEqual(numbers(ranges).filter(isIn));
      expect(numbers(without(ranges, other))).toEqual(numbers(ranges).filter((event) => !isIn(event)));
    }),
  );
});
