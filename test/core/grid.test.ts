import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchRawBytesMax, chunkRawBytesMax, resolveGrid } from '../../core/grid.ts';

const costs = fc.record({
  events: fc.integer({ min: 1, max: 1_000_000_000 }),
  cpuSeconds: fc.double({ min: 1e-8, max: 1000, noNaN: true }),
  rawBytes: fc.integer({ min: 1, max: 32 * 1024 * 1024 }),
  chunkSeconds: fc.double({ min: 0.001, max: 3600, noNaN: true }),
});

const isPowerOfTwo = (n: number) => Number.isInteger(Math.log2(n));

test('an unasked grid is the largest power of two within the seconds and the bytes', () => {
  fc.assert(
    fc.property(costs, (cost) => {
      const { chunkEvents, batchEvents } = resolveGrid(cost);
      const fits = (events: number) =>
        events * cost.rawBytes <= chunkRawBytesMax && events <= Math.floor(cost.chunkSeconds / cost.cpuSeconds);
      expect(isPowerOfTwo(chunkEvents)).toBe(true);
      expect(chunkEvents === 1 || fits(chunkEvents)).toBe(true);
      expect(fits(2 * chunkEvents)).toBe(false);
      expect(isPowerOfTwo(batchEvents)).toBe(true);
      expect(batchEvents).toBeLessThanOrEqual(chunkEvents);
      expect(batchEvents === 1 || batchEvents * cost.rawBytes <= batchRawBytesMax).toBe(true);
    }),
  );
});

test('a given chunk size is kept, and its batches fit into it', () => {
  const grid = resolveGrid({ events: 10_000, chunkEvents: 1000, cpuSeconds: 1e-6, rawBytes: 100, chunkSeconds: 2 });
  expect(grid).toEqual({ events: 10_000, chunkEvents: 1000, batchEvents: 512 });
});

test('a given chunk over 8 MiB raw is refused with the largest that would do', () => {
  const request = { events: 10_000, chunkEvents: 8389, cpuSeconds: 1e-6, rawBytes: 1000, chunkSeconds: 2 };
  expect(() => resolveGrid(request)).toThrow(expect.objectContaining({ code: 'INVALID_DECLARATION' }));
  expect(resolveGrid({ ...request, chunkEvents: 8388 }).chunkEvents).toBe(8388);
  try {
    resolveGrid(request);
  } catch (error) {
    expect(error).toMatchObject({
      details: { errors: [{ path: '/chunkEvents', message: expect.stringContaining('8388') }] },
    });
  }
});
