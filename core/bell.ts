// Wakes those who wait for a condition to be looked at again. What rings between a look and the wait is not lost.

export class Bell {
  #rung = 0;
  #waiting: (() => void)[] = [];

  /** How often it has rung. */
  get rung(): number {
    return this.#rung;
  }

  ring(): void {
    this.#rung++;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves when it has rung more often than `rung`. */
  after(rung: number): Promise<void> {
    if (this.#rung > rung) return Promise.resolve();
    return new Promise((wake) => this.#waiting.push(wake));
  }

  /** Resolves at the next ring: for whoever looked in the same turn. */
  next(): Promise<void> {
    return this.after(this.#rung);
  }
}
