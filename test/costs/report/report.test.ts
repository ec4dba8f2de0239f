// Every report equals one that is reckoned in another way, and keeps the laws that a bill has.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Access, LedgerEntry } from '../../../core/ledger.ts';
import { sumOfBills } from '../../../costs/report/bill.ts';
import type { CostReport } from '../../../costs/report/report.ts';
import { worlds } from '../../../costs/report/report.ts';
import { Account, tariffOf } from '../../../costs/tariff.ts';
import {
  anyLedger,
  anyPrices,
  anyWindow,
  asReckoned,
  dayMs,
  epochMs,
  inOrder,
  plainPrices,
  report,
} from './ledgers.ts';
import { reckon } from './reckoner.ts';

const by = fc.constantFrom('dataset', 'day', 'generator');
const oneOrAll = fc.constantFrom(undefined, undefined, 'a:one');

test('a report equals one that is reckoned in another way, to the nano-unit and the byte-millisecond', async () => {
  await fc.assert(
    fc.asyncProperty(anyLedger, anyWindow, by, oneOrAll, anyPrices, async (entries, window, by, dataset, prices) => {
      const query = { ...window, by, dataset };
      expect(asReckoned(await report(entries, query, prices))).toEqual(reckon(inOrder(entries), query, prices));
    }),
    { numRuns: 300 },
  );
});

test('rows add up to the total, and totals are the same by dataset, by day and by generator', async () => {
  await fc.assert(
    fc.asyncProperty(anyLedger, anyWindow, anyPrices, oneOrAll, async (entries, window, prices, dataset) => {
      const reports = await Promise.all(
        (['dataset', 'day', 'generator'] as const).map((by) => report(entries, { ...window, by, dataset }, prices)),
      );
      for (const { rows, total } of reports) {
        for (const world of worlds) {
          expect(sumOfBills(rows.map((row) => row[world]))).toEqual(total[world]);
          expect(total[world].cost).toBe(Object.values(total[world].costs).reduce((sum, cost) => sum + cost, 0n));
          expect(total[world].quantities).toEqual(reports[0]?.total[world].quantities);
          expect(total[world].cost).toBe(reports[0]?.total[world].cost);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('the optimum never costs more than keeping nothing or keeping everything: in total, and for every dataset and generator', async () => {
  await fc.assert(
    fc.asyncProperty(anyLedger, anyWindow, by, anyPrices, async (entries, window, by, prices) => {
      const { rows, total } = await report(entries, { ...window, by }, prices);
      for (const { never, always, optimum } of by === 'day' ? [total] : [total, ...rows]) {
        expect(optimum.cost <= never.cost).toBe(true);
        expect(optimum.cost <= always.cost).toBe(true);
      }
    }),
    { numRuns: 200 },
  );
});

test('the CPU of the actual world is that of the ledger, wherever the CPU went', async () => {
  await fc.assert(
    fc.asyncProperty(anyLedger, anyWindow, by, async (entries, { fromMs, toMs }, by) => {
      const told = inOrder(entries).filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
      const micros = told.map((entry) => ('cpuMicros' in entry ? BigInt(entry.cpuMicros) : 0n));
      const { total } = await report(entries, { fromMs, toMs, by });
      expect(total.actual.quantities.cpuMicros).toBe(micros.reduce((sum, cpu) => sum + cpu, 0n));
    }),
    { numRuns: 50 },
  );
});

test('the report of one dataset is its row in the report of all', async () => {
  await fc.assert(
    fc.asyncProperty(anyLedger, anyWindow, anyPrices, async (entries, window, prices) => {
      const all = await report(entries, { ...window, by: 'dataset' }, prices);
      const one = await report(entries, { ...window, by: 'dataset', dataset: 'a:two' }, prices);
      expect(one.rows).toEqual(all.rows.filter(({ key }) => key === 'a:two'));
    }),
    { numRuns: 100 },
  );
});

test('what is served and how often is the same in every world', async () => {
  await fc.assert(
    fc.asyncProperty(anyLedger, anyWindow, by, async (entries, window, by) => {
      for (const row of (await report(entries, { ...window, by })).rows) {
        for (const world of worlds) {
          expect(row[world].quantities.accesses).toBe(row.actual.quantities.accesses);
          expect(row[world].quantities.bytesServed).toBe(row.actual.quantities.bytesServed);
        }
      }
    }),
    { numRuns: 50 },
  );
});

const chunk = {
  dataset: 'a:one',
  generator: 'minbias',
  derivation: 'd'.repeat(64),
  batchEvents: 16,
  range: { first: 0, end: 64 },
};
const work = { attempt: 1, requestId: 'r', batch: '' };
const generation = (atMs: number, cpuMicros: number, wallMicros = cpuMicros): LedgerEntry => ({
  kind: 'generation',
  ...chunk,
  ...work,
  atMs,
  cpuMicros,
  wallMicros,
  bytes: 0,
});
const put = (atMs: number, bytes: number): LedgerEntry => ({ kind: 'put', ...chunk, atMs, bytes });
const access = (atMs: number, means: Access['means'] = 'near'): Access => ({
  kind: 'access',
  ...chunk,
  atMs,
  requestId: 'r',
  means,
  events: 64,
  bytesServed: 1000,
  waitMicros: 0,
});
const eviction = (atMs: number): LedgerEntry => ({ kind: 'eviction', ...chunk, atMs, bytes: 0, cause: 'room' });
const week = { fromMs: epochMs, toMs: epochMs + 7 * dayMs, by: 'dataset' } as const;
const actual = ({ total }: CostReport) => total.actual.quantities;

test('the optimum is the least of all ways to keep or drop the chunk between accesses', async () => {
  const gaps = fc.array(
    fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 10 ** 8 })),
    { maxLength: 7 },
  );
  const few = fc.integer({ min: 0, max: 30_000_000 });
  await fc.assert(
    fc.asyncProperty(
      gaps,
      few,
      few,
      fc.integer({ min: 0, max: 10 ** 9 }),
      anyPrices,
      async (gaps, cpu, wall, bytes, prices) => {
        let at = epochMs;
        const times = [at, ...gaps.map((gap) => (at += gap))];
        const window = { fromMs: epochMs, toMs: at + 1, by: 'dataset' } as const;
        const history = [generation(epochMs - 5, cpu, wall), put(epochMs - 5, bytes), eviction(epochMs - 1)];
        const { total } = await report([...history, ...times.map((time) => access(time))], window, prices);
        const tariff = tariffOf(prices);
        const making = BigInt(cpu) * tariff.cpuMicro + BigInt(wall) * tariff.waitMicro;
        const serving = tariff.request + 1000n * tariff.byteServed;
        const costs = Array.from({ length: 2 ** gaps.length }, (_, way) => {
          const kept = gaps.filter((_, i) => (way & (2 ** i)) !== 0);
          const keptMs = kept.reduce((sum, gap) => sum + gap, 0);
          const made = BigInt(times.length - kept.length);
          const keeping = BigInt(bytes) * BigInt(keptMs) * tariff.byteMs;
          return new Account().book(made * making + keeping + BigInt(times.length) * serving);
        });
        expect(total.optimum.cost).toBe(costs.reduce((least, cost) => (cost < least ? cost : least)));
        expect(total.never.cost).toBe(costs[0]);
      },
    ),
    { numRuns: 40 },
  );
});

describe('what is stored', () => {
  test('a chunk stored before the window and evicted in it was kept from the beginning to then', async () => {
    const found = await report([put(epochMs - 5 * dayMs, 10), eviction(epochMs + 3)], week);
    expect(actual(found).byteMs).toBe(30n);
    expect(actual(found).requests).toBe(0n);
  });

  test('a chunk evicted before the window, and one put after it, cost nothing', async () => {
    const found = await report([put(epochMs - 9, 10), eviction(epochMs - 1), put(week.toMs, 99)], week);
    expect(found.rows).toEqual([]);
    expect(actual(found).byteMs).toBe(0n);
  });

  test('a put over a stored chunk begins a new size', async () => {
    expect(actual(await report([put(epochMs, 10), put(epochMs + 4, 7), eviction(epochMs + 6)], week)).byteMs).toBe(54n);
  });

  test('an eviction of what is not stored, and a second one, change nothing', async () => {
    const entries = [eviction(epochMs), put(epochMs + 1, 5), eviction(epochMs + 2), eviction(epochMs + 9)];
    expect(actual(await report(entries, week)).byteMs).toBe(5n);
  });

  test('chunks differ by batch size and by either end', async () => {
    const others = [
      { ...put(epochMs, 1), batchEvents: 32 },
      { ...put(epochMs, 1), range: { first: 0, end: 63 } },
      { ...put(epochMs, 1), range: { first: 1, end: 64 } },
      { ...put(epochMs, 1), derivation: 'e'.repeat(64) },
    ];
    expect(actual(await report([put(epochMs, 1), ...others], week)).byteMs).toBe(5n * BigInt(7 * dayMs));
  });

  test('more than 2^53 byte-milliseconds are exact', async () => {
    const bytes = Number.MAX_SAFE_INTEGER;
    expect(actual(await report([put(epochMs, bytes)], week)).byteMs).toBe(BigInt(bytes) * BigInt(7 * dayMs));
    const days = await report([put(epochMs + 1, bytes)], { ...week, by: 'day' });
    expect(days.rows.map((row) => row.actual.quantities.byteMs)).toEqual([
      BigInt(bytes) * BigInt(dayMs - 1),
      ...Array(6).fill(BigInt(bytes) * BigInt(dayMs)),
    ]);
  });
});

describe('what a chunk takes', () => {
  test('it is the mean of its own generations, those before the window too, a half rounded up', async () => {
    const entries = [generation(epochMs - dayMs, 100), generation(epochMs + 1, 101), access(epochMs + 2)];
    expect((await report(entries, week)).total.never.quantities.cpuMicros).toBe(101n);
  });

  test('to make a derived chunk takes what was remade of its inputs too, and that is charged to the derived dataset', async () => {
    const input = { dataset: 'a:input', generator: 'ee_mumu', derivation: 'e'.repeat(64), batchEvents: 8 };
    const remade = (atMs: number, cpuMicros: number, fields = {}): LedgerEntry => {
      const { range } = chunk;
      return { kind: 'remake', ...input, ...work, range, atMs, cpuMicros, wallMicros: 3, ...fields };
    };
    const entries = [
      generation(epochMs, 100, 200),
      remade(epochMs, 40),
      remade(epochMs, 4, { derivation: 'f'.repeat(64), dataset: 'a:far' }),
      // Read this time.
      generation(epochMs + 9, 100, 200),
      // On the way to others.
      remade(epochMs + 9, 1000, { requestId: 'another' }),
      remade(epochMs + 9, 1000, { range: { first: 0, end: 63 } }),
      remade(epochMs + 10, 1000),
      access(epochMs + 20),
    ];
    const { rows, total } = await report(entries, week);
    expect(total.never.quantities).toMatchObject({ cpuMicros: 122n, waitMicros: 203n });
    const found = (key: string) => rows.find((row) => row.key === key);
    expect(found('a:one')?.actual.quantities.cpuMicros).toBe(200n);
    expect(found('a:one')?.never.quantities.cpuMicros).toBe(122n);
    expect(found('a:input')?.actual.quantities.cpuMicros).toBe(3040n);
    expect(found('a:input')?.never.quantities.cpuMicros).toBe(0n);
    expect(found('a:far')?.actual.quantities.cpuMicros).toBe(4n);
  });

  test('a chunk without generations or puts takes as much for each event as its derivation, and the report says so', async () => {
    const sister = { ...generation(epochMs, 640), range: { first: 64, end: 128 } };
    const stored = { ...put(epochMs, 6400), range: { first: 64, end: 128 } };
    const asked = { ...access(epochMs + 5), range: { first: 128, end: 138 } };
    const { total, assumptions } = await report([sister, stored, asked, { ...asked, atMs: epochMs + 6 }], week);
    expect(total.never.quantities).toMatchObject({ cpuMicros: 200n, waitMicros: 200n });
    expect(total.always.quantities.byteMs).toBe(1000n * BigInt(7 * dayMs - 5));
    expect(assumptions).toEqual({
      chunks: 1,
      workOfDerivation: 1,
      workUnknown: 0,
      bytesOfDerivation: 1,
      bytesUnknown: 0,
    });
  });

  test('a chunk of which nothing is known is made and kept for nothing, and the report says so', async () => {
    const { total, assumptions } = await report([access(epochMs)], week);
    expect([total.never.cost, total.always.cost, total.optimum.cost]).toEqual([0n, 0n, 0n]);
    expect(assumptions).toEqual({
      chunks: 1,
      workOfDerivation: 0,
      workUnknown: 1,
      bytesOfDerivation: 0,
      bytesUnknown: 1,
    });
  });

  test('the assumptions of one dataset are of the chunks that it asked for', async () => {
    const theirs = { ...access(epochMs), dataset: 'b:other' };
    const shared = { ...theirs, range: { first: 64, end: 128 } };
    const entries = [theirs, shared, { ...shared, dataset: 'a:one', atMs: epochMs + 1 }];
    expect((await report(entries, week)).assumptions).toMatchObject({ chunks: 2, workUnknown: 2 });
    const one = await report(entries, { ...week, dataset: 'a:one' });
    expect(one.assumptions).toMatchObject({ chunks: 1, workUnknown: 1, bytesUnknown: 1 });
  });

  test('what was measured after the window does not count', async () => {
    expect((await report([access(epochMs), generation(week.toMs, 9)], week)).assumptions.workUnknown).toBe(1);
  });
});

test('keeping for as long as making again costs is keeping; a millisecond more is making again', async () => {
  // An hour of a core costs as much as a byte for an hour.
  const prices = { ...plainPrices, cpuCoreHour: 1, storageTbYear: 1e6, replicas: 8760 };
  const lived = [generation(epochMs, 1_000_000), put(epochMs, 1_000_000), access(epochMs)];
  const kept = await report([...lived, access(epochMs + 1000)], week, prices);
  const made = await report([...lived, access(epochMs + 1001)], week, prices);
  expect(kept.total.optimum.quantities).toMatchObject({ hits: 1n, byteMs: 1_000_000_000n, cpuMicros: 1_000_000n });
  expect(made.total.optimum.quantities).toMatchObject({ hits: 0n, byteMs: 0n, cpuMicros: 2_000_000n });
});

test('what batches made and nobody read is in the actual bill alone', async () => {
  const { total } = await report(
    [{ ...generation(epochMs, 5000), batch: 'b1' } as LedgerEntry, put(epochMs, 10)],
    week,
  );
  expect(total.actual.quantities).toMatchObject({ cpuMicros: 5000n, batchMicros: 5000n });
  for (const world of ['never', 'always', 'optimum'] as const) expect(total[world].cost).toBe(0n);
});

test('an empty ledger is an empty report', async () => {
  const found = await report([], week);
  expect(found.rows).toEqual([]);
  expect(worlds.map((world) => found.total[world].cost)).toEqual([0n, 0n, 0n, 0n]);
});

test('a window of ten thousand years is reckoned as quickly as one of a day', async () => {
  const everything = { fromMs: Date.parse('0000-01-01'), toMs: epochMs + dayMs, by: 'day' } as const;
  const { rows } = await report([put(epochMs, 1), { ...access(-5000), dataset: 'old:one' }], everything);
  expect(rows.map(({ key }) => key)).toContain('1969-12-31');
});

test('more figures than a report may have are refused, and not held', async () => {
  const datasets = Array.from({ length: 300 }, (_, i) => ({
    ...put(epochMs, 1),
    dataset: `a:${i}`,
    derivation: `${i}`,
  }));
  const year = { fromMs: epochMs, toMs: epochMs + 365 * dayMs, by: 'day' } as const;
  await expect(report(datasets, year)).rejects.toMatchObject({ code: 'MALFORMED_REQUEST' });
  expect((await report(datasets, { ...year, by: 'dataset' })).rows).toHaveLength(300);
});
