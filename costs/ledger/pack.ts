// Entries as they cross to the encoding thread: numbers in one array that is moved, texts as places in a list where each
// stands once. Packing is plain loops over plain data, and can be done a slice at a time.
import type { AccessMeans, EvictionCause, LedgerEntry, WasteCause } from '../../core/ledger.ts';
import type { Origin } from './names.ts';

export interface PackedEntries {
  readonly rows: number;
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly places: Int32Array<ArrayBuffer>;
  readonly texts: readonly string[];
}

/** Columns of numbers: time, batch events, range, segment, then up to four of the kind's own. */
const numberColumns = 9;
/** Columns of texts: kind, dataset, generator, derivation, process, then up to three of the kind's own. */
const textColumns = 8;

export class EntryPacker {
  readonly #numbers: Float64Array<ArrayBuffer>;
  readonly #places: Int32Array<ArrayBuffer>;
  readonly #placeOf = new Map<string, number>();
  #rows = 0;

  constructor(rowsMax: number) {
    this.#numbers = new Float64Array(rowsMax * numberColumns);
    this.#places = new Int32Array(rowsMax * textColumns);
  }

  add(entry: LedgerEntry, origin: Origin): void {
    const row = this.#rows++;
    const numbers = this.#numbers;
    const places = this.#places;
    const n = row * numberColumns;
    const t = row * textColumns;
    numbers[n] = entry.atMs;
    numbers[n + 1] = entry.batchEvents;
    numbers[n + 2] = entry.range.first;
    numbers[n + 3] = entry.range.end;
    numbers[n + 4] = origin.n;
    places[t] = this.#place(entry.kind);
    places[t + 1] = this.#place(entry.dataset);
    places[t + 2] = this.#place(entry.generator);
    places[t + 3] = this.#place(entry.derivation);
    places[t + 4] = this.#place(origin.process);
    switch (entry.kind) {
      case 'generation':
      case 'remake':
      case 'waste':
        numbers[n + 5] = entry.cpuMicros;
        numbers[n + 6] = entry.wallMicros;
        numbers[n + 7] = entry.attempt;
        places[t + 5] = this.#place(entry.requestId);
        places[t + 6] = this.#place(entry.batch);
        if (entry.kind === 'generation') numbers[n + 8] = entry.bytes;
        else if (entry.kind === 'waste') places[t + 7] = this.#place(entry.cause);
        return;
      case 'access':
        numbers[n + 5] = entry.events;
        numbers[n + 6] = entry.bytesServed;
        numbers[n + 7] = entry.waitMicros;
        places[t + 5] = this.#place(entry.requestId);
        places[t + 6] = this.#place(entry.means);
        return;
      case 'put':
        numbers[n + 5] = entry.bytes;
        return;
      case 'eviction':
        numbers[n + 5] = entry.bytes;
        places[t + 5] = this.#place(entry.cause);
        return;
    }
  }

  /** What was added; the packer is used up. */
  finish(): PackedEntries {
    return { rows: this.#rows, numbers: this.#numbers, places: this.#places, texts: [...this.#placeOf.keys()] };
  }

  #place(text: string): number {
    const known = this.#placeOf.get(text);
    if (known !== undefined) return known;
    const place = this.#placeOf.size;
    this.#placeOf.set(text, place);
    return place;
  }
}

/** What was packed: entries, and where each was first written. */
export function unpackEntries(packed: PackedEntries): { entries: LedgerEntry[]; origins: Origin[] } {
  const { rows, numbers, places, texts } = packed;
  return {
    entries: Array.from({ length: rows }, (_, row) => unpack(packed, row)),
    origins: Array.from({ length: rows }, (_, row) => ({
      process: texts[places[row * textColumns + 4] as number] as string,
      n: numbers[row * numberColumns + 4] as number,
    })),
  };
}

function unpack({ numbers, places, texts }: PackedEntries, row: number): LedgerEntry {
  const number = (column: number) => numbers[row * numberColumns + column] as number;
  // The types say again what was said when it was packed.
  const text = <T extends string>(column: number) => texts[places[row * textColumns + column] as number] as T;
  const base = {
    atMs: number(0),
    batchEvents: number(1),
    range: { first: number(2), end: number(3) },
    dataset: text(1),
    generator: text(2),
    derivation: text(3),
  };
  const work = () => ({
    cpuMicros: number(5),
    wallMicros: number(6),
    attempt: number(7),
    requestId: text(5),
    batch: text(6),
  });
  const kind = text<LedgerEntry['kind']>(0);
  switch (kind) {
    case 'generation':
      return { kind, ...base, ...work(), bytes: number(8) };
    case 'remake':
      return { kind, ...base, ...work() };
    case 'waste':
      return { kind, ...base, ...work(), cause: text<WasteCause>(7) };
    case 'access':
      return {
        kind,
        ...base,
        requestId: text(5),
        means: text<AccessMeans>(6),
        events: number(5),
        bytesServed: number(6),
        waitMicros: number(7),
      };
    case 'put':
      return { kind, ...base, bytes: number(5) };
    case 'eviction':
      return { kind, ...base, bytes: number(5), cause: text<EvictionCause>(5) };
  }
}
