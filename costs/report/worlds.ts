// What the same demand would have taken in three other worlds: nothing is ever kept; everything is kept from its first access
// on; and each chunk is kept exactly where that is cheaper than making it again, by someone who knows the future. Chunks do
// not compete for room, so each one's bill is made of its own gaps (Σ R + Σ min(s·gap, R)), and the third is the least there is.
import type { Access } from '../../core/ledger.ts';
import { Column } from '../chunk-table.ts';
import type { Tariff } from '../tariff.ts';
import type { Measures } from './measures.ts';
import type { Meter } from './quantities.ts';
import { type Owners, others, type Sheet } from './sheet.ts';

/** How many of the chunks that were asked for, by whom the report is about, rest on a figure that was not measured on themselves. */
export interface Assumptions {
  readonly chunks: number;
  /** Made at the mean cost of an event of their derivation. */
  readonly workOfDerivation: number;
  /** Made for nothing, as far as anybody knows. */
  readonly workUnknown: number;
  readonly bytesOfDerivation: number;
  readonly bytesUnknown: number;
}

export interface WorldSheets {
  readonly never: Sheet;
  readonly always: Sheet;
  readonly optimum: Sheet;
}

/** Accesses are given in the order of time. */
export class Worlds {
  readonly #sheets: WorldSheets;
  readonly #owners: Owners;
  readonly #measures: Measures;
  readonly #tariff: Tariff;
  /** 1 for chunks that were asked for in the window. */
  readonly #asked = new Column();
  /** 1 for those that are in the assumptions. */
  readonly #counted = new Column();
  readonly #lastMs = new Column();
  readonly #lastOwners = new Column();
  readonly #cpuMicros = new Column();
  readonly #wallMicros = new Column();
  readonly #bytes = new Column();
  readonly #horizonsMs = new Column();
  readonly #assumptions = { chunks: 0, workOfDerivation: 0, workUnknown: 0, bytesOfDerivation: 0, bytesUnknown: 0 };

  constructor(sheets: WorldSheets, owners: Owners, measures: Measures, tariff: Tariff) {
    this.#sheets = sheets;
    this.#owners = owners;
    this.#measures = measures;
    this.#tariff = tariff;
  }

  /**
   * In each world an answer takes one request to the store: what is made goes through it, what is kept is read. Whoever asks
   * pays for having the chunk kept since it was asked for before.
   */
  access(chunk: number, access: Access): void {
    const { atMs } = access;
    const owner = this.#owners.numberOf(access);
    const { never, always, optimum } = this.#sheets;
    const inAlways = serve(always.meter(owner, atMs), access);
    const inOptimum = serve(optimum.meter(owner, atMs), access);
    const isFirst = this.#asked.get(chunk) === 0;
    if (isFirst) this.#learn(chunk, access);
    this.#make(chunk, serve(never.meter(owner, atMs), access));
    if (isFirst) {
      this.#make(chunk, inAlways);
      this.#make(chunk, inOptimum);
    } else {
      const beforeMs = this.#lastMs.get(chunk);
      const bytes = this.#bytes.get(chunk);
      inAlways.hits.add(1);
      always.keep(owner, bytes, beforeMs, atMs);
      if (atMs - beforeMs <= this.#horizonsMs.get(chunk)) {
        inOptimum.hits.add(1);
        optimum.keep(owner, bytes, beforeMs, atMs);
      } else {
        this.#make(chunk, inOptimum);
      }
    }
    this.#lastMs.set(chunk, atMs);
    this.#lastOwners.set(chunk, owner);
    if (owner !== others && this.#counted.get(chunk) === 0) this.#count(chunk, access);
  }

  /** The window is over: what is always kept was kept until then, for whoever asked last. */
  end(chunk: number, toMs: number): void {
    if (this.#asked.get(chunk) === 0) return;
    this.#sheets.always.keep(this.#lastOwners.get(chunk), this.#bytes.get(chunk), this.#lastMs.get(chunk), toMs);
  }

  get assumptions(): Assumptions {
    return { ...this.#assumptions };
  }

  #make(chunk: number, meter: Meter): void {
    meter.cpuMicros.add(this.#cpuMicros.get(chunk));
    meter.waitMicros.add(this.#wallMicros.get(chunk));
  }

  #learn(chunk: number, access: Access): void {
    const { cpuMicros, wallMicros, bytes } = this.#measures.of(chunk, access);
    this.#asked.set(chunk, 1);
    this.#cpuMicros.set(chunk, cpuMicros);
    this.#wallMicros.set(chunk, wallMicros);
    this.#bytes.set(chunk, bytes);
    this.#horizonsMs.set(chunk, this.#horizonMs(cpuMicros, wallMicros, bytes));
  }

  #count(chunk: number, access: Access): void {
    const { workBasis, bytesBasis } = this.#measures.of(chunk, access);
    this.#counted.set(chunk, 1);
    this.#assumptions.chunks++;
    if (workBasis === 'derivation') this.#assumptions.workOfDerivation++;
    if (workBasis === 'unknown') this.#assumptions.workUnknown++;
    if (bytesBasis === 'derivation') this.#assumptions.bytesOfDerivation++;
    if (bytesBasis === 'unknown') this.#assumptions.bytesUnknown++;
  }

  /** Break-even: the longest time for which keeping does not cost more than making again. Exact: times are whole. */
  #horizonMs(cpuMicros: number, wallMicros: number, bytes: number): number {
    const { cpuMicro, waitMicro, byteMs } = this.#tariff;
    const keepingPerMs = BigInt(bytes) * byteMs;
    if (keepingPerMs === 0n) return Number.POSITIVE_INFINITY;
    return Number((BigInt(cpuMicros) * cpuMicro + BigInt(wallMicros) * waitMicro) / keepingPerMs);
  }
}

function serve(meter: Meter, { bytesServed }: Access): Meter {
  meter.accesses.add(1);
  meter.requests.add(1);
  meter.bytesServed.add(bytesServed);
  return meter;
}
