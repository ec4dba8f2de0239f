// A span's chunks one after another, with what a listing of the store says of each: a million chunks cost a thousand pages,
// and what is held is one page.
import type { ChunkRef, ChunkSpan } from '../core/chunk.ts';
import { chunkRange } from '../core/chunk.ts';
import type { Clock } from '../core/clock.ts';
import type { Dataset } from '../core/dataset.ts';
import type { EventRange } from '../core/event-range.ts';
import { chunkIndexOf } from './survey.ts';

export interface Place {
  readonly index: number;
  /** When the chunk was stored, undefined where it is absent, as of a listing at most `listingMsMax` old. */
  readonly storedAtMs: number | undefined;
}

export interface ListedPlaces {
  /** Stored chunks of a derivation that begin within the range, in event order, of whatever grid. */
  list(
    derivation: string,
    batchEvents: number,
    range: EventRange,
  ): AsyncIterable<{ readonly chunk: ChunkRef; readonly modifiedAtMs: number }>;
}

interface Stored {
  readonly index: number;
  readonly storedAtMs: number;
}

/** A page is read at once and used up slowly: what it says grows old. */
const listingMsMax = 60_000;

export class Places {
  readonly #dataset: Dataset;
  readonly #end: number;
  readonly #chunks: ListedPlaces;
  readonly #clock: Clock;
  #index: number;
  #listing: AsyncIterator<{ readonly chunk: ChunkRef; readonly modifiedAtMs: number }> | undefined;
  #listedAtMs = 0;
  /** The first stored chunk that is not behind; undefined when it is not known, 'none' when there is none left. */
  #stored: Stored | 'none' | undefined;

  constructor(dataset: Dataset, span: ChunkSpan, chunks: ListedPlaces, clock: Clock) {
    this.#dataset = dataset;
    this.#index = span.first;
    this.#end = span.end;
    this.#chunks = chunks;
    this.#clock = clock;
  }

  /** The next place; undefined after the last. @throws EvokeError STORE_UNAVAILABLE; the next call then tries again. */
  async next(): Promise<Place | undefined> {
    if (this.#index >= this.#end) {
      await this.close();
      return undefined;
    }
    const stored = await this.#nextStored();
    const index = this.#index++;
    return { index, storedAtMs: stored !== 'none' && stored.index === index ? stored.storedAtMs : undefined };
  }

  async close(): Promise<void> {
    const listing = this.#listing;
    this.#listing = undefined;
    this.#stored = undefined;
    await listing?.return?.();
  }

  async #nextStored(): Promise<Stored | 'none'> {
    if (this.#listing !== undefined && this.#clock.now() - this.#listedAtMs > listingMsMax) await this.close();
    try {
      this.#listing ??= this.#list();
      while (this.#stored === undefined || (this.#stored !== 'none' && this.#stored.index < this.#index)) {
        this.#stored = await this.#read(this.#listing);
      }
      return this.#stored;
    } catch (error) {
      this.#listing = undefined;
      this.#stored = undefined;
      throw error;
    }
  }

  #list(): AsyncIterator<{ readonly chunk: ChunkRef; readonly modifiedAtMs: number }> {
    this.#listedAtMs = this.#clock.now();
    const { derivationId, batchEvents } = this.#dataset;
    const range = {
      first: chunkRange(this.#dataset, this.#index).first,
      end: chunkRange(this.#dataset, this.#end - 1).end,
    };
    return this.#chunks.list(derivationId, batchEvents, range)[Symbol.asyncIterator]();
  }

  async #read(listing: AsyncIterator<{ readonly chunk: ChunkRef; readonly modifiedAtMs: number }>) {
    for (;;) {
      const { done, value } = await listing.next();
      if (done) return 'none';
      const index = chunkIndexOf(this.#dataset, value.chunk);
      if (index !== undefined && index >= this.#index) return { index, storedAtMs: value.modifiedAtMs };
    }
  }
}
