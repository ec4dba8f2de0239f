// The memory that large bodies may take together: each is read whole, and kept until its answer has been sent.
import { EvokeError } from '../core/errors.ts';

export class BodyRoom {
  readonly #bytesMax: number;
  #usedBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** @throws EvokeError OVERLOADED when there is no room for them now */
  take(bytes: number): void {
    if (this.#usedBytes + bytes > this.#bytesMax) {
      throw new EvokeError('OVERLOADED', {
        detail: `Large request bodies take all of the ${this.#bytesMax} bytes that there are for them.`,
        hint: 'Try again in a moment, or send less at a time.',
        retryAfterSeconds: 2,
      });
    }
    this.#usedBytes += bytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}
