// What the queue knows of chunks under way. Its word is a hint: without it, they look virtual.
import { EvokeError } from '../../core/errors.ts';
import type { WorkState } from '../../queue/chunk-queue.ts';
import type { ApiDeps } from '../deps.ts';

export interface Underway {
  readonly working: ReadonlyMap<string, WorkState>;
  /** Keys of chunks that failed for good a short while ago. */
  readonly failed: Iterable<string>;
}

export async function underway({ queue }: Pick<ApiDeps, 'queue'>): Promise<Underway> {
  try {
    const [working, failures] = await Promise.all([queue.states(), queue.failures()]);
    return { working, failed: failures.keys() };
  } catch (error) {
    if (!(error instanceof EvokeError) || error.code !== 'QUEUE_UNAVAILABLE') throw error;
    return { working: new Map(), failed: [] };
  }
}
