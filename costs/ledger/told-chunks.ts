// What the ledger tells of each chunk, in columns of numbers: when it was last made and put, and whether it should be there.
import type { ChunkRef } from '../../core/chunk.ts';
import type { Generation, LedgerEntry } from '../../core/ledger.ts';
import { ChunkTable, Column } from '../chunk-table.ts';

/** What is known of a chunk without its events: the same for all chunks of a dataset. */
type Kind = Pick<LedgerEntry, 'derivation' | 'batchEvents' | 'dataset' | 'generator'>;

/** A chunk that the ledger has as stored, as an eviction of it would say. */
export interface ToldChunk extends Kind, ChunkRef {
  readonly bytes: number;
}

const absent = 0;
const stored = 1;

export class ToldChunks {
  readonly #table = new ChunkTable();
  readonly #state = new Column();
  /** 1 for what was found in the store. */
  readonly #seen = new Column();
  readonly #generatedAtMs = new Column();
  readonly #generatedBeforeAtMs = new Column();
  readonly #putAtMs = new Column();
  readonly #goneAtMs = new Column();
  readonly #first = new Column();
  readonly #end = new Column();
  readonly #bytes = new Column();
  readonly #kind = new Column();
  readonly #kinds: Kind[] = [];
  readonly #kindNumbers = new Map<string, number>();

  /** Entries are taken in the order of the ledger. @throws EvokeError OVERLOADED when there are too many chunks */
  take(entry: LedgerEntry): void {
    if (entry.kind === 'access' || entry.kind === 'waste' || entry.kind === 'remake') return;
    const chunk = this.#table.numberOf(entry);
    if (entry.kind === 'eviction') {
      this.#state.set(chunk, absent);
      this.#goneAtMs.set(chunk, entry.atMs);
      return;
    }
    if (entry.kind === 'generation') {
      this.#generatedBeforeAtMs.set(chunk, this.#generatedAtMs.get(chunk));
      this.#generatedAtMs.set(chunk, entry.atMs);
      return;
    }
    this.#state.set(chunk, stored);
    this.#putAtMs.set(chunk, entry.atMs);
    this.#first.set(chunk, entry.range.first);
    this.#end.set(chunk, entry.range.end);
    this.#bytes.set(chunk, entry.bytes);
    this.#kind.set(chunk, this.#kindNumber(entry));
  }

  /** The chunk is in the store. */
  see(chunk: ChunkRef): void {
    this.#seen.set(this.#table.numberOf(chunk), 1);
  }

  /** Whether the ledger has it as stored, of this size, made and put at the same time and not before this one. */
  isStoredSince(ref: ChunkRef, atMs: number, bytes: number): boolean {
    const chunk = this.#table.numberOf(ref);
    const putAtMs = this.#putAtMs.get(chunk);
    if (this.#bytes.get(chunk) !== bytes) return false;
    return this.#state.get(chunk) === stored && putAtMs >= atMs && this.#generatedAtMs.get(chunk) === putAtMs;
  }

  /** Whether the ledger has this making, as the last of the chunk or the one before: what was put late may be as old. */
  hasMaking({ atMs, ...ref }: Generation): boolean {
    const chunk = this.#table.numberOf(ref);
    return this.#generatedAtMs.get(chunk) === atMs || this.#generatedBeforeAtMs.get(chunk) === atMs;
  }

  /**
   * When a chunk of this making, that is in the store since `storedAtMs`, was put: undefined when the ledger has it so. As a
   * rule when it was made; but a put that the store took late may bring back what was evicted meanwhile.
   */
  untoldPutAtMs(generation: Generation, storedAtMs: number): number | undefined {
    const chunk = this.#table.numberOf(generation);
    if (this.#state.get(chunk) === stored && this.#putAtMs.get(chunk) >= generation.atMs) return undefined;
    const goneAtMs = this.#goneAtMs.get(chunk);
    return generation.atMs > goneAtMs ? generation.atMs : Math.max(storedAtMs, goneAtMs + 1);
  }

  /** Up to so many chunks that should be there, put before this time, and that were not seen. */
  missing(beforeMs: number, max: number): ToldChunk[] {
    const found: ToldChunk[] = [];
    for (let chunk = 0; chunk < this.#table.size && found.length < max; chunk++) {
      if (this.#state.get(chunk) !== stored || this.#seen.get(chunk) === 1 || this.#putAtMs.get(chunk) >= beforeMs)
        continue;
      const range = { first: this.#first.get(chunk), end: this.#end.get(chunk) };
      found.push({ ...(this.#kinds[this.#kind.get(chunk)] as Kind), range, bytes: this.#bytes.get(chunk) });
    }
    return found;
  }

  #kindNumber({ derivation, batchEvents, dataset, generator }: Kind): number {
    const key = JSON.stringify([derivation, batchEvents, dataset, generator]);
    const known = this.#kindNumbers.get(key);
    if (known !== undefined) return known;
    const number = this.#kinds.push({ derivation, batchEvents, dataset, generator }) - 1;
    this.#kindNumbers.set(key, number);
    return number;
  }
}
