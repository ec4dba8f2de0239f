// Which events clients have been sent whole, told to the book of holds about once a second, in one go, and only while
// something is held. Only tried, not promised: what goes untold is held until its time is up.
import { messageOf } from '../core/errors.ts';
import type { HoldBook } from '../core/hold-book.ts';
import type { Log } from '../core/log.ts';
import type { Selection } from '../formats/representation.ts';

/** Beyond this many different ones within a second the rest go untold. */
const deliveriesMax = 10_000;
const toldAtOnce = 16;

export type Delivered = Pick<Selection, 'derivationId' | 'range'>;

export class Deliveries {
  readonly #book: Pick<HoldBook, 'delivered' | 'held'>;
  readonly #log: Log;
  /** What answers are made from is the same object for the same request: so a hit adds nothing but a reference. */
  #delivered = new Set<Delivered>();
  #telling: Promise<void> = Promise.resolve();
  /** Held ranges let go because their events were sent. */
  released = 0;

  constructor(book: Pick<HoldBook, 'delivered' | 'held'>, log: Log) {
    this.#book = book;
    this.#log = log;
  }

  /** All bytes of an answer with these events were sent. */
  add(delivered: Delivered): void {
    if (this.#delivered.size < deliveriesMax) this.#delivered.add(delivered);
  }

  /** Resolves when all that was sent before is told. Never rejects. */
  tell(): Promise<void> {
    this.#telling = this.#telling.then(() => this.#tell());
    return this.#telling;
  }

  async #tell(): Promise<void> {
    if (this.#delivered.size === 0) return;
    const delivered = [...this.#delivered];
    this.#delivered = new Set();
    try {
      if ((await this.#book.held()).ranges === 0) return;
      for (let at = 0; at < delivered.length; at += toldAtOnce) {
        const told = delivered
          .slice(at, at + toldAtOnce)
          .map(({ derivationId, range }) => this.#book.delivered(derivationId, range));
        for (const released of await Promise.all(told)) this.released += released;
      }
    } catch (error) {
      this.#log.debug({ ranges: delivered.length, error: messageOf(error) }, 'the delivery of events went untold');
    }
  }
}
