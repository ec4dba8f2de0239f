// A bound on work done at the same time: so much runs, so much waits for a place and for so long, and the rest is refused.

export interface SlotLimits {
  readonly atOnce: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
}

interface Waiter {
  readonly start: () => void;
}

export class Slots {
  readonly #limits: SlotLimits;
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiter>();
  #running = 0;

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /** Does the work when there is a place for it. Undefined when there was none in time: the work was not begun. */
  async run<T>(work: () => Promise<T>): Promise<{ readonly result: T } | undefined> {
    if (this.#running >= this.#limits.atOnce) {
      if (!(await this.#turn())) return undefined;
    } else this.#running++;
    try {
      return { result: await work() };
    } finally {
      this.#leave();
    }
  }

  #turn(): Promise<boolean> {
    const { waitingMax, waitMsMax } = this.#limits;
    if (this.#waiting.size >= waitingMax) return Promise.resolve(false);
    return new Promise((resolve) => {
      const waiter: Waiter = {
        start: () => {
          clearTimeout(overdue);
          resolve(true);
        },
      };
      const overdue = setTimeout(() => {
        this.#waiting.delete(waiter);
        resolve(false);
      }, waitMsMax);
      this.#waiting.add(waiter);
    });
  }

  /** The place goes to whoever waits longest. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running--;
      return;
    }
    this.#waiting.delete(next);
    next.start();
  }
}
