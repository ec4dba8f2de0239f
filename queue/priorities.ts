// BullMQ: 1 is served first, 2^21 last; 0 would mean "before all priorities", so nobody gets it.

export const priorities = {
  /** Somebody waits for these bytes. */
  interactive: 10,
  /** Nobody waits yet. */
  batch: 20,
  /** A batch's chunk whose turn it is although somebody waits: so a batch always makes progress. */
  granted: 1,
} as const;

export type Priority = keyof typeof priorities;
