// Looks at something again and again: one look at a time, none while nobody sees the page, rarer when it fails or is slow.

/** What is slow to tell is asked for less often: looking takes a tenth of the time at most. */
const restPerWork = 10;

/**
 * @typedef {object} Pace
 * @property {number} everyMs between the beginnings of two looks
 * @property {number} soonMs the same, when there is reason to look
 * @property {number} failedMsMax
 *
 * @typedef {object} Surroundings a browser's, or a test's
 * @property {() => number} now milliseconds
 * @property {(work: () => void, ms: number) => unknown} later
 * @property {(timer: any) => void} never
 * @property {() => boolean} hidden
 */

/** @type {Surroundings} */
const browser = {
  now: () => performance.now(),
  later: (work, ms) => setTimeout(work, ms),
  never: (timer) => clearTimeout(timer),
  hidden: () => document.hidden,
};

export class Poller {
  #look;
  #pace;
  #world;
  #timer = /** @type {unknown} */ (undefined);
  #looking = false;
  #failures = 0;
  #startedAt = Number.NEGATIVE_INFINITY;
  #tookMs = 0;
  #reason = false;
  #urgent = false;

  /**
   * `look` says whether there is reason to look again soon; a rejection is a failure, and `look` has shown it already.
   * @param {() => Promise<boolean>} look
   * @param {Pace} pace
   * @param {Surroundings} [world]
   */
  constructor(look, pace, world = browser) {
    this.#look = look;
    this.#pace = pace;
    this.#world = world;
  }

  /** There is reason to look: as soon as the pace allows. */
  soon() {
    this.#reason = true;
    this.#arm();
  }

  /** Looks at once: somebody came back, or what was away is there again. */
  now() {
    this.#urgent = true;
    this.#arm();
  }

  #arm() {
    this.#world.never(this.#timer);
    if (this.#looking || this.#world.hidden()) return;
    this.#timer = this.#world.later(() => this.#run(), Math.max(0, this.#nextAt() - this.#world.now()));
  }

  #nextAt() {
    if (this.#urgent) return this.#world.now();
    const { everyMs, soonMs, failedMsMax } = this.#pace;
    const endedAt = this.#startedAt + this.#tookMs;
    if (this.#failures > 0) return endedAt + Math.min(failedMsMax, soonMs * 2 ** (this.#failures - 1));
    return Math.max(this.#startedAt + (this.#reason ? soonMs : everyMs), endedAt + restPerWork * this.#tookMs);
  }

  async #run() {
    this.#looking = true;
    this.#reason = this.#urgent = false;
    this.#startedAt = this.#world.now();
    try {
      if (await this.#look()) this.#reason = true;
      this.#failures = 0;
    } catch {
      this.#failures++;
    }
    this.#tookMs = this.#world.now() - this.#startedAt;
    this.#looking = false;
    this.#arm();
  }
}
