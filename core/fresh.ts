// A bounded memory of things that live elsewhere, at most `maxAgeMs` behind.
// Past half that age a look refreshes in the background, so that whoever looks steadily never waits.
import { LRUCache } from 'lru-cache';
import type { Clock } from './clock.ts';

interface Remembered<V> {
  readonly value: V;
  readonly at: number;
}

export class Fresh<V extends {}> {
  readonly #load: (key: string) => Promise<V>;
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #entries: LRUCache<string, Remembered<V>>;
  readonly #loading = new Map<string, Promise<V>>();

  constructor(load: (key: string) => Promise<V>, options: { maxAgeMs: number; entriesMax: number; clock: Clock }) {
    this.#load = load;
    this.#clock = options.clock;
    this.#maxAgeMs = options.maxAgeMs;
    this.#entries = new LRUCache({ max: options.entriesMax });
  }

  /** The remembered value when it is fresh enough to be used without asking anybody. */
  peek(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const ageMs = this.#clock.now() - entry.at;
    // A clock that was set back says nothing about the age.
    if (ageMs > this.#maxAgeMs || ageMs < 0) return undefined;
    // A failed refresh is not an error yet: the next look past the age limit meets it.
    if (ageMs > this.#maxAgeMs / 2) this.#refresh(key).catch(() => undefined);
    return entry.value;
  }

  async get(key: string): Promise<V> {
    return this.peek(key) ?? this.#refresh(key);
  }

  /** The next look asks again; what a load under way brings is not remembered. */
  forget(key: string): void {
    this.#entries.delete(key);
    this.#loading.delete(key);
  }

  #refresh(key: string): Promise<V> {
    const running = this.#loading.get(key);
    if (running !== undefined) return running;
    // The age counts from before the load: what changes meanwhile is seen in time.
    const at = this.#clock.now();
    const loading: Promise<V> = this.#load(key).then(
      (value) => {
        if (this.#loading.get(key) === loading) {
          this.#loading.delete(key);
          this.#entries.set(key, { value, at });
        }
        return value;
      },
      (error: unknown) => {
        if (this.#loading.get(key) === loading) this.#loading.delete(key);
        throw error;
      },
    );
    this.#loading.set(key, loading);
    return loading;
  }
}
