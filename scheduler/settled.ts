// How far a filling has come: chunks settle in any order, but what is written down is a place before which all are settled,
// and the tally of exactly those. Whoever goes on from there counts nothing twice and leaves nothing out.
import { emptyTally, type Tally } from '../core/work-state.ts';

/** How one chunk ended. `cpuMicros` where it was made for this work. */
export type Outcome =
  | { readonly kind: 'done'; readonly cpuMicros: number }
  | { readonly kind: 'skipped' }
  | { readonly kind: 'failed' };

export class Settled {
  /** Everything before this chunk index is settled. */
  #cursor: number;
  /** Of the chunks before the cursor. */
  #tally: Tally;
  /** Of all that are settled. */
  #all: Tally;
  /** Settled beyond the cursor. */
  readonly #beyond = new Map<number, Outcome>();

  /** `tally` is that of the chunks before `cursor`. */
  constructor(cursor: number, tally: Tally = emptyTally) {
    this.#cursor = cursor;
    this.#tally = onlyTally(tally);
    this.#all = this.#tally;
  }

  get cursor(): number {
    return this.#cursor;
  }

  /** Of all chunks that are settled, also those beyond the cursor. */
  get tally(): Tally {
    return this.#all;
  }

  /** What may be written down: the cursor with its tally. */
  get checkpoint(): Tally & { readonly cursor: number } {
    return { cursor: this.#cursor, ...this.#tally };
  }

  /** Once for every chunk from the cursor on. */
  settle(index: number, outcome: Outcome): void {
    this.#all = plus(this.#all, outcome);
    this.#beyond.set(index, outcome);
    for (;;) {
      const next = this.#beyond.get(this.#cursor);
      if (next === undefined) return;
      this.#beyond.delete(this.#cursor);
      this.#tally = plus(this.#tally, next);
      this.#cursor++;
    }
  }
}

function plus(tally: Tally, outcome: Outcome): Tally {
  const cpuMicros = tally.cpuMicros + (outcome.kind === 'done' ? outcome.cpuMicros : 0);
  return { ...tally, [outcome.kind]: tally[outcome.kind] + 1, cpuMicros };
}

function onlyTally({ done, skipped, failed, cpuMicros }: Tally): Tally {
  return { done, skipped, failed, cpuMicros };
}
