// Chunks as the rest of the service sees them: by what names their bytes, whole and verified, or absent.
import { type ChunkRef, chunkKey, type Grid } from '../core/chunk.ts';
import { EvokeError } from '../core/errors.ts';
import { type EventRange, eventNumber } from '../core/event-range.ts';
import type { Provenance } from '../core/provenance.ts';
import { openChunk, readTrailer, trailerBytesMax } from '../formats/chunk-file.ts';
import { chunkName, chunkOfName, chunksPrefix, digestsName } from './chunk-names.ts';
import { appendDigest, type DigestLine, type DigestOutcome, readDigests } from './digests.ts';
import type { HotChunks } from './hot.ts';
import { everyObject } from './listing.ts';
import type { ObjectInfo, Store } from './store.ts';

export interface StoredChunk {
  readonly chunk: ChunkRef;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

export class Chunks {
  readonly #store: Store;
  readonly #hot: HotChunks | undefined;

  /** `store` verifies (verifying.ts); `hot`, where there is one, wraps that same store. */
  constructor(store: Store, hot?: HotChunks) {
    this.#store = store;
    this.#hot = hot;
  }

  /** The chunk at rest, verified. Undefined when there is none, or when it was damaged and is now in quarantine. */
  async get(chunk: ChunkRef): Promise<Buffer | undefined> {
    return damagedIsAbsent((this.#hot ?? this.#store).get(chunkName(chunk)));
  }

  /** The chunk when it can be served from memory at once: no I/O, no promise. */
  peek(chunk: ChunkRef): Buffer | undefined {
    return this.#hot?.peek(chunkName(chunk));
  }

  head(chunk: ChunkRef): Promise<ObjectInfo | undefined> {
    return (this.#hot ?? this.#store).head(chunkName(chunk));
  }

  /**
   * Replaces a stored chunk of the same name, whose bytes are as good; with `ifAbsent` it stays. Returns whether these
   * bytes are the ones stored.
   */
  put(chunk: ChunkRef, parts: readonly Uint8Array[], options?: { ifAbsent?: boolean }): Promise<boolean> {
    return (this.#hot ?? this.#store).put(chunkName(chunk), parts, options);
  }

  /** Returns whether it was stored; eviction.ts has the rules for what may go. */
  delete(chunk: ChunkRef): Promise<boolean> {
    return (this.#hot ?? this.#store).delete(chunkName(chunk));
  }

  /**
   * Stored chunks of a derivation that begin within the range, in the order of their first event. Datasets that cut the
   * same derivation differently lie side by side here: `isOnGrid` tells whose a chunk is.
   */
  async *list(derivation: string, batchEvents: number, range?: EventRange): AsyncGenerator<StoredChunk> {
    const prefix = `${chunksPrefix}${derivation}/${batchEvents}/`;
    // Before every name that begins with this event number, and after all that begin with a smaller one.
    const after = range && prefix + String(eventNumber(range.first)).padStart(16, '0');
    for await (const stored of this.#under(prefix, after)) {
      if (range !== undefined && stored.chunk.range.first >= range.end) return;
      yield stored;
    }
  }

  /** Every chunk of the store. */
  all(): AsyncGenerator<StoredChunk> {
    return this.#under(chunksPrefix);
  }

  /** What a stored chunk says of itself, from its last bytes: not verified. Undefined when absent, or not legible. */
  async trailer(chunk: ChunkRef): Promise<Provenance | undefined> {
    const end = await this.#store.getRange(chunkName(chunk), { last: trailerBytesMax });
    try {
      return end && readTrailer(chunkKey(chunk), end);
    } catch (error) {
      if (error instanceof EvokeError && error.code === 'CHUNK_DAMAGED') return undefined;
      throw error;
    }
  }

  /** What a stored chunk says of itself and how large it is, read past the memory of hot chunks, which it would disturb. */
  async inspect(chunk: ChunkRef): Promise<{ provenance: Provenance; bytes: number } | undefined> {
    const stored = await damagedIsAbsent(this.#store.get(chunkName(chunk)));
    return stored && { provenance: openChunk(chunkKey(chunk), stored).provenance, bytes: stored.length };
  }

  /**
   * Writes down the digest that a writer gave a chunk. 'different': this writer once gave it another digest, which must
   * be reported; both stay in the log.
   */
  recordDigest(chunk: ChunkRef, made: { digest: string; writer: string }): Promise<DigestOutcome> {
    return appendDigest(this.#store, digestsName(chunk), made);
  }

  /** In the order in which they were recorded. */
  recordedDigests(chunk: ChunkRef): Promise<DigestLine[]> {
    return readDigests(this.#store, digestsName(chunk));
  }

  async *#under(prefix: string, after?: string): AsyncGenerator<StoredChunk> {
    for await (const { name, bytes, modifiedAtMs } of everyObject(this.#store, prefix, after)) {
      const chunk = chunkOfName(name);
      if (chunk !== undefined) yield { chunk, bytes, modifiedAtMs };
    }
  }
}

/** Whether a dataset with this grid has exactly this chunk. */
export function isOnGrid(range: EventRange, grid: Grid): boolean {
  const whole = range.first + grid.chunkEvents;
  return (
    range.first % grid.chunkEvents === 0 && range.first < grid.events && range.end === Math.min(whole, grid.events)
  );
}

/** Damaged is the same as virtual. */
async function damagedIsAbsent(found: Promise<Buffer | undefined>): Promise<Buffer | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof EvokeError && error.code === 'CHUNK_DAMAGED') return undefined;
    throw error;
  }
}
