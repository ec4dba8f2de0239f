// What was really done in a window of time: work, waste, what was kept meanwhile, and what was served. Of the time before the
// window only puts and evictions count, for what is stored when it begins.
import type { LedgerEntry, Remake } from '../../core/ledger.ts';
import { Column } from '../chunk-table.ts';
import type { Owners, Sheet } from './sheet.ts';

/** Of a chunk that has a number. */
type OfChunk = Exclude<LedgerEntry, Remake>;

export class Actual {
  readonly #sheet: Sheet;
  readonly #owners: Owners;
  /** Of what is stored now: its bytes and 1, so that none is 0; since when within the window; by whom it was put. */
  readonly #stored = new Column();
  readonly #sinceMs = new Column();
  readonly #keepers = new Column();

  constructor(sheet: Sheet, owners: Owners) {
    this.#sheet = sheet;
    this.#owners = owners;
  }

  /** An entry of before the window, which begins at `fromMs`. */
  before(chunk: number, entry: OfChunk, fromMs: number): void {
    if (entry.kind === 'put') this.#begin(chunk, entry.bytes, fromMs, this.#owners.numberOf(entry));
    else if (entry.kind === 'eviction') this.#stored.set(chunk, 0);
  }

  /** An entry of the window. */
  within(chunk: number, entry: OfChunk): void {
    if (entry.kind === 'eviction') {
      this.end(chunk, entry.atMs);
      return;
    }
    const owner = this.#owners.numberOf(entry);
    const meter = this.#sheet.meter(owner, entry.atMs);
    switch (entry.kind) {
      case 'access':
        meter.accesses.add(1);
        meter.bytesServed.add(entry.bytesServed);
        meter.waitMicros.add(entry.waitMicros);
        if (entry.means === 'memory' || entry.means === 'near') meter.hits.add(1);
        if (entry.means === 'near') meter.requests.add(1);
        return;
      case 'generation':
        meter.cpuMicros.add(entry.cpuMicros);
        if (entry.batch !== '') meter.batchMicros.add(entry.cpuMicros);
        return;
      case 'waste':
        meter.cpuMicros.add(entry.cpuMicros);
        meter[`${entry.cause}Micros`].add(entry.cpuMicros);
        if (entry.batch !== '') meter.batchMicros.add(entry.cpuMicros);
        return;
      case 'put':
        meter.requests.add(1);
        this.end(chunk, entry.atMs);
        this.#begin(chunk, entry.bytes, entry.atMs, owner);
    }
  }

  /** An input was made again on the way, in the window: no chunk of it came of that. */
  remade(entry: Remake): void {
    const meter = this.#sheet.meter(this.#owners.numberOf(entry), entry.atMs);
    meter.cpuMicros.add(entry.cpuMicros);
    if (entry.batch !== '') meter.batchMicros.add(entry.cpuMicros);
  }

  /** The chunk is stored no longer, or the window is over. */
  end(chunk: number, atMs: number): void {
    const stored = this.#stored.get(chunk);
    if (stored === 0) return;
    this.#sheet.keep(this.#keepers.get(chunk), stored - 1, this.#sinceMs.get(chunk), atMs);
    this.#stored.set(chunk, 0);
  }

  #begin(chunk: number, bytes: number, sinceMs: number, owner: number): void {
    this.#stored.set(chunk, bytes + 1);
    this.#sinceMs.set(chunk, sinceMs);
    this.#keepers.set(chunk, owner);
  }
}
