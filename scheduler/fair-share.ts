// A batch's fair share: people go first, yet a batch always progresses. For every nine chunks that were made for others
// while chunks of ours wait, one of ours is put before everybody: one chunk in ten is the batch's, at worst.
import { messageOf } from '../core/errors.ts';
import { type Log, Sparing } from '../core/log.ts';
import type { ChunkDone, ChunkFailed } from '../queue/job.ts';
import type { Priority } from '../queue/priorities.ts';

const othersPerOurs = 9;
/** Of our orders the first are mostly begun already: so many are asked about for one that still waits. */
const asksMax = 64;
const errorLineMs = 30_000;

export interface FairShareParts {
  readonly events: {
    on(event: 'done', listener: (done: ChunkDone) => void): unknown;
    on(event: 'failed', listener: (failed: ChunkFailed) => void): unknown;
    off(event: 'done', listener: (done: ChunkDone) => void): unknown;
    off(event: 'failed', listener: (failed: ChunkFailed) => void): unknown;
  };
  readonly queue: { promote(key: string, priority: Priority): Promise<boolean> };
  /** Keys of the chunks that batches have on order, in the order of ordering. */
  readonly own: { has(key: string): boolean; keys(): Iterable<string> };
  readonly log: Log;
}

export class FairShare {
  readonly #parts: FairShareParts;
  readonly #granted = new Set<string>();
  readonly #errors = new Sparing(errorLineMs);
  /** Chunks made for others since the last turn of ours. */
  #others = 0;
  #granting = false;
  /** Chunks put before everybody so far. */
  grants = 0;

  constructor(parts: FairShareParts) {
    this.#parts = parts;
  }

  /** Sees to it until aborted. */
  keep(signal: AbortSignal): void {
    const { events } = this.#parts;
    const done = ({ key, generated }: ChunkDone) => {
      if (generated) this.#ended(key);
    };
    const failed = ({ key }: ChunkFailed) => this.#ended(key);
    events.on('done', done);
    events.on('failed', failed);
    const end = () => {
      events.off('done', done);
      events.off('failed', failed);
    };
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  }

  #ended(key: string): void {
    if (this.#parts.own.has(key)) {
      // One that came without being granted: nobody is in our way.
      if (!this.#granted.delete(key)) this.#others = 0;
      return;
    }
    this.#others++;
    if (this.#others >= othersPerOurs && !this.#granting) void this.#grant();
  }

  async #grant(): Promise<void> {
    this.#granting = true;
    const promoted = await this.#promoteOne().catch((error: unknown) => {
      this.#errors.tell(() => this.#parts.log.warn({ error: messageOf(error) }, 'a batch could not be given its turn'));
      return false;
    });
    // Where none of ours waits, no more than the next turn is owed.
    this.#others = promoted ? this.#others - othersPerOurs : othersPerOurs - 1;
    this.#granting = false;
  }

  async #promoteOne(): Promise<boolean> {
    const { own, queue } = this.#parts;
    for (const key of this.#granted) if (!own.has(key)) this.#granted.delete(key);
    let asked = 0;
    for (const key of [...own.keys()]) {
      if (this.#granted.has(key)) continue;
      if (asked++ === asksMax) return false;
      if (!(await queue.promote(key, 'granted'))) continue;
      this.#granted.add(key);
      this.grants++;
      return true;
    }
    return false;
  }
}
