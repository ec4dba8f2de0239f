// A small number for every chunk that the ledger names, and columns of numbers by it: a million chunks take some hundred
// megabytes this way, outside of what the garbage collector walks.
import type { ChunkRef } from '../core/chunk.ts';
import { EvokeError } from '../core/errors.ts';

/** About 150 bytes each, all columns of a report together. */
const chunksMax = 5_000_000;
/** Chunks side by side in one map. One map of all would be allocated anew in a single piece as large as a heap's last reserve. */
const chunksPerShelf = 8192;

/** What whoever asked for more than a report can hold may do. */
export const hintOfTooMuch =
  'All chunks count that the ledger names before `to`: an earlier `to` takes less, a later `from` does not. Other tools can ask the files of the ledger: docs/ledger.md.';

export class ChunkTable {
  /** derivation → batch events → events of the chunk → shelf → first event index → number. */
  readonly #numbers = new Map<string, Map<number, Map<number, Map<number, Map<number, number>>>>>();
  readonly #chunksMax: number;
  #size = 0;

  constructor(max = chunksMax) {
    this.#chunksMax = max;
  }

  /** Chunks have the numbers 0 … size − 1. */
  get size(): number {
    return this.#size;
  }

  /** The number of a chunk, which may be new. @throws EvokeError OVERLOADED when there are too many. */
  numberOf({ derivation, batchEvents, range }: ChunkRef): number {
    const events = range.end - range.first;
    const shelves = inner(inner(inner(this.#numbers, derivation), batchEvents), events);
    const numbers = inner(shelves, Math.floor(range.first / (events * chunksPerShelf)));
    const known = numbers.get(range.first);
    if (known !== undefined) return known;
    if (this.#size === this.#chunksMax) {
      throw new EvokeError('OVERLOADED', {
        detail: `The ledger names more than ${this.#chunksMax} chunks: more than one report can hold.`,
        hint: hintOfTooMuch,
      });
    }
    numbers.set(range.first, this.#size);
    return this.#size++;
  }
}

function inner<K, L, V>(map: Map<K, Map<L, V>>, key: K): Map<L, V> {
  let found = map.get(key);
  if (found === undefined) {
    found = new Map();
    map.set(key, found);
  }
  return found;
}

/** A number for each chunk, 0 unless it was set. */
export class Column {
  #values = new Float64Array(1024);

  get(chunk: number): number {
    return this.#values[chunk] ?? 0;
  }

  set(chunk: number, value: number): void {
    if (chunk >= this.#values.length) {
      const grown = new Float64Array(2 ** Math.ceil(Math.log2(chunk + 1)));
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[chunk] = value;
  }

  add(chunk: number, value: number): void {
    this.set(chunk, this.get(chunk) + value);
  }
}
