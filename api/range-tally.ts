// What became of the event ranges that were asked for, for the metrics.
import type { ErrorCode } from '../core/errors.ts';

export class RangeTally {
  #held = 0;
  #notHeld = 0;
  readonly #refused = new Map<ErrorCode, number>();

  accepted(isHeld: boolean): void {
    if (isHeld) this.#held++;
    else this.#notHeld++;
  }

  refused(code: ErrorCode): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
  }

  /** By outcome. */
  get counts(): Readonly<Record<string, number>> {
    return { held: this.#held, not_held: this.#notHeld, ...Object.fromEntries(this.#refused) };
  }
}
