// What a room may say to the log: fields first, then a sentence. Pino's logger fits; so does silence.

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds these fields to all it says. */
  child(fields: Record<string, unknown>): Log;
}

const silence = () => undefined;

/** Says nothing. */
export const silentLog: Log = { debug: silence, info: silence, warn: silence, error: silence, child: () => silentLog };

/** For what may happen many times a second: lets the first through, then one per interval with the number of those held back. */
export class Sparing {
  readonly #intervalMs: number;
  #saidAtMs = Number.NEGATIVE_INFINITY;
  #heldBack = 0;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  tell(say: (heldBack: number) => void): void {
    const now = performance.now();
    if (now - this.#saidAtMs < this.#intervalMs) {
      this.#heldBack += 1;
      return;
    }
    say(this.#heldBack);
    this.#saidAtMs = now;
    this.#heldBack = 0;
  }
}
