// Live progress for whoever shows it: the latest word about a piece of work, for a while. A hint and nothing more: it may be
// lost at any time, and what must not be lost is in the store.
import type { Log } from '../core/log.ts';
import { RedisCalls } from './connection.ts';
import { keyOf } from './names.ts';

/** What words are about: batches, asynchronous requests, and requests that failed. */
export type BoardKind = 'batch' | 'request' | 'failure';

/** A word is small: a state, some counts, a sentence. */
export const wordBytesMax = 16 * 1024;

export class Board {
  readonly #calls: RedisCalls;
  readonly #prefix: string;

  constructor(options: { url: string; prefix: string; log?: Log }) {
    this.#calls = new RedisCalls(options.url, options);
    this.#prefix = options.prefix;
  }

  /**
   * Replaces the word about this piece of work; it is gone after `ttlSeconds`.
   * @throws EvokeError QUEUE_UNAVAILABLE, in bounded time; RangeError for a word over wordBytesMax
   */
  async publish(kind: BoardKind, id: string, value: object, ttlSeconds: number): Promise<void> {
    const text = JSON.stringify(value);
    const bytes = Buffer.byteLength(text);
    if (bytes > wordBytesMax) throw new RangeError(`A word of ${bytes} bytes is too long for the board.`);
    await this.#calls.call((redis) => redis.set(this.#key(kind, id), text, 'EX', ttlSeconds));
  }

  /** The latest word, as it was published; undefined where there is none. @throws EvokeError QUEUE_UNAVAILABLE */
  async read(kind: BoardKind, id: string): Promise<unknown | undefined> {
    return (await this.readAll(kind, [id])).get(id);
  }

  /** The latest words about several at once, for those that have one. @throws EvokeError QUEUE_UNAVAILABLE */
  async readAll(kind: BoardKind, ids: readonly string[]): Promise<Map<string, unknown>> {
    const words = new Map<string, unknown>();
    if (ids.length === 0) return words;
    const texts = await this.#calls.call((redis) => redis.mget(ids.map((id) => this.#key(kind, id))));
    ids.forEach((id, i) => {
      const value = parsed(texts[i]);
      if (value !== undefined) words.set(id, value);
    });
    return words;
  }

  close(): void {
    this.#calls.close();
  }

  #key(kind: BoardKind, id: string): string {
    return keyOf(this.#prefix, kind, id);
  }
}

function parsed(text: string | null | undefined): unknown | undefined {
  if (text === null || text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Somebody else's writing is no word of ours.
    return undefined;
  }
}
