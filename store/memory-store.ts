// A store in memory: the plainest thing that keeps the contract. For tests, and the measure for other backends.
import { type Clock, systemClock } from '../core/clock.ts';
import { checkName, checkPrefix } from './names.ts';
import { type ByteSpan, listLimitMax, type ObjectInfo, type StoreBackend } from './store.ts';

interface MemoryObject {
  readonly bytes: Buffer;
  readonly modifiedAtMs: number;
}

export class MemoryStore implements StoreBackend {
  readonly description = 'memory';
  readonly #objects = new Map<string, MemoryObject>();
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async get(name: string): Promise<Buffer | undefined> {
    checkName(name);
    return this.#objects.get(name)?.bytes;
  }

  async getRange(name: string, range: ByteSpan): Promise<Buffer | undefined> {
    const bytes = await this.get(name);
    return (
      bytes &&
      Buffer.from(
        'last' in range
          ? bytes.subarray(Math.max(0, bytes.length - range.last))
          : bytes.subarray(range.start, range.end),
      )
    );
  }

  async head(name: string): Promise<ObjectInfo | undefined> {
    checkName(name);
    return this.#info(name);
  }

  async put(name: string, parts: readonly Uint8Array[], options: { ifAbsent?: boolean } = {}): Promise<boolean> {
    checkName(name);
    if (options.ifAbsent === true && this.#objects.has(name)) return false;
    this.#objects.set(name, { bytes: Buffer.concat(parts), modifiedAtMs: this.#clock.now() });
    return true;
  }

  async delete(name: string): Promise<boolean> {
    checkName(name);
    return this.#objects.delete(name);
  }

  async list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<ObjectInfo[]> {
    checkPrefix(prefix);
    const { after = '', limit = listLimitMax } = options;
    return [...this.#objects.keys()]
      .filter((name) => name.startsWith(prefix) && name > after)
      .sort()
      .slice(0, Math.max(0, Math.min(limit, listLimitMax)))
      .map((name) => this.#info(name))
      .filter((info) => info !== undefined);
  }

  /** Writes are not interrupted here. */
  async removeLeftovers(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {}

  #info(name: string): ObjectInfo | undefined {
    const object = this.#objects.get(name);
    return object && { name, bytes: object.bytes.length, modifiedAtMs: object.modifiedAtMs };
  }
}
