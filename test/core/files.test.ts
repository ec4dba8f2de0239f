import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { eventsMax } from '../../core/event-range.ts';
import { aroundNumber, eventsBetween, eventsOfFile, fileNumberOf, lfnOf, lfnProblem } from '../../core/files.ts';

const part = fc.string({ unit: fc.constantFrom(...'ab01_.-~+'), maxLength: 12 });
const pattern = fc
  .tuple(part, fc.constantFrom('{n}', '{n:01}', '{n:06}', '{n:09}'), part)
  .map(([before, n, after]) => `F${before}${n}${after}`);
const events = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: eventsMax }));

test('a name has the number that made it, and is of a pattern that is fine', () => {
  fc.assert(
    fc.property(pattern, fc.integer({ min: 1, max: eventsMax }), (lfn, n) => {
      expect(lfnProblem(lfn)).toBeUndefined();
      const name = lfnOf({ lfn }, n);
      expect(fileNumberOf({ lfn }, name)).toBe(n);
      const { before, after } = aroundNumber({ lfn });
      expect(name.startsWith(before) && name.endsWith(after)).toBe(true);
    }),
  );
});

test('only one text is the name of a file: other digits, or anything before or behind, name none', () => {
  const files = { lfn: 'a.{n:03}.root' };
  expect(fileNumberOf(files, 'a.007.root')).toBe(7);
  expect(fileNumberOf(files, 'a.1234.root')).toBe(1234);
  const others = ['a.7.root', 'a.0007.root', 'a.000.root', 'a.-07.root', 'a. 07.root', 'a.0x7.root', 'a.007.root2'];
  for (const name of [...others, 'ba.007.root', 'a..root', 'a.1e3.root', 'a.٠٠٧.root', '', 'a.9007199254740993.root']) {
    expect(fileNumberOf(files, name), name).toBeUndefined();
  }
});

test('the files of a dataset have all of its events, each once, and the last may be short', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 100 }), (all, eventsPerFile) => {
      let next = 0;
      for (let n = 1; ; n++) {
        const file = eventsOfFile({ eventsPerFile }, n, all);
        if (file === undefined) break;
        expect(file.first).toBe(next);
        expect(file.end - file.first).toBe(Math.min(eventsPerFile, all - next));
        next = file.end;
      }
      expect(next).toBe(all);
    }),
  );
});

test('positions and event numbers of the same events give the same range, to the largest number there is', () => {
  const asked = events.chain((all) =>
    fc.record({
      all: fc.constant(all),
      eventsPerFile: fc.integer({ min: 1, max: eventsMax }),
      at: fc.integer({ min: 0, max: all - 1 }),
      count: fc.integer({ min: 1, max: 50 }),
    }),
  );
  fc.assert(
    fc.property(asked, ({ all, eventsPerFile, at, count }) => {
      const n = Math.floor(at / eventsPerFile) + 1;
      const file = eventsOfFile({ eventsPerFile }, n, all);
      if (file === undefined) throw new Error('An event is in some file.');
      const range = { first: at, end: Math.min(at + count, file.end) };
      expect(eventsBetween(range.first + 1, range.end, file, 'event numbers')).toEqual(range);
      const [from, to] = [range.first - file.first + 1, range.end - file.first];
      expect(eventsBetween(from, to, file, 'positions')).toEqual(range);
    }),
  );
});

test('what reaches beyond the file on either side is refused, whatever the numbers count', () => {
  const file = { first: 300, end: 600 };
  const code = (first: number, last: number, bounds: 'positions' | 'event numbers') => {
    try {
      const range = eventsBetween(first, last, file, bounds);
      return `${range.first}-${range.end}`;
    } catch (error) {
      return error instanceof EvokeError ? error.code : error;
    }
  };
  expect(code(1, 300, 'positions')).toBe('300-600');
  expect(code(1, 301, 'positions')).toBe('BEYOND_DATASET');
  expect(code(301, 301, 'positions')).toBe('BEYOND_DATASET');
  expect(code(1, eventsMax, 'positions')).toBe('BEYOND_DATASET');
  expect(code(2, 1, 'positions')).toBe('MALFORMED_RANGE');
  expect(code(301, 600, 'event numbers')).toBe('300-600');
  expect(code(300, 300, 'event numbers')).toBe('BEYOND_DATASET');
  expect(code(600, 601, 'event numbers')).toBe('BEYOND_DATASET');
  expect(code(5, 4, 'event numbers')).toBe('MALFORMED_RANGE');
  expect(() => eventsBetween(1, 301, file, 'positions')).toThrow(
    '1-301 is not within the positions of the file, 1-300.',
  );
});
