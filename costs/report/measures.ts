// What the chunks of the ledger take to make and to keep, as it was measured: the mean of a chunk's own generations (with what
// was remade of its inputs on the way) and puts;
// of a chunk that has none, as much for each event as its derivation took on the average; and who knows neither says so.
import type { ChunkRef } from '../../core/chunk.ts';
import { eventsIn } from '../../core/event-range.ts';
import type { Generation, LedgerEntry, Remake } from '../../core/ledger.ts';
import { Column } from '../chunk-table.ts';
import { dividedHalfUp } from '../tariff.ts';
import { ExactSum } from './quantities.ts';

/** Where a figure comes from. `unknown`: nothing was measured, and it counts as 0. */
export type Basis = 'chunk' | 'derivation' | 'unknown';

export interface ChunkMeasures {
  readonly cpuMicros: number;
  readonly wallMicros: number;
  /** Of CPU and wall time. */
  readonly workBasis: Basis;
  /** At rest. */
  readonly bytes: number;
  readonly bytesBasis: Basis;
}

interface MadeNow {
  readonly chunk: number;
  readonly generation: Generation;
}

/** All means are rounded to the nearest whole number, a half up. */
export class Measures {
  readonly #made = new Mean(['cpuMicros', 'wallMicros']);
  readonly #stored = new Mean(['bytes']);
  /** Of the millisecond that the ledger has come to. */
  #madeNow: MadeNow[] = [];

  /** Entries are given in the order of the ledger, in which a generation comes before the remakings on the way to it. */
  observe(chunk: number, entry: LedgerEntry): void {
    if (entry.kind === 'put') this.#stored.add(chunk, entry, entry);
    if (entry.kind !== 'generation') return;
    this.#made.add(chunk, entry, entry);
    if (this.#madeNow[0]?.generation.atMs !== entry.atMs) this.#madeNow = [];
    this.#madeNow.push({ chunk, generation: entry });
  }

  /** An input's events were made on the way to a chunk, whose making took that much more. */
  observeRemake(remake: Remake): void {
    const made = this.#madeNow.find(({ generation }) => isOnTheWayTo(generation, remake));
    if (made !== undefined) this.#made.addTo(made.chunk, made.generation, remake);
  }

  of(chunk: number, ref: ChunkRef): ChunkMeasures {
    const work = this.#made.of(chunk, ref);
    const size = this.#stored.of(chunk, ref);
    return { ...work.values, workBasis: work.basis, ...size.values, bytesBasis: size.basis };
  }
}

/** The first of the ledger's order, should several be named alike. */
function isOnTheWayTo(generation: Generation, remake: Remake): boolean {
  return (
    generation.atMs === remake.atMs &&
    generation.range.first === remake.range.first &&
    generation.range.end === remake.range.end &&
    generation.requestId === remake.requestId &&
    generation.derivation !== remake.derivation
  );
}

/** Means of some figures, by chunk and by derivation. */
class Mean<F extends string> {
  readonly #figures: readonly F[];
  readonly #counts = new Column();
  readonly #sums: Readonly<Record<F, Column>>;
  readonly #derivations = new Map<
    string,
    { readonly events: ExactSum; readonly sums: Readonly<Record<F, ExactSum>> }
  >();

  constructor(figures: readonly F[]) {
    this.#figures = figures;
    this.#sums = this.#each(() => new Column());
  }

  add(chunk: number, { derivation, range }: ChunkRef, figures: Readonly<Record<F, number>>): void {
    let family = this.#derivations.get(derivation);
    if (family === undefined) {
      family = { events: new ExactSum(), sums: this.#each(() => new ExactSum()) };
      this.#derivations.set(derivation, family);
    }
    this.#counts.add(chunk, 1);
    family.events.add(eventsIn(range));
    this.addTo(chunk, { derivation }, figures);
  }

  /** More of one that was added. */
  addTo(chunk: number, { derivation }: Pick<ChunkRef, 'derivation'>, figures: Readonly<Record<F, number>>): void {
    const sums = this.#derivations.get(derivation)?.sums;
    for (const figure of this.#figures) {
      this.#sums[figure].add(chunk, figures[figure]);
      sums?.[figure].add(figures[figure]);
    }
  }

  of(chunk: number, { derivation, range }: ChunkRef): { values: Readonly<Record<F, number>>; basis: Basis } {
    const count = this.#counts.get(chunk);
    if (count > 0) {
      return { values: this.#each((figure) => roundedMean(this.#sums[figure].get(chunk), count)), basis: 'chunk' };
    }
    const family = this.#derivations.get(derivation);
    if (family === undefined) return { values: this.#each(() => 0), basis: 'unknown' };
    const all = family.events.value;
    const values = this.#each((figure) =>
      Number(dividedHalfUp(family.sums[figure].value * BigInt(eventsIn(range)), all)),
    );
    return { values, basis: 'derivation' };
  }

  #each<T>(of: (figure: F) => T): Readonly<Record<F, T>> {
    return Object.fromEntries(this.#figures.map((figure) => [figure, of(figure)])) as Record<F, T>;
  }
}

function roundedMean(sum: number, count: number): number {
  const rest = sum % count;
  const mean = (sum - rest) / count;
  return 2 * rest >= count ? mean + 1 : mean;
}
