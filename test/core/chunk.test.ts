import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  batchesOf,
  chunkCount,
  chunkKey,
  chunkRange,
  chunksCovering,
  chunksInside,
  parseChunkKey,
} from '../../core/chunk.ts';
import { intersection } from '../../core/event-range.ts';

const grids = fc
  .record({
    events: fc.integer({ min: 1, max: 500 }),
    chunkEvents: fc.integer({ min: 1, max: 64 }),
    batchEvents: fc.integer({ min: 1, max: 64 }),
  })
  .map((grid) => ({ ...grid, batchEvents: Math.min(grid.batchEvents, grid.chunkEvents) }));

const gridsWithRange = grids.chain((grid) =>
  fc.record({
    grid: fc.constant(grid),
    range: fc
      .tuple(fc.nat(grid.events - 1), fc.nat(grid.events - 1))
      .map(([a, b]) => ({ first: Math.min(a, b), end: Math.max(a, b) + 1 })),
  }),
);

const derivation = 'ab'.repeat(32);

test('the chunks of a dataset are in order, disjoint, and cover it exactly', () => {
  fc.assert(
    fc.property(grids, (grid) => {
      let at = 0;
      for (let index = 0; index < chunkCount(grid); index++) {
        const range = chunkRange(grid, index);
        expect(range.first).toBe(at);
        expect(range.end).toBeGreaterThan(range.first);
        at = range.end;
      }
      expect(at).toBe(grid.events);
    }),
  );
});

test('the chunks covering a range are those that have an event in common with it', () => {
  fc.assert(
    fc.property(gridsWithRange, ({ grid, range }) => {
      const span = chunksCovering(range, grid.chunkEvents);
      for (let index = 0; index < chunkCount(grid); index++) {
        const touched = intersection(chunkRange(grid, index), range) !== undefined;
        expect(span.first <= index && index < span.end).toBe(touched);
      }
    }),
  );
});

test('the chunks inside a range are those that have no event outside it', () => {
  fc.assert(
    fc.property(gridsWithRange, ({ grid, range }) => {
      const span = chunksInside(range, grid);
      for (let index = 0; index < chunkCount(grid); index++) {
        const chunk = chunkRange(grid, index);
        const inside = range.first <= chunk.first && chunk.end <= range.end;
        expect(span.first <= index && index < span.end).toBe(inside);
      }
    }),
  );
});

test('the record batches of a chunk are in order, disjoint, cover it, and only the last is short', () => {
  fc.assert(
    fc.property(grids, (grid) => {
      const range = chunkRange(grid, chunkCount(grid) - 1);
      const batches = [...batchesOf({ derivation, batchEvents: grid.batchEvents, range })];
      expect(batches[0]?.first).toBe(range.first);
      expect(batches.at(-1)?.end).toBe(range.end);
      batches.slice(1).forEach((batch, i) => {
        expect(batch.first).toBe(batches[i]?.end);
      });
      for (const batch of batches.slice(0, -1)) expect(batch.end - batch.first).toBe(grid.batchEvents);
    }),
  );
});

test('a chunk key names its chunk, and keys sort as events do', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.integer({ min: 1, max: 1 << 20 }), (start, events) => {
      const first = Math.min(Math.abs(start), Number.MAX_SAFE_INTEGER - 2 * events);
      const chunk = { derivation, batchEvents: 512, range: { first, end: first + events } };
      const next = { ...chunk, range: { first: first + events, end: first + 2 * events } };
      expect(parseChunkKey(chunkKey(chunk))).toEqual(chunk);
      expect(chunkKey(chunk) < chunkKey(next)).toBe(true);
    }),
  );
});

test.each(['', 'x', `${derivation}/512/1-2`, `${derivation}/0/0000000000000001-0000000000000002`, '../../etc/passwd'])(
  '%j is not taken for a chunk key',
  (text) => {
    expect(() => parseChunkKey(text)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  },
);
