// What the leading scheduler keeps in order: pins that have expired, requests that ended long ago, writes that were never
// finished, and the book of the store's capacity, which may be lost at any time and is made to agree with what the store
// holds. All of it is harmless when done twice or by two at once; what fails is tried again next time.
import { type ChunkRef, chunkKey, isChunkKey, parseChunkKey } from '../core/chunk.ts';
import type { DatasetName } from '../core/dataset.ts';
import { isNamePart } from '../core/dataset.ts';
import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { UsageBook, UsageEntry } from '../core/usage-book.ts';
import { everyObject } from '../store/listing.ts';
import { removeOldRequests } from '../store/requests.ts';
import type { StoreBackend } from '../store/store.ts';
import { elapsed, type Time } from './time.ts';

export interface HousekeepingParts {
  readonly store: Pick<StoreBackend, 'list' | 'delete' | 'removeLeftovers'>;
  readonly catalog: {
    /** Asked of the store: false for a pin that has expired. */
    isPinnedNow(name: DatasetName): Promise<boolean>;
    unpin(name: DatasetName): Promise<boolean>;
  };
  readonly chunks: {
    /** Every stored chunk. */
    all(): AsyncIterable<{ readonly chunk: ChunkRef; readonly bytes: number; readonly modifiedAtMs: number }>;
    head(chunk: ChunkRef): Promise<unknown>;
  };
  readonly book: Pick<UsageBook, 'usage' | 'rebuild' | 'oldest' | 'mark' | 'forget'>;
  readonly time: Time;
  readonly log: Log;
}

const roundMs = 30_000;
/** These walk the whole store, which may take a while: when a leader is new, and then every ten minutes. */
const walkEveryRounds = 20;
/** Longer than any write takes. */
const leftoverAgeMs = 3_600_000;
/** Book entries looked at in a walk; those whose chunk is gone are taken out. Each look is a request to an object store. */
const looksPerWalk = 256;

export interface HousekeepingReport {
  readonly pinsRemoved: number;
  readonly leftoversRemoved: number;
  readonly requestsRemoved: number;
  readonly bookRebuilt: boolean;
  readonly entriesForgotten: number;
}

export class Housekeeping {
  readonly #parts: HousekeepingParts;

  constructor(parts: HousekeepingParts) {
    this.#parts = parts;
  }

  /** Keeps house every 30 s until aborted. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    for (let round = 0; !signal.aborted; round++) {
      const report = await this.once(signal, round % walkEveryRounds === 0);
      const { pinsRemoved, leftoversRemoved, requestsRemoved, bookRebuilt, entriesForgotten } = report;
      const didSomething = pinsRemoved + leftoversRemoved + requestsRemoved + entriesForgotten > 0 || bookRebuilt;
      this.#parts.log[didSomething ? 'info' : 'debug'](report, 'kept house');
      await elapsed(this.#parts.time, roundMs, signal);
    }
  }

  /** One round. `walk`: with the parts that go through the whole store. What fails is logged and left for the next. */
  async once(signal: AbortSignal, walk: boolean): Promise<HousekeepingReport> {
    const { store, book } = this.#parts;
    const attempt = async <T>(what: string, otherwise: T, act: () => Promise<T>): Promise<T> => {
      if (signal.aborted) return otherwise;
      try {
        return await act();
      } catch (error) {
        if (!signal.aborted) this.#parts.log.warn({ error: messageOf(error) }, `could not ${what}`);
        return otherwise;
      }
    };
    return {
      pinsRemoved: await attempt('remove expired pins', 0, () => this.#removeExpiredPins(signal)),
      bookRebuilt: await attempt('rebuild the book of the capacity', false, async () => {
        if (!walk && (await book.usage()) !== undefined) return false;
        await book.rebuild(this.#entries(signal));
        return true;
      }),
      entriesForgotten: await attempt('look through the book of the capacity', 0, async () =>
        walk ? this.#forgetGone(signal) : 0,
      ),
      leftoversRemoved: await attempt('remove interrupted writes', 0, async () =>
        walk ? store.removeLeftovers(leftoverAgeMs) : 0,
      ),
      requestsRemoved: await attempt('remove old requests', 0, async () =>
        walk ? removeOldRequests(store, this.#parts.time.now(), signal) : 0,
      ),
    };
  }

  async #removeExpiredPins(signal: AbortSignal): Promise<number> {
    const { store, catalog } = this.#parts;
    let removed = 0;
    for await (const { name: object } of everyObject(store, 'pins/')) {
      signal.throwIfAborted();
      const name = pinned(object);
      // Looked at just before, so that a pin that was renewed stays.
      if (name !== undefined && !(await catalog.isPinnedNow(name)) && (await catalog.unpin(name))) removed++;
    }
    return removed;
  }

  async *#entries(signal: AbortSignal): AsyncGenerator<UsageEntry> {
    for await (const { chunk, bytes, modifiedAtMs } of this.#parts.chunks.all()) {
      signal.throwIfAborted();
      yield { key: chunkKey(chunk), bytes, usedAtMs: modifiedAtMs };
    }
  }

  /** Chunks that were deleted or damaged behind the book's back; the least recently used are where they end up. */
  async #forgetGone(signal: AbortSignal): Promise<number> {
    const { book, chunks } = this.#parts;
    let forgotten = 0;
    for (const { key } of await book.oldest(looksPerWalk)) {
      signal.throwIfAborted();
      const mark = await book.mark(key);
      if (mark === undefined) continue;
      if (isChunkKey(key) && (await chunks.head(parseChunkKey(key))) !== undefined) continue;
      await book.forget(key, mark);
      forgotten++;
    }
    return forgotten;
  }
}

/** The dataset whose pin an object is: `pins/<scope>/<name>.json`. */
function pinned(object: string): DatasetName | undefined {
  const match = /^pins\/([^/]+)\/([^/]+)\.json$/.exec(object);
  const name = { scope: match?.[1] ?? '', name: match?.[2] ?? '' };
  return isNamePart(name.scope) && isNamePart(name.name) ? name : undefined;
}
