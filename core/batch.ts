// Batches: ranges that a production manager wants made before anybody asks. A batch is a few small records with one kind of
// writer each, so that nobody overwrites another: the definition, written once; the wish, by whoever pauses or resumes; the
// cancellation, written once; the progress, by the leading scheduler. What a client is shown is computed from all of them.
import type { EventRange } from './event-range.ts';
import { emptyTally, isFinal, type Tally, type WorkState } from './work-state.ts';

/** Written once. */
export interface Batch {
  /** Sorts by the time of creation. */
  readonly id: string;
  /** `scope:name` */
  readonly dataset: string;
  /** Event indices. */
  readonly range: EventRange;
  /** How many chunks the range touches. */
  readonly chunks: number;
  /** 0 to 9, higher sooner. */
  readonly priority: number;
  /** RFC 3339. Orders batches of one priority; what is late is said to be. */
  readonly deadline?: string;
  readonly budget?: BatchBudget;
  /** How long after its end its chunks are not evicted for room; while it is under way they are not either. */
  readonly holdSeconds: number;
  /** Whether the dataset was pinned for it. */
  readonly pin: boolean;
  readonly createdAt: string;
  /** The request that created it. */
  readonly requestId: string;
}

export interface BatchBudget {
  readonly cpuSeconds?: number;
  /** In the configured currency. */
  readonly cost?: number;
}

/** What people want of it, the latest word. */
export interface BatchWish {
  readonly state: 'running' | 'paused' | 'cancelled';
  readonly at: string;
}

/** Where it stands, written by the leading scheduler. */
export interface BatchProgress extends Tally {
  readonly state: WorkState;
  /** Why it is paused, failed or over budget, in a sentence that begins with a code where there is one. */
  readonly reason?: string;
  /** Chunk index on the dataset's grid: everything before it is settled and in the tally. */
  readonly cursor: number;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly estimatedSecondsLeft?: number;
  /** When this was written. */
  readonly at: string;
}

export interface BatchRecords {
  readonly batch: Batch;
  readonly wish: BatchWish | undefined;
  readonly progress: BatchProgress | undefined;
}

/** Whether it is paused by itself, because its output cannot be kept, and not by a person. */
export function waitsForStore(progress: Pick<BatchProgress, 'state' | 'reason'> | undefined): boolean {
  return progress?.state === 'paused' && progress.reason?.startsWith('STORE_UNAVAILABLE') === true;
}

const notBegun: Pick<BatchProgress, 'state' | 'reason' | keyof Tally> = { state: 'pending', ...emptyTally };

/** What is to be shown: a wish counts at once, also before the scheduler has heard of it. */
export function batchStatus({ wish, progress }: BatchRecords): { state: WorkState; reason?: string } & Tally {
  const { state, reason, done, skipped, failed, cpuMicros } = progress ?? notBegun;
  const tally = { done, skipped, failed, cpuMicros };
  if (isFinal(state)) return { state, ...(reason === undefined ? {} : { reason }), ...tally };
  if (wish?.state === 'cancelled') return { state: 'cancelled', ...tally };
  if (wish?.state === 'paused') return { state: 'paused', ...tally };
  // Resumed by somebody, and not begun again: others are before it, or nobody has heard yet.
  if (state === 'paused' && !waitsForStore(progress)) return { state: 'pending', ...tally };
  return { state, ...(reason === undefined ? {} : { reason }), ...tally };
}
