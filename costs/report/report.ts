// The bill of a window of time, beside what the same demand would have cost in three other worlds. docs/cost-report.md
// defines every figure so that anybody can reckon it again from the ledger, to the nano-unit.
import type { LedgerEntry } from '../../core/ledger.ts';
import { ChunkTable } from '../chunk-table.ts';
import type { Prices } from '../prices.ts';
import { tariffOf } from '../tariff.ts';
import { Actual } from './actual.ts';
import { type Bill, type By, billsOf, emptyBill, isEmpty, sumOfBills } from './bill.ts';
import { Measures } from './measures.ts';
import { Owners, Sheet } from './sheet.ts';
import { type Assumptions, Worlds } from './worlds.ts';

/**
 * Reads the ledger in the order of `atMs`, from `fromMs` (the beginning, unless said) to before `toMs`. A report reads it twice:
 * all of it for what chunks take to make and to keep, and then the window.
 */
export type LedgerRead = (span: LedgerSpan) => LedgerPart;

export interface LedgerSpan {
  readonly fromMs?: number;
  readonly toMs: number;
}

export interface LedgerPart extends AsyncIterable<LedgerEntry> {
  /** Segments that could not be read, so far: what they held is missing. */
  readonly unreadable: number;
}

export interface CostQuery {
  /** Milliseconds since the epoch; entries from here to before `toMs` are reckoned. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly by: By;
  /** `scope:name`: only what belongs to this dataset. */
  readonly dataset?: string | undefined;
}

export const worlds = ['actual', 'never', 'always', 'optimum'] as const;
export type World = (typeof worlds)[number];

export interface CostReport extends CostQuery {
  readonly prices: Prices;
  /** Those with anything in them, sorted by key, in the order of its UTF-16 code units. */
  readonly rows: readonly CostRow[];
  /** The sum of the rows. */
  readonly total: Readonly<Record<World, Bill>>;
  readonly assumptions: Assumptions;
  /** Segments of the ledger, up to `toMs`, that could not be read: what they held is missing. */
  readonly unreadableSegments: number;
}

export interface CostRow extends Readonly<Record<World, Bill>> {
  /** A dataset (empty where nobody knows it any more), a day (`2026-11-22`, UTC) or a generator. */
  readonly key: string;
}

interface CostRequest extends CostQuery {
  readonly read: LedgerRead;
  readonly prices: Prices;
}

/**
 * Takes memory for every chunk that the ledger names, and none for an entry. Computes for seconds without a pause: for threads
 * that have nothing else to do.
 * @throws EvokeError OVERLOADED (too many chunks), MALFORMED_REQUEST (too many rows), whatever reading throws
 */
export async function costReport({ read, prices, ...query }: CostRequest): Promise<CostReport> {
  const { fromMs, toMs, by } = query;
  const chunks = new ChunkTable();
  const owners = new Owners(query.dataset);
  const sheets = eachWorld(() => new Sheet(by === 'day'));
  const measures = new Measures();
  const actual = new Actual(sheets.actual, owners);
  const all = read({ toMs });
  for await (const entry of all) {
    if (entry.atMs >= toMs) break;
    if (entry.kind === 'remake') {
      measures.observeRemake(entry);
      continue;
    }
    const chunk = chunks.numberOf(entry);
    measures.observe(chunk, entry);
    if (entry.atMs < fromMs) actual.before(chunk, entry, fromMs);
  }

  const tariff = tariffOf(prices);
  const demand = new Worlds(sheets, owners, measures, tariff);
  for await (const entry of read({ fromMs, toMs })) {
    if (entry.atMs < fromMs) continue;
    if (entry.atMs >= toMs) break;
    if (entry.kind === 'remake') {
      actual.remade(entry);
      continue;
    }
    const chunk = chunks.numberOf(entry);
    actual.within(chunk, entry);
    if (entry.kind === 'access') demand.access(chunk, entry);
  }
  for (let chunk = 0; chunk < chunks.size; chunk++) {
    actual.end(chunk, toMs);
    demand.end(chunk, toMs);
  }

  const bills = eachWorld((world) => billsOf(sheets[world], owners, by, tariff));
  const keys = new Set(worlds.flatMap((world) => [...bills[world].keys()]));
  const rows = [...keys]
    .sort()
    .map((key) => ({ key, ...eachWorld((world) => bills[world].get(key) ?? emptyBill) }))
    .filter((row) => worlds.some((world) => !isEmpty(row[world])));
  const total = eachWorld((world) => sumOfBills(bills[world].values()));
  const { assumptions } = demand;
  return { ...query, prices, rows, total, assumptions, unreadableSegments: all.unreadable };
}

export function eachWorld<T>(of: (world: World) => T): Readonly<Record<World, T>> {
  return { actual: of('actual'), never: of('never'), always: of('always'), optimum: of('optimum') };
}
