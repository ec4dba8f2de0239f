// A narrow door: one is inside, a few wait in their order, and more are turned away.

export class OneAtATime {
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];
  #isBusy = false;

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** Whether somebody who came now would neither get in nor find a place to wait. */
  get isFull(): boolean {
    return this.#isBusy && this.#waiting.length === this.#waitingMax;
  }

  /** Resolves when it is the caller's turn, until `leave`; whoever is aborted gives up the place. @throws the signal's reason */
  enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#isBusy) {
      this.#isBusy = true;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const begin = () => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(begin), 1);
        reject(signal.reason);
      };
      this.#waiting.push(begin);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  /** Of whoever was inside. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#isBusy = false;
    else next();
  }
}
