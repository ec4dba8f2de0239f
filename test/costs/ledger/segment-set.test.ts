import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Origin } from '../../../costs/ledger/names.ts';
import { SegmentSet } from '../../../costs/ledger/segment-set.ts';

const anyOrigin: fc.Arbitrary<Origin> = fc.record({ process: fc.constantFrom('a', 'b', '__proto__'), n: fc.nat(12) });
const anyOrigins = fc.array(anyOrigin, { maxLength: 20 });
const universe: Origin[] = ['a', 'b', '__proto__', 'c'].flatMap((process) =>
  Array.from({ length: 14 }, (_, n) => ({ process, n })),
);

function setOf(origins: readonly Origin[]): SegmentSet {
  const set = new SegmentSet();
  for (const origin of origins) set.add(origin);
  return set;
}

function isIn(origins: readonly Origin[], { process, n }: Origin): boolean {
  return origins.some((origin) => origin.process === process && origin.n === n);
}

test('a set has what was added, whatever the order, and nothing else', () => {
  fc.assert(
    fc.property(anyOrigins, anyOrigins, (some, others) => {
      const set = setOf(some);
      const union = SegmentSet.ofText(set.toText());
      union.addAll(setOf(others));
      const rest = set.minus(setOf(others));
      for (const origin of universe) {
        expect(set.has(origin)).toBe(isIn(some, origin));
        expect(union.has(origin)).toBe(isIn([...some, ...others], origin));
        expect(rest.has(origin)).toBe(isIn(some, origin) && !isIn(others, origin));
      }
      expect(set.size).toBe(universe.filter((origin) => isIn(some, origin)).length);
      expect(set.includes(setOf(others))).toBe(others.every((origin) => isIn(some, origin)));
      expect(set.includes(rest) && union.includes(set)).toBe(true);
    }),
  );
});

test('equal sets have equal texts, and a text gives the set back', () => {
  fc.assert(
    fc.property(anyOrigins, (origins) => {
      const text = setOf(origins).toText();
      expect(setOf([...origins].reverse()).toText()).toBe(text);
      expect(SegmentSet.ofText(text).toText()).toBe(text);
    }),
  );
});

test('what stands for a day of one process is short', () => {
  const set = setOf(Array.from({ length: 8640 }, (_, n) => ({ process: 'api', n: n + 1 })));
  expect(set.toText()).toBe('[["api",[[1,8640]]]]');
});

test('a text that is no set is refused', () => {
  for (const text of ['', '{}', '[["a",1]]', '[["a",[[1]]]]', '[["a",[[-1,2]]]]']) {
    expect(() => SegmentSet.ofText(text), text).toThrow();
  }
});
