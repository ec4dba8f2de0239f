// Who may be evicted, and in which order of steps: nothing pinned, nothing that cannot be made again, and the digest is
// written down before the bytes go, so that what comes back can be compared. Eviction by the API and for room obey the same.
import { type ChunkRef, chunkCount, chunkKey, chunkRange, chunksInside } from '../core/chunk.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { type Dataset, formatDatasetName } from '../core/dataset.ts';
import { EvokeError } from '../core/errors.ts';
import type { EventRange } from '../core/event-range.ts';
import type { HoldBook } from '../core/hold-book.ts';
import { type EvictionCause, type LedgerSink, noLedger } from '../core/ledger.ts';
import type { UsageBook } from '../core/usage-book.ts';
import type { BatchHolds } from './batch-holds.ts';
import type { Catalog } from './catalog.ts';
import { type Chunks, isOnGrid } from './chunks.ts';
import { tellGone } from './gone.ts';

/** What is held for event ranges may be delivered at any moment. */
const rangesHeldSeconds = 2;

export interface EvictorParts {
  readonly chunks: Chunks;
  readonly catalog: Catalog;
  /** Whether a registered generator makes this dataset's events, bit for bit. */
  readonly canRemake: (dataset: Dataset) => boolean;
  /** Told what is gone. A book that cannot be reached is not waited for: it notices when it next offers the chunk. */
  readonly book: Pick<UsageBook, 'mark' | 'forget'>;
  /** What batches hold is not evicted for room; a person may evict it. */
  readonly holds?: Pick<BatchHolds, 'isHeld'>;
  /** The same for event ranges that were asked for and not delivered. While the book cannot be read, nothing is held. */
  readonly rangeHolds?: Pick<HoldBook, 'isHeld'>;
  /** Told when a chunk's digest differs from the one recorded for the same writer. */
  readonly onDifferent?: (chunk: ChunkRef) => void;
  /** Told of every chunk that this evictor took away. */
  readonly ledger?: LedgerSink;
  readonly clock?: Clock;
}

export class Evictor {
  readonly #parts: EvictorParts;

  constructor(parts: EvictorParts) {
    this.#parts = parts;
  }

  /**
   * Makes a chunk virtual again, for the room it takes. Returns the bytes freed; undefined when it was gone already, or damaged and is in quarantine.
   * @throws EvokeError PINNED, FOSSIL, STORE_UNAVAILABLE; the chunk is then still there
   */
  async evict(chunk: ChunkRef): Promise<number | undefined> {
    await this.#checkRemakeable(chunk);
    // What is held is known without asking the store.
    await this.#checkNotHeld(chunk);
    if (await this.#parts.catalog.isPinned(chunk)) throw pinned(`Chunk ${chunkKey(chunk)}`);
    return this.#remove(chunk, 'room');
  }

  /**
   * Makes the dataset's stored chunks virtual again that lie wholly inside the range (all of them, without one). Either
   * all may go, or none goes; a failure of the store in the middle leaves the rest, and asking again finishes it.
   * @throws EvokeError PINNED, FOSSIL, STORE_UNAVAILABLE
   */
  async evictSpan(dataset: Dataset, range?: EventRange): Promise<{ chunks: number; bytes: number }> {
    const { catalog, canRemake } = this.#parts;
    if (await catalog.isPinnedNow(dataset)) throw pinned(formatDatasetName(dataset));
    if (!canRemake(dataset)) throw fossil(formatDatasetName(dataset));
    await this.#checkNotPinnedByOthers(dataset, range);
    let chunks = 0;
    let bytes = 0;
    for await (const { chunk } of this.#stored(dataset, range)) {
      const freed = await this.#remove(chunk, 'asked');
      if (freed === undefined) continue;
      chunks++;
      bytes += freed;
    }
    return { chunks, bytes };
  }

  async #remove(chunk: ChunkRef, cause: EvictionCause): Promise<number | undefined> {
    const { book, chunks, onDifferent, ledger = noLedger, clock = systemClock } = this.#parts;
    // Once it is deleted another worker may make it again: that record must stay.
    const mark = await book.mark(chunkKey(chunk)).catch(() => undefined);
    const stored = await chunks.inspect(chunk);
    if (stored === undefined) {
      await this.#forget(chunk, mark);
      return undefined;
    }
    if ((await chunks.recordDigest(chunk, stored.provenance)) === 'different') onDifferent?.(chunk);
    // From before it goes: whoever makes it again has not made it yet.
    const atMs = clock.now();
    const removed = await chunks.delete(chunk);
    if (removed) tellGone(ledger, chunk, { ...stored, cause, atMs });
    await this.#forget(chunk, mark);
    return removed ? stored.bytes : undefined;
  }

  async #forget(chunk: ChunkRef, mark: string | undefined): Promise<void> {
    // What is recorded since is another's.
    if (mark !== undefined) await this.#parts.book.forget(chunkKey(chunk), mark).catch(() => undefined);
  }

  async #checkRemakeable(chunk: ChunkRef): Promise<void> {
    const datasets = await this.#parts.catalog.datasetsSharing(chunk.derivation, chunk.batchEvents);
    if (!datasets.some((dataset) => this.#parts.canRemake(dataset))) throw fossil(`Chunk ${chunkKey(chunk)}`);
  }

  async #checkNotHeld(chunk: ChunkRef): Promise<void> {
    const { catalog, holds, rangeHolds } = this.#parts;
    if (await rangeHolds?.isHeld(chunkKey(chunk)).catch(() => false)) {
      throw new EvokeError('PINNED', {
        detail: `Chunk ${chunkKey(chunk)} is held for event ranges that were asked for and not delivered.`,
        hint: 'Wait until they are delivered or EVOKE_HOLD_SECONDS have passed.',
        retryAfterSeconds: rangesHeldSeconds,
      });
    }
    if (holds === undefined) return;
    for (const dataset of await catalog.datasetsSharing(chunk.derivation, chunk.batchEvents)) {
      if (!isOnGrid(chunk.range, dataset) || !(await holds.isHeld(dataset, chunk.range))) continue;
      throw new EvokeError('PINNED', {
        detail: `Chunk ${chunkKey(chunk)} is held by a batch over ${formatDatasetName(dataset)}.`,
        hint: 'Cancel the batch, or wait until its hold ends.',
      });
    }
  }

  /** Another dataset of the same derivation may have some of the chunks and be pinned. */
  async #checkNotPinnedByOthers(dataset: Dataset, range: EventRange | undefined): Promise<void> {
    const { catalog } = this.#parts;
    for (const other of await catalog.datasetsSharing(dataset.derivationId, dataset.batchEvents)) {
      if (!(await catalog.isPinnedNow(other))) continue;
      for await (const { chunk } of this.#stored(dataset, range)) {
        if (isOnGrid(chunk.range, other))
          throw pinned(`Chunk ${chunkKey(chunk)}, shared with ${formatDatasetName(other)},`);
      }
    }
  }

  async *#stored(dataset: Dataset, range: EventRange | undefined) {
    const span = range === undefined ? { first: 0, end: chunkCount(dataset) } : chunksInside(range, dataset);
    if (span.first >= span.end) return;
    const inside = { first: chunkRange(dataset, span.first).first, end: chunkRange(dataset, span.end - 1).end };
    for await (const stored of this.#parts.chunks.list(dataset.derivationId, dataset.batchEvents, inside)) {
      if (isOnGrid(stored.chunk.range, dataset)) yield stored;
    }
  }
}

function pinned(what: string): EvokeError {
  return new EvokeError('PINNED', {
    detail: `${what} is pinned.`,
    hint: 'Remove the pin first, or wait until it expires.',
  });
}

function fossil(what: string): EvokeError {
  return new EvokeError('FOSSIL', {
    detail: `${what} cannot be made again: this service lacks a generator that makes the same bits.`,
    hint: 'A build that carries the generator and version of its derivation, and of those of its inputs, may evict it.',
  });
}
