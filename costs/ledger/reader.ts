// The ledger as one sequence: by time, every entry once, however often a segment was merged or a generation told.
// Holds the files of an hour, and of their entries only those parts that overlap at the time it has come to. What cannot
// be read is passed over and counted.
import { setImmediate } from 'node:timers/promises';
import type { LedgerEntry } from '../../core/ledger.ts';
import { type Log, silentLog } from '../../core/log.ts';
import { type LedgerStore, type ListedHour, ledgerHours, openHour } from './hour.ts';
import { Merging } from './merging.ts';
import { timeMaxMs } from './names.ts';
import { compareEntries } from './order.ts';
import { SegmentDamaged, type SegmentPart } from './segment.ts';
import { Tellings } from './tellings.ts';

export interface LedgerWindow {
  /** Entries from this time on, milliseconds since the epoch (default: all). */
  readonly fromMs?: number | undefined;
  /** Entries before this time (default: all). */
  readonly toMs?: number | undefined;
  readonly log?: Log;
  readonly signal?: AbortSignal | undefined;
}

interface Part extends SegmentPart {
  readonly segment: string;
}

/** Entries yielded between two turns of the event loop: a walk through years keeps nobody waiting. */
const turnEvery = 4096;

export class LedgerReading implements AsyncIterable<LedgerEntry> {
  readonly #store: LedgerStore;
  readonly #window: LedgerWindow;
  #unreadable = 0;

  constructor(store: LedgerStore, window: LedgerWindow) {
    this.#store = store;
    this.#window = window;
  }

  /** Segments passed over because they are damaged: known when the entries have been read. */
  get unreadable(): number {
    return this.#unreadable;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LedgerEntry> {
    const { fromMs = 0, toMs = timeMaxMs + 1, signal } = this.#window;
    this.#unreadable = 0;
    let count = 0;
    const tellings = new Tellings();
    for await (const hour of ledgerHours(this.#store, { fromMs, toMs })) {
      signal?.throwIfAborted();
      const later = await this.#partsOf(hour);
      const merging = new Merging(compareEntries);
      for (;;) {
        const next = merging.next?.atMs ?? Number.POSITIVE_INFINITY;
        const part = later.at(-1);
        if (part !== undefined && part.fromMs <= next) {
          later.pop();
          if (part.fromMs < toMs) merging.add(await this.#read(part));
          continue;
        }
        const entry = merging.take();
        if (entry === undefined) break;
        if (entry.atMs < fromMs || entry.atMs >= toMs) continue;
        if (tellings.isTold(entry)) continue;
        yield entry;
        if (++count % turnEvery !== 0) continue;
        await setImmediate();
        signal?.throwIfAborted();
      }
    }
  }

  /** The parts of the hour's segments, that with the earliest entries last. */
  async #partsOf(hour: ListedHour): Promise<Part[]> {
    const { live, damaged } = await openHour(this.#store, hour);
    for (const { name, detail } of damaged) this.#passOver(name, detail);
    return live
      .flatMap(({ name, parts }) => parts.map((part) => ({ segment: name, ...part })))
      .sort((a, b) => b.fromMs - a.fromMs);
  }

  async #read({ segment, read }: Part): Promise<readonly LedgerEntry[]> {
    try {
      return (await read()).entries;
    } catch (error) {
      if (!(error instanceof SegmentDamaged)) throw error;
      this.#passOver(segment, error.message);
      return [];
    }
  }

  #passOver(segment: string, detail: string): void {
    this.#unreadable++;
    (this.#window.log ?? silentLog).warn({ segment, detail }, 'a segment of the ledger is damaged and was passed over');
  }
}

/**
 * The ledger's entries in order of time; within a millisecond generations, wastes, puts, accesses, evictions, and then by
 * content, so that the order does not depend on who wrote what where. A generation or put told twice is given once, and a
 * chunk that was told unstored, and is stored, as that alone.
 * @throws EvokeError STORE_UNAVAILABLE while it is read, or the signal's reason
 */
export function readLedger(store: LedgerStore, window: LedgerWindow = {}): LedgerReading {
  return new LedgerReading(store, window);
}
