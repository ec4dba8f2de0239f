import { expect, test } from 'vitest';
import type { Selection } from '../../formats/representation.ts';
import { entityTag, formats } from '../../formats/representation.ts';
import { selectionOf } from './synthetic.ts';

const selection = selectionOf({ first: 0, end: 100 });

test('an entity tag is 64 hex digits, and the same for the same', () => {
  const tag = entityTag(formats.arrow, selection);
  expect(tag).toMatch(/^[0-9a-f]{64}$/);
  expect(entityTag(formats.arrow, { ...selection })).toBe(tag);
});

test('everything that shows in the bytes changes the tag', () => {
  const others: Selection[] = [
    { ...selection, derivationId: 'f'.repeat(64) },
    { ...selection, range: { first: 1, end: 100 } },
    { ...selection, range: { first: 0, end: 101 } },
    { ...selection, columns: selection.columns.slice(1) },
    { ...selection, grid: { ...selection.grid, batchEvents: 32 } },
    { ...selection, grid: { ...selection.grid, chunkEvents: 128 } },
  ];
  const tags = others.map((other) => entityTag(formats.arrow, other));
  tags.push(entityTag(formats.arrow, selection), entityTag(formats.ndjson, selection));
  tags.push(entityTag({ ...formats.arrow, writer: 'another' }, selection));
  expect(new Set(tags).size).toBe(tags.length);
});

test('the grid does not show in lines, so it does not change their tag', () => {
  const regridded = { ...selection, grid: { events: 1000, chunkEvents: 7, batchEvents: 4 } };
  expect(entityTag(formats.ndjson, regridded)).toBe(entityTag(formats.ndjson, selection));
});
