// BullMQ: 1 is served first, 2^21 last; 0 would mean "before all priorities", so nobody gets it.

export const priorities = {
  /** Somebody waits for these bytes. */
  interactive: 10,
} as const;

export type Priority = keyof typeof priorities;
