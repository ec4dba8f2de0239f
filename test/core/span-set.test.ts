import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChunkSpan } from '../../core/chunk.ts';
import { SpanSet } from '../../core/span-set.ts';

const span = fc
  .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 15 }))
  .map(([first, length]) => ({ first, end: first + length }));

const indices = (spans: readonly ChunkSpan[]) =>
  spans.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, i) => first + i));

test('what is added comes back once, in order, and never again', () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 30 }), (spans) => {
      const set = new SpanSet();
      const known = new Set<number>();
      for (const added of spans) {
        const fresh = indices([added]).filter((index) => !known.has(index));
        expect(indices(set.add(added))).toEqual(fresh);
        for (const index of fresh) known.add(index);
      }
    }),
  );
});

test('ten thousand spans in any order are no work', () => {
  const set = new SpanSet();
  let count = 0;
  for (let i = 0; i < 10_000; i++) {
    const first = (i * 7919) % 20_011;
    count += indices(set.add({ first, end: first + 3 })).length;
  }
  expect(count).toBeGreaterThan(10_000);
  expect(set.add({ first: 0, end: 20_014 }).length).toBeGreaterThan(0);
  expect(set.add({ first: 5, end: 20_000 })).toEqual([]);
});
