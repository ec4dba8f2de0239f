// When a work of many chunks is given up because too many of them fail: it must not burn CPU on what will fail too.
import type { EvokeError } from '../core/errors.ts';

/** So many failures one after another mean that the rest would fail too. */
const inRowMax = 10;
/** As do so many of which more failed than were made. */
const enough = 50;

export class FailureCount {
  #first: EvokeError | undefined;
  #made = 0;
  #failed = 0;
  #inRow = 0;

  /** Why the first chunk failed that did. */
  get first(): EvokeError | undefined {
    return this.#first;
  }

  made(): void {
    this.#made++;
    this.#inRow = 0;
  }

  /** Returns whether to go on. */
  failed(error: EvokeError): boolean {
    this.#first ??= error;
    this.#failed++;
    this.#inRow++;
    return this.#inRow < inRowMax && (this.#failed < enough || this.#failed <= this.#made);
  }
}
