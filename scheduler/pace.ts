// How many chunks a reader's answer orders ahead of it: more while the reader waits for chunks being made, fewer when
// chunks lie ready long before they are asked for.

const aheadAtFirst = 4;
const aheadMax = 64;
const aheadMin = 1;
/** Ready for so long means that the reader is the slow one; well above the jitter of a busy process. */
const longReadyMs = 1_000;

export class Pace {
  #ahead = aheadAtFirst;

  /** Chunks to have on order beyond the one that is needed. */
  get ahead(): number {
    return this.#ahead;
  }

  /** The reader had to wait for a chunk that was ordered ahead: making is the bottleneck. */
  waited(): void {
    this.#ahead = Math.min(aheadMax, this.#ahead * 2);
  }

  /** The reader found its chunk ready, for so long. */
  foundReady(forMs: number): void {
    if (forMs >= longReadyMs) this.#ahead = Math.max(aheadMin, Math.floor(this.#ahead / 2));
  }
}
