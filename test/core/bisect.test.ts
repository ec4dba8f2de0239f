import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstThat } from '../../core/bisect.ts';

test('it finds what looking at one item after the other finds, or the end', () => {
  const sorted = fc.array(fc.integer({ min: 0, max: 20 })).map((items) => items.sort((a, b) => a - b));
  fc.assert(
    fc.property(sorted, fc.integer({ min: -1, max: 21 }), (items, from) => {
      const one = items.findIndex((item) => item >= from);
      expect(firstThat(items, (item) => item >= from)).toBe(one < 0 ? items.length : one);
    }),
  );
});
