// The states that long work goes through, batches and asynchronous requests alike, and how far it has come.

/** `pending`: accepted, not begun; the last four are final. */
export type WorkState = 'pending' | 'running' | 'paused' | 'completed' | 'cancelled' | 'failed' | 'over-budget';

export function isFinal(state: WorkState): boolean {
  return state === 'completed' || state === 'cancelled' || state === 'failed' || state === 'over-budget';
}

/** How many chunks of a range are settled, and how. */
export interface Tally {
  /** Made for this work. */
  readonly done: number;
  /** Stored already, or made for others meanwhile. */
  readonly skipped: number;
  /** Failed for good. */
  readonly failed: number;
  /** CPU of the chunks made for this work. */
  readonly cpuMicros: number;
}

export const emptyTally: Tally = { done: 0, skipped: 0, failed: 0, cpuMicros: 0 };
