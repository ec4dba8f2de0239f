// Which batch goes first: the highest priority, then the earliest deadline, then the oldest.
import type { Batch } from '../core/batch.ts';

/** Negative when `a` goes before `b`. Total: ids differ, and sort by the time of creation. */
export function batchOrder(a: Batch, b: Batch): number {
  if (a.priority !== b.priority) return b.priority - a.priority;
  const [deadlineA, deadlineB] = [deadlineMs(a), deadlineMs(b)];
  if (deadlineA !== deadlineB) return deadlineA < deadlineB ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

function deadlineMs({ deadline }: Batch): number {
  return deadline === undefined ? Number.POSITIVE_INFINITY : Date.parse(deadline);
}
