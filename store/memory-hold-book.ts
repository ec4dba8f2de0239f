// The book of holds of one process: for tests, and the measure for the shared one.
import { type Clock, systemClock } from '../core/clock.ts';
import type { EventRange } from '../core/event-range.ts';
import {
  chunksToHold,
  type Held,
  type HeldRange,
  type HoldBook,
  type HoldLimits,
  keysToHold,
} from '../core/hold-book.ts';

interface Hold {
  readonly held: HeldRange;
  readonly keys: readonly string[];
  untilMs: number;
}

interface HeldChunk {
  readonly bytes: number;
  /** Ranges that hold it. */
  count: number;
}

export class MemoryHoldBook implements HoldBook {
  readonly #clock: Clock;
  readonly #holds = new Map<string, Hold>();
  readonly #chunks = new Map<string, HeldChunk>();
  #bytes = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async hold(ranges: readonly HeldRange[], holdMs: number, limits: HoldLimits): Promise<boolean[]> {
    this.#expire();
    return ranges.map((held) => this.#hold(held, this.#clock.now() + holdMs, limits));
  }

  async delivered(derivation: string, range: EventRange): Promise<number> {
    this.#expire();
    const within = [...this.#holds].filter(
      ([, { held }]) =>
        held.derivation === derivation && held.range.first >= range.first && held.range.end <= range.end,
    );
    for (const [name, hold] of within) this.#release(name, hold);
    return within.length;
  }

  async isHeld(key: string): Promise<boolean> {
    this.#expire();
    return this.#chunks.has(key);
  }

  async held(): Promise<Held> {
    this.#expire();
    return { ranges: this.#holds.size, chunks: this.#chunks.size, bytes: this.#bytes };
  }

  #hold(held: HeldRange, untilMs: number, { bytesMax, chunksMax, rangesMax }: HoldLimits): boolean {
    const name = nameOf(held);
    const known = this.#holds.get(name);
    if (known !== undefined) {
      known.untilMs = Math.max(known.untilMs, untilMs);
      return true;
    }
    if (chunksToHold(held) === undefined) return false;
    const keys = keysToHold(held);
    const added = keys.filter((key) => !this.#chunks.has(key)).length;
    if (this.#bytes + added * held.chunkBytes > bytesMax) return false;
    if (this.#chunks.size + added > chunksMax || this.#holds.size >= rangesMax) return false;
    for (const key of keys) {
      const chunk = this.#chunks.get(key) ?? { bytes: held.chunkBytes, count: 0 };
      if (chunk.count++ === 0) this.#bytes += chunk.bytes;
      this.#chunks.set(key, chunk);
    }
    this.#holds.set(name, { held, keys, untilMs });
    return true;
  }

  #release(name: string, { keys }: Hold): void {
    this.#holds.delete(name);
    for (const key of keys) {
      const chunk = this.#chunks.get(key);
      if (chunk === undefined || --chunk.count > 0) continue;
      this.#chunks.delete(key);
      this.#bytes -= chunk.bytes;
    }
  }

  #expire(): void {
    for (const [name, hold] of this.#holds) {
      if (hold.untilMs <= this.#clock.now()) this.#release(name, hold);
    }
  }
}

function nameOf({ derivation, range, grid }: HeldRange): string {
  return JSON.stringify([derivation, range.first, range.end, grid.batchEvents, grid.chunkEvents, grid.events]);
}
