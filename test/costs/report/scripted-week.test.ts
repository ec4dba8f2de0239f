// A week of a service, through the ledger's own segments: the report of it equals one that is reckoned from the script alone.
import { beforeAll, expect, test } from 'vitest';
import type { LedgerEntry } from '../../../core/ledger.ts';
import { silentLog } from '../../../core/log.ts';
import { Ledger } from '../../../costs/ledger/ledger.ts';
import { readLedger } from '../../../costs/ledger/reader.ts';
import type { Prices } from '../../../costs/prices.ts';
import { type CostQuery, costReport, type LedgerRead } from '../../../costs/report/report.ts';
import { MemoryStore } from '../../../store/memory-store.ts';
import { asReckoned, dayMs, epochMs, inOrder, plainPrices, reading } from './ledgers.ts';
import { reckon } from './reckoner.ts';
import { scriptedWeek } from './week.ts';

const store = new MemoryStore();
const told = scriptedWeek(epochMs, 20_261_116);
const known = inOrder(told);

beforeAll(async () => {
  const clock = { now: () => epochMs };
  const processes = ['api', 'worker-1', 'worker-2'].map(
    (process) => new Ledger({ store, process, flushMs: 3_600_000, clock, log: silentLog, rowsMax: 700 }),
  );
  let count = 0;
  for (const entry of told) {
    const process = processes[++count % processes.length] as Ledger;
    process.record(entry);
    // What a worker has told is told again by whoever finds it in the store.
    const isInTrailer = entry.kind === 'generation' || entry.kind === 'remake';
    if (isInTrailer && count % 11 === 0) processes[0]?.record({ ...entry });
    if (count % 300 === 0) await process.flush();
  }
  for (const process of processes) await process.close();
  expect(processes.map(({ counters }) => counters.lost)).toEqual([0, 0, 0]);
});

const reportOf = (query: CostQuery, prices = plainPrices, read: LedgerRead = (span) => readLedger(store, span)) =>
  costReport({ ...query, read, prices });
/** Quicker, where how the ledger lies in the store is not the point. */
const inMemory = reading(known);

const week = { fromMs: epochMs, toMs: epochMs + 7 * dayMs };
const prices: Record<string, Prices> = {
  plain: plainPrices,
  'dear storage': { ...plainPrices, storageTbYear: 9000, replicas: 3 },
  'dear computing': { ...plainPrices, cpuCoreHour: 5, wattsPerCore: 12.5 },
  'everything costs': {
    ...plainPrices,
    cpuCoreHour: 0.05,
    waitHour: 30,
    storageTbYear: 300,
    replicas: 1.4,
    requestPer1000: 0.0054,
    egressGb: 0.09,
  },
  'nothing costs': { ...plainPrices, cpuCoreHour: 0, storageTbYear: 0 },
};

test('the script is a week in which everything happens', () => {
  const count = (of: (entry: LedgerEntry) => boolean) => told.filter(of).length;
  expect(told.length).toBeGreaterThan(5000);
  for (const kind of ['generation', 'remake', 'waste', 'access', 'put', 'eviction'] as const) {
    expect(
      count((entry) => entry.kind === kind),
      kind,
    ).toBeGreaterThan(50);
  }
  expect(count((entry) => entry.kind === 'access' && entry.means === 'joined')).toBeGreaterThan(50);
  expect(count((entry) => entry.kind === 'access' && entry.bytesServed === 0)).toBeGreaterThan(50);
  expect(count((entry) => entry.kind === 'generation' && entry.batch !== '')).toBe(120);
  expect(count((entry) => entry.kind === 'eviction' && entry.cause === 'damaged')).toBeGreaterThan(0);
});

test.each(Object.keys(prices))('the report of the week is exact by dataset, day and generator: %s', async (name) => {
  for (const by of ['dataset', 'day', 'generator'] as const) {
    const query = { ...week, by };
    const report = await reportOf(query, prices[name], name === 'plain' ? undefined : inMemory);
    expect(asReckoned(report)).toEqual(reckon(known, query, prices[name] as Prices));
    expect(report.unreadableSegments).toBe(0);
    expect(report.assumptions).toMatchObject({ workUnknown: 0, bytesUnknown: 0 });
  }
});

test.each([
  ['from the middle of an hour to the middle of a night', 1.52 * dayMs, 5.03 * dayMs],
  ['of one minute', 3 * dayMs, 3 * dayMs + 60_000],
  ['of a month around it', -20 * dayMs, 11 * dayMs],
])('a window %s is exact', async (_, from, to) => {
  const query = { fromMs: epochMs + from, toMs: epochMs + to, by: 'day' } as const;
  expect(asReckoned(await reportOf(query))).toEqual(reckon(known, query, plainPrices));
});

test('one dataset that shares its chunks with another is exact', async () => {
  const query = { ...week, by: 'generator', dataset: 'user:mine' } as const;
  expect(asReckoned(await reportOf(query))).toEqual(reckon(known, query, plainPrices));
});

test('where storage is dear the optimum keeps less, and it never costs more than the other worlds', async () => {
  const [plain, dear] = await Promise.all(
    ['plain', 'dear storage'].map((name) => reportOf({ ...week, by: 'dataset' }, prices[name], inMemory)),
  );
  expect(Number(dear?.total.optimum.quantities.byteMs)).toBeLessThan(Number(plain?.total.optimum.quantities.byteMs));
  for (const report of [plain, dear]) {
    for (const { never, always, optimum } of [report?.total, ...(report?.rows ?? [])].filter(
      (row) => row !== undefined,
    )) {
      expect(optimum.cost <= never.cost && optimum.cost <= always.cost).toBe(true);
    }
  }
});
