// When chunks were last used, told to the shared usage book about once a second, in one go: a hit itself calls nobody.
// Only tried, not promised: what a stopping or Redis-less process does not get rid of costs a chunk its place in the order.
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { UsageBook } from '../core/usage-book.ts';

const tellEveryMs = 1000;
/** Beyond this many different chunks within a second the rest of them go untold. */
const keysMax = 50_000;

export class Recency {
  readonly #book: Pick<UsageBook, 'touch'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #beside: { tell(): Promise<void> } | undefined;
  readonly #timer: NodeJS.Timeout;
  #used = new Map<string, number>();
  #telling: Promise<void> = Promise.resolve();

  /** `beside` is told at the same time, whether or not chunks were used. */
  constructor(book: Pick<UsageBook, 'touch'>, options: { clock: Clock; log: Log; beside?: { tell(): Promise<void> } }) {
    this.#book = book;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#beside = options.beside;
    this.#timer = setInterval(() => this.#tellOnce(), tellEveryMs);
    this.#timer.unref();
  }

  /** The chunk with this key is being served. */
  use(key: string): void {
    if (this.#used.size < keysMax || this.#used.has(key)) this.#used.set(key, this.#clock.now());
  }

  /** Tells what is left, and no more after that. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#telling;
    await this.#tell();
  }

  /** One at a time: a Redis that hangs must not pile calls up. */
  #tellOnce(): void {
    this.#telling = this.#telling.then(() => this.#tell());
  }

  async #tell(): Promise<void> {
    await this.#beside?.tell();
    if (this.#used.size === 0) return;
    const entries = [...this.#used].map(([key, usedAtMs]) => ({ key, usedAtMs }));
    this.#used = new Map();
    try {
      await this.#book.touch(entries);
    } catch (error) {
      this.#log.debug({ chunks: entries.length, error: messageOf(error) }, 'the use of chunks went untold');
    }
  }
}
