// A wrapper that remembers chunks in memory, bounded by their bytes. What it serves without asking is at most `ageMaxMs`
// behind the store; a chunk asked for steadily is looked at again in the background, so nobody waits for the disk.
// While the store fails or does not answer, remembered chunks are served: the bytes of a name never change.
import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { chunksPrefix } from './chunk-names.ts';
import { Patience } from './patience.ts';
import type { ByteSpan, ObjectInfo, Store } from './store.ts';

interface Remembered {
  readonly bytes: Buffer;
  /** When the store was last known to hold it. */
  checkedAt: number;
}

/** What the store said of a remembered object. */
type Check = 'present' | 'absent' | 'changed';

/** About what the name and the bookkeeping of an entry take. */
const entryBytes = 512;

export class HotChunks implements Store {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #ageMaxMs: number;
  readonly #patience = new Patience();
  readonly #entries: LRUCache<string, Remembered> | undefined;
  readonly #loads = new Map<string, Promise<Buffer | undefined>>();
  readonly #checks = new Map<string, Promise<Check>>();

  /** `bytesMax` 0 remembers nothing; a chunk larger than all of it is not remembered. */
  constructor(store: Store, options: { bytesMax: number; clock: Clock; ageMaxMs?: number }) {
    this.#store = store;
    this.#clock = options.clock;
    this.#ageMaxMs = options.ageMaxMs ?? 2000;
    this.#entries =
      options.bytesMax > 0
        ? new LRUCache({ maxSize: options.bytesMax, sizeCalculation: ({ bytes }) => bytes.length + entryBytes })
        : undefined;
  }

  get description(): string {
    return this.#store.description;
  }

  /** The chunk's bytes when they can be served at once: no I/O, no promise. */
  peek(name: string): Buffer | undefined {
    const entry = this.#entries?.get(name);
    if (entry === undefined) return undefined;
    const ageMs = this.#clock.now() - entry.checkedAt;
    // A clock that was set back says nothing about the age.
    const isFresh = ageMs >= 0 && ageMs <= this.#ageMaxMs;
    if (!isFresh && !this.#patience.inDoubt) return undefined;
    if (!isFresh || ageMs > this.#ageMaxMs / 2) this.#check(name, entry).catch(() => undefined);
    return entry.bytes;
  }

  async get(name: string): Promise<Buffer | undefined> {
    if (!name.startsWith(chunksPrefix)) return this.#store.get(name);
    const fresh = this.peek(name);
    if (fresh !== undefined) return fresh;
    const entry = this.#entries?.get(name);
    if (entry === undefined) return this.#load(name);
    const check = await this.#patience.askOr(this.#check(name, entry), 'present');
    if (check === 'changed') return this.#load(name);
    return check === 'present' ? entry.bytes : undefined;
  }

  getRange(name: string, range: ByteSpan): Promise<Buffer | undefined> {
    return this.#store.getRange(name, range);
  }

  async head(name: string): Promise<ObjectInfo | undefined> {
    const at = this.#clock.now();
    const info = await this.#patience.watch(this.#store.head(name));
    const entry = this.#entries?.peek(name);
    // As good as a check: whoever looks before reading has it looked up once.
    if (info?.bytes === entry?.bytes.length && entry !== undefined) entry.checkedAt = Math.max(entry.checkedAt, at);
    return info;
  }

  async put(name: string, parts: readonly Uint8Array[], options?: { ifAbsent?: boolean }): Promise<boolean> {
    return this.#changing(name, () => this.#store.put(name, parts, options));
  }

  async delete(name: string): Promise<boolean> {
    return this.#changing(name, () => this.#store.delete(name));
  }

  list(prefix: string, options?: { after?: string; limit?: number }): Promise<ObjectInfo[]> {
    return this.#store.list(prefix, options);
  }

  close(): Promise<void> {
    this.#entries?.clear();
    return this.#store.close();
  }

  /** Concurrent loads of one name are one. */
  #load(name: string): Promise<Buffer | undefined> {
    const running = this.#loads.get(name);
    if (running !== undefined) return running;
    const at = this.#clock.now();
    const load: Promise<Buffer | undefined> = this.#store
      .get(name)
      .then((bytes) => {
        // Not when it was put or deleted meanwhile: these may be the bytes from before.
        if (bytes !== undefined && this.#loads.get(name) === load) this.#entries?.set(name, { bytes, checkedAt: at });
        return bytes;
      })
      .finally(() => {
        if (this.#loads.get(name) === load) this.#loads.delete(name);
      });
    this.#loads.set(name, load);
    return load;
  }

  /** Asks the store whether it still holds what is remembered. Concurrent checks of one name are one. */
  #check(name: string, entry: Remembered): Promise<Check> {
    const running = this.#checks.get(name);
    if (running !== undefined) return running;
    const at = this.#clock.now();
    const check: Promise<Check> = this.#patience
      .watch(this.#store.head(name))
      .then(
        (info): Check => {
          if (info?.bytes === entry.bytes.length) {
            entry.checkedAt = at;
            return 'present';
          }
          if (this.#entries?.peek(name) === entry) this.#entries.delete(name);
          return info === undefined ? 'absent' : 'changed';
        },
        (error: unknown) => {
          // As if it were there: a failing store is not asked for every request, and noticed again when it works. From now,
          // not from before: a store may take longer to fail than what is remembered stays fresh.
          entry.checkedAt = this.#clock.now();
          throw error;
        },
      )
      .finally(() => {
        if (this.#checks.get(name) === check) this.#checks.delete(name);
      });
    this.#checks.set(name, check);
    return check;
  }

  async #changing<T>(name: string, change: () => Promise<T>): Promise<T> {
    this.#forget(name);
    try {
      return await change();
    } finally {
      this.#forget(name);
    }
  }

  #forget(name: string): void {
    this.#entries?.delete(name);
    this.#loads.delete(name);
    // What it says would be taken for the next entry's.
    this.#checks.delete(name);
  }
}
