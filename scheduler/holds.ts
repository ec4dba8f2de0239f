// Chunks held in memory for answers under way, against the byte budget. However many answers hold a chunk at a time, it is
// read once and counts once. What is held ahead of need is given up, the latest first, when somebody needs the room now.
import type { ByteBudget } from './window.ts';

/** A chunk in memory; `release` when done with it (again does no harm). */
export interface Held {
  readonly stored: Buffer;
  release(): void;
}

/** Held ahead of need: may be taken back at any time until it is kept. */
export interface HeldAhead extends Held {
  /** It is needed now; taken back no more. */
  keep(): void;
}

type Load = () => Promise<Buffer | undefined>;

interface Shared {
  readonly key: string;
  holders: number;
  /** Taken from the budget. */
  bytes: number;
  readonly loading: Promise<Buffer | undefined>;
}

export class Holds {
  readonly #budget: ByteBudget;
  readonly #byKey = new Map<string, Shared>();
  /** Those who stand in line for room, by the chunk that they want. */
  readonly #inLine = new Map<string, Set<(shared: Shared) => void>>();
  /** What takes back each hold ahead of need, in the order they were made. */
  readonly #takingBack = new Set<() => void>();

  constructor(budget: ByteBudget) {
    this.#budget = budget;
    budget.onShortage(() => this.#takeBack());
  }

  /** Chunks held. */
  get size(): number {
    return this.#byKey.size;
  }

  /** Holds a chunk that is in memory already; undefined when there is no room right now. Synchronous. */
  holdNow(key: string, stored: Buffer): Held | undefined {
    const shared = this.#byKey.get(key) ?? this.#shareIfRoom(key, stored.length, () => Promise.resolve(stored));
    return shared === undefined ? undefined : { stored, release: this.#join(shared) };
  }

  /**
   * Reads a chunk that is needed now; undefined when it is not there.
   * @throws EvokeError OVERLOADED when there is no room within `waitMs`, the signal's reason, or what `load` throws
   */
  hold(
    key: string,
    bytes: number,
    load: Load,
    options: { waitMs: number; signal: AbortSignal },
  ): Promise<Held | undefined> {
    const shared = this.#byKey.get(key) ?? this.#shareIfRoom(key, bytes, load);
    return shared === undefined ? this.#inTurn(key, bytes, load, options) : this.#loaded(shared);
  }

  /**
   * Reads a chunk ahead of need; 'no room' when others need the bytes, undefined when the chunk is not there.
   * `takenBack` is called when a hold that was handed out is taken back: it counts as released then.
   */
  async holdAhead(
    key: string,
    bytes: number,
    load: Load,
    takenBack: () => void,
  ): Promise<HeldAhead | 'no room' | undefined> {
    const shared = this.#byKey.get(key) ?? this.#shareIfRoom(key, bytes, load);
    if (shared === undefined) return 'no room';
    const held = await this.#loaded(shared);
    if (held === undefined) return undefined;
    if (this.#budget.waiting > 0) {
      held.release();
      return 'no room';
    }
    const takeBack = () => {
      held.release();
      takenBack();
    };
    this.#takingBack.add(takeBack);
    return {
      stored: held.stored,
      keep: () => {
        this.#takingBack.delete(takeBack);
      },
      release: () => {
        this.#takingBack.delete(takeBack);
        held.release();
      },
    };
  }

  /** Stands in line for room, or until somebody else brings the chunk. */
  #inTurn(
    key: string,
    bytes: number,
    load: Load,
    { waitMs, signal }: { waitMs: number; signal: AbortSignal },
  ): Promise<Held | undefined> {
    return new Promise((resolve, reject) => {
      const brought = new AbortController();
      const join = (shared: Shared) => {
        brought.abort();
        resolve(this.#loaded(shared));
      };
      const inLine = this.#inLine.get(key) ?? new Set();
      this.#inLine.set(key, inLine.add(join));
      const leave = () => {
        inLine.delete(join);
        if (inLine.size === 0 && this.#inLine.get(key) === inLine) this.#inLine.delete(key);
      };
      this.#budget.take(bytes, { waitMs, signal: AbortSignal.any([signal, brought.signal]) }).then(
        () => {
          leave();
          if (brought.signal.aborted) this.#budget.give(bytes);
          else resolve(this.#loaded(this.#share(key, bytes, load)));
        },
        (error: unknown) => {
          leave();
          if (!brought.signal.aborted) reject(error);
        },
      );
    });
  }

  #takeBack(): void {
    for (const takeBack of [...this.#takingBack].reverse()) {
      if (this.#budget.waiting === 0) return;
      this.#takingBack.delete(takeBack);
      takeBack();
    }
  }

  #shareIfRoom(key: string, bytes: number, load: Load): Shared | undefined {
    return this.#budget.tryTake(bytes) ? this.#share(key, bytes, load) : undefined;
  }

  /** The bytes are taken already. */
  #share(key: string, bytes: number, load: Load): Shared {
    const shared = { key, holders: 0, bytes, loading: load() };
    this.#byKey.set(key, shared);
    for (const join of this.#inLine.get(key) ?? []) join(shared);
    this.#inLine.delete(key);
    return shared;
  }

  async #loaded(shared: Shared): Promise<Held | undefined> {
    const held = this.#join(shared);
    try {
      const stored = await shared.loading;
      if (stored !== undefined) {
        this.#budget.adjust(shared.bytes, stored.length);
        shared.bytes = stored.length;
        return { stored, release: held };
      }
    } catch (error) {
      held();
      throw error;
    }
    held();
    return undefined;
  }

  /** One holder more; what comes back ends that, however often it is called. */
  #join(shared: Shared): () => void {
    let holding = true;
    shared.holders++;
    return () => {
      if (!holding) return;
      holding = false;
      if (--shared.holders > 0) return;
      this.#byKey.delete(shared.key);
      this.#budget.give(shared.bytes);
    };
  }
}
