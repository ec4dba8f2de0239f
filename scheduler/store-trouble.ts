// What the scheduler does about a store that cannot keep what is made: batches wait, and one chunk is tried after 5 s, then
// after ever longer pauses of at most 5 min, until one is kept. All batches share it, because they share the store: CPU is
// spent on one chunk a pause, however many of them wait.
import { type BatchRecords, waitsForStore } from '../core/batch.ts';
import type { Clock } from '../core/clock.ts';

const firstPauseMs = 5_000;
const pauseMsMax = 300_000;

export class StoreTrouble {
  readonly #clock: Clock;
  /** Batches that met it, with the wish that stood then: a later one is a person's word to try again. */
  readonly #met = new Map<string, string | undefined>();
  #pauseMs = 0;
  #untilMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** While it lasts, one chunk at a time is tried. */
  get lasts(): boolean {
    return this.#met.size > 0;
  }

  /** Whether it is too early to try again. */
  get waits(): boolean {
    return this.#clock.now() < this.#untilMs;
  }

  /** Batches that met it stand behind the others: those may have nothing to store. */
  hasMet(id: string): boolean {
    return this.#met.has(id);
  }

  /** The store did not keep what this batch made. */
  met({ batch, wish }: Pick<BatchRecords, 'batch' | 'wish'>): void {
    this.#met.set(batch.id, wish?.at);
    this.#pauseMs = Math.min(Math.max(firstPauseMs, this.#pauseMs * 2), pauseMsMax);
    this.#untilMs = this.#clock.now() + this.#pauseMs;
  }

  /** A batch that waited for the store when it was last written down is begun with one chunk. */
  inherit({ batch, wish, progress }: BatchRecords): void {
    if (waitsForStore(progress)) this.#met.set(batch.id, wish?.at);
  }

  /** When somebody asks for a batch to go on that met it, there is no more waiting. */
  heed({ batch, wish }: BatchRecords): void {
    if (!this.#met.has(batch.id) || wish?.state !== 'running' || wish.at === this.#met.get(batch.id)) return;
    this.#met.set(batch.id, wish.at);
    this.#pauseMs = 0;
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  /** Something was kept. */
  pass(): void {
    this.#met.clear();
    this.#pauseMs = 0;
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }
}
