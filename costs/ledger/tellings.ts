// Who tells of the same twice, or of a waste that was none: along the ledger in its order, what counts and what does not.
import type { Generation, LedgerEntry, Remake, Waste } from '../../core/ledger.ts';
import { tellTheSame } from './order.ts';

export class Tellings {
  #last: LedgerEntry | undefined;
  /** The generations of the last entry's millisecond, and the remakings on the way to them. */
  #made: (Generation | Remake)[] = [];

  /** Whether the next entry tells of something that those before it have told. */
  isTold(entry: LedgerEntry): boolean {
    const last = this.#last;
    // Tellings of the same stand side by side.
    if (last !== undefined && tellTheSame(last, entry)) return true;
    if (last?.atMs !== entry.atMs && this.#made.length > 0) this.#made = [];
    this.#last = entry;
    if (entry.kind === 'generation' || entry.kind === 'remake') this.#made.push(entry);
    // The store had taken it after all: later, or without saying so.
    return entry.kind === 'waste' && entry.cause === 'unstored' && this.#made.some((made) => areOne(made, entry));
  }
}

/** Both tell of one making. */
function areOne(made: Generation | Remake, waste: Waste): boolean {
  return (
    made.cpuMicros === waste.cpuMicros &&
    made.wallMicros === waste.wallMicros &&
    made.derivation === waste.derivation &&
    made.batchEvents === waste.batchEvents &&
    made.range.first === waste.range.first &&
    made.range.end === waste.range.end
  );
}
