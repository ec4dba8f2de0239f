// The usage book of one process: for tests, and the measure for the shared one.
import { type Clock, systemClock } from '../core/clock.ts';
import { reservationMs, type UsageBook, type UsageEntry } from '../core/usage-book.ts';

export class MemoryUsageBook implements UsageBook {
  readonly #clock: Clock;
  readonly #reservations = new Map<string, { readonly bytes: number; readonly until: number }>();
  readonly #chunks = new Map<string, UsageEntry>();
  readonly #marks = new Map<string, string>();
  /** Whether a listing was taken in. */
  #known = false;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async reserve(id: string, bytes: number, capacityBytes: number): Promise<'reserved' | 'full' | 'unknown'> {
    if (!this.#known) return 'unknown';
    this.#reservations.delete(id);
    if (this.#usedBytes() + this.#reservedBytes() + bytes > capacityBytes) return 'full';
    this.#reservations.set(id, { bytes, until: this.#clock.now() + reservationMs });
    return 'reserved';
  }

  async settle(id: string, key: string, bytes: number): Promise<void> {
    this.#reservations.delete(id);
    this.#chunks.set(key, { key, bytes, usedAtMs: this.#clock.now() });
    this.#marks.set(key, id);
  }

  async release(id: string): Promise<void> {
    this.#reservations.delete(id);
  }

  async renew(ids: readonly string[]): Promise<void> {
    const now = this.#clock.now();
    for (const id of ids) {
      const reservation = this.#reservations.get(id);
      if (reservation !== undefined && reservation.until > now) {
        this.#reservations.set(id, { ...reservation, until: now + reservationMs });
      }
    }
  }

  async oldest(count: number): Promise<{ key: string }[]> {
    return [...this.#chunks.values()]
      .sort((a, b) => a.usedAtMs - b.usedAtMs)
      .slice(0, count)
      .map(({ key }) => ({ key }));
  }

  async mark(key: string): Promise<string | undefined> {
    const entry = this.#chunks.get(key);
    return entry && (this.#marks.get(key) ?? 'listed');
  }

  async forget(key: string, mark: string): Promise<void> {
    if (mark !== (await this.mark(key))) return;
    this.#chunks.delete(key);
    this.#marks.delete(key);
  }

  /** What is recorded already is newer than the listing, and stays. */
  async rebuild(entries: AsyncIterable<UsageEntry>): Promise<void> {
    for await (const entry of entries) {
      if (!this.#chunks.has(entry.key)) this.#chunks.set(entry.key, entry);
    }
    this.#known = true;
  }

  async touch(entries: readonly { readonly key: string; readonly usedAtMs: number }[]): Promise<void> {
    for (const { key, usedAtMs } of entries) {
      const entry = this.#chunks.get(key);
      if (entry !== undefined && usedAtMs > entry.usedAtMs) this.#chunks.set(key, { ...entry, usedAtMs });
    }
  }

  async usage(): Promise<{ usedBytes: number; reservedBytes: number } | undefined> {
    return this.#known ? { usedBytes: this.#usedBytes(), reservedBytes: this.#reservedBytes() } : undefined;
  }

  #usedBytes(): number {
    let sum = 0;
    for (const { bytes } of this.#chunks.values()) sum += bytes;
    return sum;
  }

  #reservedBytes(): number {
    let sum = 0;
    for (const [id, { bytes, until }] of this.#reservations) {
      if (until <= this.#clock.now()) this.#reservations.delete(id);
      else sum += bytes;
    }
    return sum;
  }
}
