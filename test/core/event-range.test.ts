import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { eventsIn, formatEventRange, intersection, parseEventRange } from '../../core/event-range.ts';

const eventNumbers = fc.maxSafeInteger().map((n) => Math.abs(n) || 1);

test('a range is read as it is written, for every pair of event numbers', () => {
  fc.assert(
    fc.property(eventNumbers, eventNumbers, (a, b) => {
      const text = `${Math.min(a, b)}-${Math.max(a, b)}`;
      const range = parseEventRange(text);
      expect(formatEventRange(range)).toBe(text);
      expect(range.first).toBe(Math.min(a, b) - 1);
      expect(eventsIn(range)).toBe(Math.max(a, b) - Math.min(a, b) + 1);
    }),
  );
});

test.each([
  '',
  '1',
  '-',
  '1-',
  '-1',
  '1--2',
  '0-5',
  '01-5',
  '+1-5',
  '1-5 ',
  ' 1-5',
  '1-5\n',
  '1–5',
  '1.0-5',
  '1e3-2e3',
  '0x1-5',
  '١-٥',
  '1-2-3',
  '12345678901234567-12345678901234568',
])('%j is refused as a range', (text) => {
  expect(() => parseEventRange(text)).toThrow(expect.objectContaining({ code: 'MALFORMED_RANGE' }));
});

test('a last event before the first is refused, and the message names both', () => {
  expect(() => parseEventRange('10-9')).toThrow(EvokeError);
  expect(() => parseEventRange('10-9')).toThrow(/9.*10/);
});

test('sixteen digits beyond the safe integers still lie beyond every dataset', () => {
  expect(parseEventRange('1-9999999999999999').end).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
  expect(parseEventRange('9007199254740993-9007199254740993').end).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
});

test('an intersection holds exactly the events of both', () => {
  const small = fc
    .tuple(fc.nat(40), fc.integer({ min: 1, max: 40 }))
    .map(([first, events]) => ({ first, end: first + events }));
  fc.assert(
    fc.property(small, small, (a, b) => {
      const both = intersection(a, b);
      for (let index = 0; index < 80; index++) {
        const inBoth = [a, b].every((range) => range.first <= index && index < range.end);
        expect(both !== undefined && both.first <= index && index < both.end).toBe(inBoth);
      }
    }),
  );
});
