// The strip's arithmetic: every chunk counts in one column, whatever their number, and what is there is seen.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describe, heightsOf, pathsOf, type Run, type State, sharesOf, tally } from '../../dashboard/strip.js';

const states: State[] = ['virtual', 'queued', 'generating', 'materialized', 'failed', 'fossil', 'unseen'];

/** Runs that cover chunks 0 to n-1, in order. */
const someRuns = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 1000 }), fc.constantFrom(...states)), { minLength: 1, maxLength: 60 })
  .map((parts) => {
    let next = 0;
    return parts.map(([chunks, state]): Run => {
      const firstChunk = next;
      next += chunks;
      return { firstChunk, lastChunk: next - 1, state };
    });
  });

const chunksOf = (runs: readonly Run[]) => (runs.at(-1)?.lastChunk ?? -1) + 1;

test('the shares of every column add up to one, and together they hold every chunk once', () => {
  fc.assert(
    fc.property(someRuns, fc.integer({ min: 1, max: 500 }), (runs, wanted) => {
      const chunks = chunksOf(runs);
      const columns = Math.min(wanted, chunks);
      const shares = sharesOf(runs, chunks, columns);
      expect(shares).toHaveLength(columns);
      for (const share of shares) {
        expect([...share.values()].reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
      }
      if (columns === chunks) {
        for (const [state, n] of tally(runs)) {
          expect(shares.reduce((sum, share) => sum + (share.get(state) ?? 0), 0)).toBe(n);
        }
      }
    }),
  );
});

test('layers fill a column at most, and none that is there is left out', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...states), fc.double({ min: 1e-15, max: 1, noNaN: true })), (given) => {
      const share = new Map(Object.entries(given) as [State, number][]);
      const heights = heightsOf(share);
      expect(heights.map(([state]) => state).sort()).toEqual([...share.keys()].filter((s) => s !== 'virtual').sort());
      expect(heights.reduce((sum, [, height]) => sum + height, 0)).toBeLessThanOrEqual(24 + 1e-9);
      for (const [, height] of heights) expect(height).toBeGreaterThanOrEqual(4 - 1e-9);
    }),
  );
});

test('one stored chunk among 2^53 is seen, at its place, and as quickly', () => {
  const chunks = Number.MAX_SAFE_INTEGER;
  const runs: Run[] = [
    { firstChunk: 0, lastChunk: chunks / 2 - 1, state: 'virtual' },
    { firstChunk: Math.floor(chunks / 2), lastChunk: Math.floor(chunks / 2), state: 'materialized' },
    { firstChunk: Math.floor(chunks / 2) + 1, lastChunk: chunks - 1, state: 'virtual' },
  ];
  const paths = pathsOf(runs, chunks, 1000);
  expect([...paths.keys()]).toEqual(['materialized']);
  const x = Number(/^M([\d.]+) /.exec(paths.get('materialized') ?? '')?.[1]);
  expect(x).toBeGreaterThan(490);
  expect(x).toBeLessThan(510);
});

test('a dataset of few chunks shows each by itself, and one of a single chunk fills the strip', () => {
  const few = pathsOf([{ firstChunk: 0, lastChunk: 2, state: 'materialized' }], 3, 300).get('materialized') ?? '';
  expect(few.match(/M/g)).toHaveLength(3);
  const one = pathsOf([{ firstChunk: 0, lastChunk: 0, state: 'failed' }], 1, 100);
  expect(one.get('failed')).toBe('M0 0h99v24H0z');
});

test('a strip of no width, no runs or a state of a later version is drawn without fault', () => {
  expect(pathsOf([], 5, 0).size).toBe(0);
  const later = [{ firstChunk: 0, lastChunk: 4, state: 'frozen' }] as unknown as Run[];
  expect(pathsOf(later, 5, 100).size).toBe(0);
});

test('the strip in words names every state that is there', () => {
  const runs: Run[] = [
    { firstChunk: 0, lastChunk: 9, state: 'materialized' },
    { firstChunk: 10, lastChunk: 1999, state: 'virtual' },
    { firstChunk: 2000, lastChunk: 2000, state: 'materialized' },
    { firstChunk: 2001, lastChunk: 2002, state: 'unseen' },
  ];
  expect(describe(runs, 2003).replaceAll('\u00a0', ' ')).toBe(
    '2,003 chunks: 11 materialized, 1,990 virtual, 2 not looked at',
  );
});
