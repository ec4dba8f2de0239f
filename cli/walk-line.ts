// How far a walk through a store has come, for a person at a terminal; elsewhere nothing is written.
import { StatusLine } from './status-line.ts';

const redrawMs = 200;

export class WalkLine {
  readonly #line = process.stderr.isTTY ? new StatusLine(process.stderr) : undefined;
  #drawnAtMs = Number.NEGATIVE_INFINITY;

  /** `text` is asked for only when it is time to draw. */
  show(text: () => string): void {
    if (this.#line === undefined || performance.now() - this.#drawnAtMs < redrawMs) return;
    this.#drawnAtMs = performance.now();
    this.#line.show(text());
  }

  wipe(): void {
    if (this.#drawnAtMs > 0) this.#line?.wipe();
    this.#drawnAtMs = Number.NEGATIVE_INFINITY;
  }
}
