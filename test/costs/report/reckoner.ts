// The cost report reckoned a second time, from docs/cost-report.md and in another way: everything that costs something becomes
// a charge on a list, with an exact fraction as its price, and what is asked for is looked up in the list.
import type { Access, Generation, LedgerEntry, Put, Remake } from '../../../core/ledger.ts';
import type { Prices } from '../../../costs/prices.ts';

type WorldName = 'actual' | 'never' | 'always' | 'optimum';
type PartName = 'cpu' | 'waiting' | 'storage' | 'requests' | 'egress';
const parts: readonly PartName[] = ['cpu', 'waiting', 'storage', 'requests', 'egress'];
const worldNames: readonly WorldName[] = ['actual', 'never', 'always', 'optimum'];
const dayMs = 24n * 3600n * 1000n;

/** A fraction of bigints, not reduced. */
interface Fraction {
  readonly over: bigint;
  readonly under: bigint;
}
const plus = (a: Fraction, b: Fraction): Fraction =>
  a.under === b.under
    ? { over: a.over + b.over, under: a.under }
    : { over: a.over * b.under + b.over * a.under, under: a.under * b.under };
const isAtMost = (a: Fraction, b: Fraction) => a.over * b.under <= b.over * a.under;
const halfUp = ({ over, under }: Fraction): bigint => {
  const whole = over / under;
  return 2n * (over - whole * under) >= under ? whole + 1n : whole;
};

/** Nano-units of a price: its decimal digits, the tenth place rounding the ninth. */
function nanos(price: number): bigint {
  const [whole = '0', fraction = ''] = price.toFixed(12).split('.');
  return halfUp({ over: BigInt(whole + fraction), under: 1000n });
}

interface Charge {
  readonly world: WorldName;
  readonly dataset: string;
  readonly generator: string;
  readonly atMs: number;
  readonly part: PartName;
  /** Microseconds, byte-milliseconds, requests or bytes. */
  readonly amount: bigint;
}

export interface ReckonedRow {
  readonly key: string;
  readonly cost: Readonly<Record<WorldName, bigint>>;
  readonly amounts: Readonly<Record<WorldName, Readonly<Record<PartName, bigint>>>>;
  readonly hits: Readonly<Record<WorldName, number>>;
  readonly accesses: number;
}

export interface Reckoned {
  readonly rows: readonly ReckonedRow[];
  readonly total: Readonly<Record<WorldName, bigint>>;
}

export function reckon(
  ledger: readonly LedgerEntry[],
  query: { fromMs: number; toMs: number; by: 'dataset' | 'day' | 'generator'; dataset?: string | undefined },
  prices: Prices,
): Reckoned {
  const { fromMs, toMs } = query;
  const known = ledger.filter((entry) => entry.atMs < toMs);
  const isWithin = (entry: LedgerEntry) => entry.atMs >= fromMs;
  const charges: Charge[] = [];
  const answers: { world: WorldName; access: Access; isHit: boolean }[] = [];
  const charge = (world: WorldName, whose: LedgerEntry, part: PartName, amount: bigint, atMs = whose.atMs) =>
    charges.push({ world, dataset: whose.dataset, generator: whose.generator, atMs, part, amount });
  const keep = (world: WorldName, whose: LedgerEntry, bytes: bigint, sinceMs: number, untilMs: number) => {
    let at = BigInt(Math.max(sinceMs, fromMs));
    const until = BigInt(Math.min(untilMs, toMs));
    while (at < until) {
      const midnight = (at / dayMs + 1n) * dayMs;
      const next = midnight < until ? midnight : until;
      charge(world, whose, 'storage', bytes * (next - at), Number(at));
      at = next;
    }
  };
  const perUnit = unitPrices(prices);
  const remadeFor = remakings(known);

  for (const entry of known.filter(isWithin)) {
    if (entry.kind === 'generation' || entry.kind === 'remake' || entry.kind === 'waste')
      charge('actual', entry, 'cpu', BigInt(entry.cpuMicros));
    if (entry.kind === 'put') charge('actual', entry, 'requests', 1n);
    if (entry.kind !== 'access') continue;
    charge('actual', entry, 'waiting', BigInt(entry.waitMicros));
    if (entry.means === 'near') charge('actual', entry, 'requests', 1n);
    answers.push({ world: 'actual', access: entry, isHit: ['near', 'memory'].includes(entry.means) });
    for (const world of worldNames) charge(world, entry, 'egress', BigInt(entry.bytesServed));
    for (const world of worldNames.slice(1)) charge(world, entry, 'requests', 1n);
  }

  for (const [, entries] of Map.groupBy(known, chunkName)) {
    // A put lasts until the next put or eviction of its chunk, or to the end.
    const changes = entries.filter((entry) => entry.kind === 'put' || entry.kind === 'eviction');
    changes.forEach((put, i) => {
      if (put.kind === 'put') keep('actual', put, BigInt(put.bytes), put.atMs, changes[i + 1]?.atMs ?? toMs);
    });
    const accesses = entries.filter((entry) => entry.kind === 'access').filter(isWithin);
    const first = accesses[0];
    if (first === undefined) continue;
    const { cpu, wall, bytes } = measured(first, entries, known, remadeFor);
    const making = plus(priced(cpu, perUnit.cpu), priced(wall, perUnit.waiting));
    const make = (world: WorldName, access: Access) => {
      charge(world, access, 'cpu', cpu);
      charge(world, access, 'waiting', wall);
      answers.push({ world, access, isHit: false });
    };
    for (const access of accesses) make('never', access);
    make('always', first);
    make('optimum', first);
    for (let i = 1; i < accesses.length; i++) {
      const [before, access] = [accesses[i - 1] as Access, accesses[i] as Access];
      keep('always', access, bytes, before.atMs, access.atMs);
      answers.push({ world: 'always', access, isHit: true });
      if (isAtMost(priced(bytes * BigInt(access.atMs - before.atMs), perUnit.storage), making)) {
        keep('optimum', access, bytes, before.atMs, access.atMs);
        answers.push({ world: 'optimum', access, isHit: true });
      } else {
        make('optimum', access);
      }
    }
    const last = accesses.at(-1) as Access;
    keep('always', last, bytes, last.atMs, toMs);
  }

  const isAskedFor = ({ dataset }: { dataset: string }) => query.dataset === undefined || dataset === query.dataset;
  const keyOf = (of: { dataset: string; generator: string; atMs: number }) =>
    query.by === 'day' ? new Date(of.atMs).toISOString().slice(0, 10) : of[query.by];
  const mine = charges.filter((one) => isAskedFor(one) && (one.amount > 0n || one.part === 'egress'));
  const costs = Map.groupBy(booked(mine, perUnit, query.by === 'day'), keyOf);
  const answered = Map.groupBy(
    answers.filter(({ access }) => isAskedFor(access)),
    ({ access }) => keyOf(access),
  );
  const rows = [...Map.groupBy(mine, keyOf)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, own]) => {
      const each = <T>(of: (world: WorldName) => T) =>
        ({ actual: of('actual'), never: of('never'), always: of('always'), optimum: of('optimum') }) as const;
      const sum = (world: WorldName, part: PartName) =>
        own.filter((one) => one.world === world && one.part === part).reduce((all, one) => all + one.amount, 0n);
      return {
        key,
        cost: each((world) =>
          (costs.get(key) ?? []).reduce((all, one) => (one.world === world ? all + one.nano : all), 0n),
        ),
        amounts: each((world) => ({
          cpu: sum(world, 'cpu'),
          waiting: sum(world, 'waiting'),
          storage: sum(world, 'storage'),
          requests: sum(world, 'requests'),
          egress: sum(world, 'egress'),
        })),
        hits: each(
          (world) => (answered.get(key) ?? []).filter((answer) => answer.world === world && answer.isHit).length,
        ),
        accesses: (answered.get(key) ?? []).filter(({ world }) => world === 'actual').length,
      };
    });
  const total = (world: WorldName) => rows.reduce((sum, row) => sum + row.cost[world], 0n);
  return {
    rows,
    total: { actual: total('actual'), never: total('never'), always: total('always'), optimum: total('optimum') },
  };
}

/** What each charge's account grows by: in the order of days (where there are any) and parts, rounded at every balance. */
function booked(charges: readonly Charge[], perUnit: Record<PartName, Fraction>, byDay: boolean) {
  const out: { world: WorldName; dataset: string; generator: string; atMs: number; nano: bigint }[] = [];
  const accounts = Map.groupBy(charges, ({ world, dataset, generator }) => JSON.stringify([world, dataset, generator]));
  for (const [, account] of accounts) {
    let balance: Fraction = { over: 0n, under: 1n };
    const days = Map.groupBy(account, ({ atMs }) => (byDay ? Math.floor(atMs / Number(dayMs)) : 0));
    for (const [, day] of [...days].sort(([a], [b]) => a - b)) {
      for (const part of parts) {
        const amount = day.filter((one) => one.part === part).reduce((sum, one) => sum + one.amount, 0n);
        const before = halfUp(balance);
        balance = plus(balance, priced(amount, perUnit[part]));
        out.push({ ...(day[0] as Charge), nano: halfUp(balance) - before });
      }
    }
  }
  return out;
}

function priced(amount: bigint, price: Fraction): Fraction {
  return { over: amount * price.over, under: price.under };
}

function unitPrices(prices: Prices): Record<PartName, Fraction> {
  const hour = 3600n * 1_000_000n;
  return {
    cpu: { over: nanos(prices.cpuCoreHour), under: hour },
    waiting: { over: nanos(prices.waitHour), under: hour },
    storage: {
      over: nanos(prices.storageTbYear) * nanos(prices.replicas),
      under: 10n ** 12n * 365n * dayMs * 10n ** 9n,
    },
    requests: { over: nanos(prices.requestPer1000), under: 1000n },
    egress: { over: nanos(prices.egressGb), under: 10n ** 9n },
  };
}

function measured(
  of: Access,
  own: readonly LedgerEntry[],
  all: readonly LedgerEntry[],
  remadeFor: Map<LedgerEntry, Remake[]>,
) {
  const generations = <E extends LedgerEntry>(list: readonly E[]) => list.filter((e) => e.kind === 'generation');
  const puts = <E extends LedgerEntry>(list: readonly E[]) => list.filter((e) => e.kind === 'put');
  const family = all.filter(({ derivation }) => derivation === of.derivation);
  const figure = <E extends LedgerEntry>(mine: readonly E[], sisters: readonly E[], value: (entry: E) => number) => {
    const sum = (list: readonly E[]) => list.reduce((total, entry) => total + BigInt(value(entry)), 0n);
    if (mine.length > 0) return halfUp({ over: sum(mine), under: BigInt(mine.length) });
    if (sisters.length === 0) return 0n;
    const events = sisters.reduce((total, { range }) => total + BigInt(range.end - range.first), 0n);
    return halfUp({ over: sum(sisters) * BigInt(of.range.end - of.range.first), under: events });
  };
  const [mine, sisters] = [generations(own) as Generation[], generations(family) as Generation[]];
  const whole = (made: Generation, micros: 'cpuMicros' | 'wallMicros') =>
    (remadeFor.get(made) ?? []).reduce((sum, remake) => sum + remake[micros], made[micros]);
  return {
    cpu: figure(mine, sisters, (entry) => whole(entry, 'cpuMicros')),
    wall: figure(mine, sisters, (entry) => whole(entry, 'wallMicros')),
    bytes: figure(puts(own) as Put[], puts(family) as Put[], (entry) => entry.bytes),
  };
}

/** Every remaking with the first making, in the ledger's order, that it may have been for. */
function remakings(all: readonly LedgerEntry[]): Map<LedgerEntry, Remake[]> {
  const name = ({ atMs, range, requestId }: Remake | Generation) => [atMs, range.first, range.end, requestId].join();
  const makings = Map.groupBy(
    all.filter((entry) => entry.kind === 'generation'),
    name,
  );
  const found = new Map<LedgerEntry, Remake[]>();
  for (const remake of all.filter((entry) => entry.kind === 'remake')) {
    const made = makings.get(name(remake))?.find(({ derivation }) => derivation !== remake.derivation);
    if (made !== undefined) found.set(made, [...(found.get(made) ?? []), remake]);
  }
  return found;
}

function chunkName({ derivation, batchEvents, range }: LedgerEntry): string {
  return `${derivation}/${batchEvents}/${range.first}-${range.end}`;
}
