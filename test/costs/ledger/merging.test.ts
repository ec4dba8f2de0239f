import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Merging } from '../../../costs/ledger/merging.ts';

const sortedLists = fc.array(
  fc.array(fc.nat(9), { maxLength: 12 }).map((list) => list.sort((a, b) => a - b)),
  { maxLength: 9 },
);
const byValue = (a: { value: number }, b: { value: number }) => a.value - b.value;

function takeAll<T>(merging: Merging<T>): T[] {
  const taken: T[] = [];
  for (let next = merging.take(); next !== undefined; next = merging.take()) taken.push(next);
  return taken;
}

test('sorted lists are merged into one, and of equals the earlier list goes first', () => {
  fc.assert(
    fc.property(sortedLists, (numbers) => {
      const lists = numbers.map((list, at) => list.map((value) => ({ value, at })));
      const merging = new Merging(byValue);
      for (const list of lists) merging.add(list);
      expect(takeAll(merging)).toEqual(lists.flat().sort((a, b) => byValue(a, b) || a.at - b.at));
      expect(merging.next).toBeUndefined();
    }),
  );
});

test('a list may come when what is in it is due: the order is the same', () => {
  fc.assert(
    fc.property(sortedLists, (numbers) => {
      const lists = numbers.filter((list) => list.length > 0).sort(([a = 0], [b = 0]) => a - b);
      const merging = new Merging<number>((a, b) => a - b);
      const taken: number[] = [];
      for (const list of lists) {
        while (merging.next !== undefined && merging.next < (list[0] ?? 0)) taken.push(merging.take() ?? Number.NaN);
        merging.add(list);
      }
      expect([...taken, ...takeAll(merging)]).toEqual(lists.flat().sort((a, b) => a - b));
    }),
  );
});
