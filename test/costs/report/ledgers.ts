// Ledgers in memory, for reports: as they are read, or of whatever fast-check comes upon.
import fc from 'fast-check';
import type { LedgerEntry } from '../../../core/ledger.ts';
import { compareEntries } from '../../../costs/ledger/order.ts';
import { Tellings } from '../../../costs/ledger/tellings.ts';
import type { Prices } from '../../../costs/prices.ts';
import type { CostQuery, CostReport, LedgerRead } from '../../../costs/report/report.ts';
import { costReport, type worlds } from '../../../costs/report/report.ts';
import type { Reckoned } from './reckoner.ts';

export const plainPrices: Prices = {
  cpuCoreHour: 0.012,
  waitHour: 0,
  storageTbYear: 80,
  replicas: 1,
  requestPer1000: 0,
  egressGb: 0,
  currency: 'EUR',
  wattsPerCore: 10,
  gramsCo2PerKwh: 250,
};

/** In the order in which the ledger is read, and nothing told twice. */
export function inOrder(entries: readonly LedgerEntry[]): LedgerEntry[] {
  const sorted = entries.toSorted(compareEntries);
  const tellings = new Tellings();
  return sorted.filter((entry) => !tellings.isTold(entry));
}

export function reading(entries: readonly LedgerEntry[], unreadable = 0): LedgerRead {
  return ({ fromMs = Number.NEGATIVE_INFINITY, toMs }) => ({
    unreadable,
    async *[Symbol.asyncIterator]() {
      yield* entries.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
    },
  });
}

export function report(entries: readonly LedgerEntry[], query: CostQuery, prices = plainPrices): Promise<CostReport> {
  return costReport({ ...query, read: reading(inOrder(entries)), prices });
}

/** A report in the words of the reckoner. */
export function asReckoned({ rows, total }: CostReport): Reckoned {
  const each = <T>(of: (world: (typeof worlds)[number]) => T) =>
    ({ actual: of('actual'), never: of('never'), always: of('always'), optimum: of('optimum') }) as const;
  return {
    rows: rows.map((row) => ({
      key: row.key,
      cost: each((world) => row[world].cost),
      amounts: each((world) => {
        const { cpuMicros, waitMicros, byteMs, requests, bytesServed } = row[world].quantities;
        return { cpu: cpuMicros, waiting: waitMicros, storage: byteMs, requests, egress: bytesServed };
      }),
      hits: each((world) => Number(row[world].quantities.hits)),
      accesses: Number(row.actual.quantities.accesses),
    })),
    total: each((world) => total[world].cost),
  };
}

export const dayMs = 86_400_000;
/** A midnight. */
export const epochMs = Date.parse('2026-11-16T00:00:00Z');

const range = fc.constantFrom(
  { first: 0, end: 64 },
  { first: 64, end: 128 },
  { first: 128, end: 150 },
  { first: 0, end: 150 },
);
/** Three datasets share what two derivations can make: one of them both. */
const base = fc.record({
  atMs: fc.oneof(
    fc.integer({ min: epochMs - dayMs, max: epochMs + 4 * dayMs }),
    fc.integer({ min: -3, max: 3 }).map((days) => epochMs + days * dayMs),
    fc.integer({ min: 0, max: 5 }).map((ms) => epochMs + dayMs + ms),
  ),
  dataset: fc.constantFrom('a:one', 'a:two', 'b:three', ''),
  generator: fc.constantFrom('minbias', 'ee_mumu'),
  derivation: fc.constantFrom('d1'.padEnd(64, '0'), 'd2'.padEnd(64, '0')),
  batchEvents: fc.constantFrom(16, 32),
  range,
});
const micros = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 20_000_000 }));
const bytes = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 0, max: 8_000_000 }),
  fc.constant(2 ** 40),
);
const work = {
  cpuMicros: micros,
  wallMicros: micros,
  attempt: fc.constant(1),
  requestId: fc.constant('r'),
  batch: fc.constantFrom('', 'b'),
};

function entryOf<K extends LedgerEntry['kind']>(
  kind: K,
  fields: Record<string, fc.Arbitrary<unknown>>,
): fc.Arbitrary<LedgerEntry> {
  return fc.tuple(base, fc.record(fields)).map(([common, own]) => ({ kind, ...common, ...own }) as LedgerEntry);
}

export const anyEntry: fc.Arbitrary<LedgerEntry> = fc.oneof(
  entryOf('generation', { ...work, bytes }),
  entryOf('remake', work),
  entryOf('waste', { ...work, cause: fc.constantFrom('cancelled', 'failed', 'crashed', 'duplicate', 'unstored') }),
  {
    weight: 3,
    arbitrary: entryOf('access', {
      requestId: fc.constantFrom('r1', 'r2'),
      means: fc.constantFrom('memory', 'near', 'joined', 'generated'),
      events: fc.constant(1),
      bytesServed: bytes,
      waitMicros: micros,
    }),
  },
  entryOf('put', { bytes }),
  entryOf('eviction', { bytes, cause: fc.constantFrom('asked', 'room', 'damaged', 'lost') }),
);

/** The making of a derived chunk, and what went into its inputs on the way. */
const anyMaking: fc.Arbitrary<LedgerEntry[]> = fc
  .tuple(
    base,
    fc.record({ ...work, bytes }),
    fc.array(fc.record({ of: base, cpuMicros: micros, wallMicros: micros }), { minLength: 1, maxLength: 3 }),
  )
  .map(([common, made, remade]) => [
    { kind: 'generation', ...common, ...made },
    ...remade.map(({ of, ...took }): LedgerEntry => {
      const { atMs, range } = common;
      return { kind: 'remake', ...of, atMs, range, attempt: 1, requestId: made.requestId, batch: made.batch, ...took };
    }),
  ]);

/** Of few chunks, so that much happens to each. */
export const anyLedger: fc.Arbitrary<LedgerEntry[]> = fc
  .array(fc.oneof({ weight: 8, arbitrary: anyEntry.map((entry) => [entry]) }, anyMaking), {
    maxLength: 50,
    size: 'max',
  })
  .map((told) => told.flat());

const price = fc.oneof(
  fc.constant(0),
  fc.constantFrom(0.012, 80, 1e-9, 0.0004, 1e6),
  fc.integer({ min: 0, max: 10 ** 9 }).map((n) => n / 1e6),
);
export const anyPrices: fc.Arbitrary<Prices> = fc.record({
  cpuCoreHour: price,
  waitHour: price,
  storageTbYear: price,
  replicas: fc.constantFrom(1, 2, 1.5, 1.333333333),
  requestPer1000: price,
  egressGb: price,
  currency: fc.constant('EUR'),
  wattsPerCore: fc.constantFrom(0, 10, 7.5),
  gramsCo2PerKwh: fc.constantFrom(0, 250),
});

export const anyWindow = fc
  .tuple(fc.integer({ min: -2 * dayMs, max: 4 * dayMs }), fc.integer({ min: 1, max: 5 * dayMs }))
  .map(([from, length]) => ({ fromMs: epochMs + from, toMs: epochMs + from + length }));
