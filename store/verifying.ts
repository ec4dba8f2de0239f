// A wrapper through which no damaged chunk passes: what is cut, flipped, emptied or another chunk's is put into quarantine
// and is from then on absent, the same as virtual. Other objects pass as they are.
import { systemClock } from '../core/clock.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import { type LedgerSink, noLedger } from '../core/ledger.ts';
import { verifyChunk } from '../formats/chunk-file.ts';
import { keyOfChunkName } from './chunk-names.ts';
import { evictionOfDamaged } from './gone.ts';
import { quarantine } from './quarantine.ts';
import type { ByteSpan, ObjectInfo, Store } from './store.ts';

/** Told once for every damaged object found: its name and what was wrong. */
export type OnDamaged = (name: string, reason: string) => void;

/**
 * `get` of a chunk throws CHUNK_DAMAGED when it was damaged; a file that cannot be read at all is STORE_UNAVAILABLE. The
 * ledger is told of the chunks that are put into quarantine from here.
 */
export function verifying(store: Store, onDamaged: OnDamaged = () => undefined, ledger: LedgerSink = noLedger): Store {
  return new Verifying(store, onDamaged, ledger);
}

class Verifying implements Store {
  readonly #store: Store;
  readonly #onDamaged: OnDamaged;
  readonly #ledger: LedgerSink;
  /** Damaged objects being put away, by name: whoever meets one meanwhile waits for the same. */
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(store: Store, onDamaged: OnDamaged, ledger: LedgerSink) {
    this.#store = store;
    this.#onDamaged = onDamaged;
    this.#ledger = ledger;
  }

  get description(): string {
    return this.#store.description;
  }

  async get(name: string): Promise<Buffer | undefined> {
    const bytes = await this.#store.get(name);
    const key = keyOfChunkName(name);
    if (bytes === undefined || key === undefined) return bytes;
    try {
      await verifyChunk(key, bytes);
      return bytes;
    } catch (error) {
      if (!(error instanceof EvokeError) || error.code !== 'CHUNK_DAMAGED') throw error;
      await this.#putAway(name, key, bytes, messageOf(error));
      throw error;
    }
  }

  getRange(name: string, range: ByteSpan): Promise<Buffer | undefined> {
    return this.#store.getRange(name, range);
  }

  head(name: string): Promise<ObjectInfo | undefined> {
    return this.#store.head(name);
  }

  put(name: string, parts: readonly Uint8Array[], options?: { ifAbsent?: boolean }): Promise<boolean> {
    return this.#store.put(name, parts, options);
  }

  delete(name: string): Promise<boolean> {
    return this.#store.delete(name);
  }

  list(prefix: string, options?: { after?: string; limit?: number }): Promise<ObjectInfo[]> {
    return this.#store.list(prefix, options);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #putAway(name: string, key: string, bytes: Buffer, reason: string): Promise<void> {
    const running = this.#leaving.get(name);
    if (running !== undefined) return running;
    this.#onDamaged(name, reason);
    const leaving = this.#quarantine(name, key, bytes).finally(() => this.#leaving.delete(name));
    this.#leaving.set(name, leaving);
    return leaving;
  }

  async #quarantine(name: string, key: string, bytes: Buffer): Promise<void> {
    const atMs = systemClock.now();
    const isGone = await quarantine(this.#store, name, bytes);
    if (isGone) this.#ledger.record(evictionOfDamaged(key, bytes, atMs));
  }
}
