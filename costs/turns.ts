// Long computations in a process that also serves: they go on in slices, and between two everybody else has a turn.
import { setImmediate } from 'node:timers/promises';

/** What a hit may have to wait for it. */
const sliceMs = 4;
/** Steps between two looks at the time, of about a microsecond each. */
const stepsPerLook = 256;

export class Turns {
  readonly #signal: AbortSignal | undefined;
  #steps = 0;
  #sliceEndsMs = performance.now() + sliceMs;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether it is time to `pass`; ask before every step. */
  isOver(): boolean {
    if (++this.#steps % stepsPerLook !== 0) return false;
    return performance.now() >= this.#sliceEndsMs;
  }

  /** Lets everybody else go first. @throws the signal's reason when it is aborted */
  async pass(): Promise<void> {
    this.#signal?.throwIfAborted();
    await setImmediate();
    this.#signal?.throwIfAborted();
    this.#sliceEndsMs = performance.now() + sliceMs;
  }
}
