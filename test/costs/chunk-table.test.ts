// Numbers for chunks, and columns by them.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { ChunkTable, Column } from '../../costs/chunk-table.ts';

const ref = fc.record({
  derivation: fc.constantFrom('a', 'b'),
  batchEvents: fc.constantFrom(1, 2),
  range: fc.constantFrom(
    { first: 0, end: 1 },
    { first: 0, end: 2 },
    { first: 1, end: 2 },
    { first: 2 ** 40, end: 2 ** 41 },
  ),
});

test('two chunks have the same number just where they are the same chunk, and numbers leave no gap', () => {
  fc.assert(
    fc.property(fc.array(ref, { maxLength: 40, size: 'max' }), (refs) => {
      const table = new ChunkTable();
      const numbers = refs.map((chunk) => [chunkKey(chunk), table.numberOf(chunk)] as const);
      expect(new Map(numbers).size).toBe(new Set(numbers.map(([, number]) => number)).size);
      for (const [key, number] of numbers) expect(new Map(numbers).get(key)).toBe(number);
      expect(table.size).toBe(new Map(numbers).size);
      for (const [, number] of numbers) expect(number).toBeLessThan(table.size);
    }),
  );
});

test('a table that is full refuses new chunks, and knows the old ones', () => {
  const table = new ChunkTable(2);
  const chunk = (first: number) => ({ derivation: 'a', batchEvents: 1, range: { first, end: first + 1 } });
  expect([table.numberOf(chunk(5)), table.numberOf(chunk(9))]).toEqual([0, 1]);
  expect(() => table.numberOf(chunk(7))).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
  expect(table.numberOf(chunk(9))).toBe(1);
});

test('a column grows with what is set, and is 0 elsewhere', () => {
  const column = new Column();
  column.set(1023, 3);
  column.set(1024, 4);
  column.add(1_000_000, 5);
  column.add(1_000_000, 0.5);
  expect([0, 1023, 1024, 1025, 1_000_000, 5_000_000].map((chunk) => column.get(chunk))).toEqual([0, 3, 4, 0, 5.5, 0]);
});
