// What a task took, as trailer and ledger say it: of the chunk's own link, and of each of its inputs.
import type { InputLink } from '../core/dataset.ts';
import type { Spent } from './task.ts';
import type { TaskWatch } from './watch.ts';

/** `inputs`: the links that the watch counts behind the chunk's own. */
export function spentOf(watch: TaskWatch, inputs: readonly InputLink[] = []): Spent {
  const { cpuMicros, wallMicros } = watch.taken(0);
  const own = { cpuSeconds: cpuMicros / 1e6, wallSeconds: wallMicros / 1e6 };
  if (inputs.length === 0) return own;
  const uses = inputs.map(({ dataset, derivation, derivationId, batchEvents }, i) => {
    const taken = watch.taken(i + 1);
    return {
      dataset,
      derivation,
      derivationId,
      batchEvents,
      readEvents: taken.readEvents,
      remadeEvents: taken.madeEvents,
      cpuSeconds: taken.cpuMicros / 1e6,
      wallSeconds: taken.wallMicros / 1e6,
    };
  });
  return { ...own, inputs: uses };
}

/** Of all links: what whoever waits, waits for. */
export function wallSecondsOf({ wallSeconds, inputs = [] }: Spent): number {
  return inputs.reduce((sum, input) => sum + input.wallSeconds, wallSeconds);
}
