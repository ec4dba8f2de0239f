// What the queue knows of chunks under way. Its word is a hint: without it, they look virtual.
import type { ChunkSpan } from '../../core/chunk.ts';
import type { Dataset } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import type { WorkState } from '../../queue/chunk-queue.ts';
import { indicesAmong } from '../../scheduler/survey.ts';
import type { ApiDeps } from '../deps.ts';

export type ChunkStateName = 'virtual' | 'queued' | 'generating' | 'materialized' | 'failed' | 'fossil';

export interface Underway {
  readonly working: ReadonlyMap<string, WorkState>;
  /** Keys of chunks that failed for good a short while ago. */
  readonly failed: readonly string[];
}

export async function underway({ queue }: Pick<ApiDeps, 'queue'>): Promise<Underway> {
  try {
    const [working, failures] = await Promise.all([queue.states(), queue.failures()]);
    return { working, failed: [...failures.keys()] };
  } catch (error) {
    if (!(error instanceof EvokeError) || error.code !== 'QUEUE_UNAVAILABLE') throw error;
    return { working: new Map(), failed: [] };
  }
}

/** The states of the chunks of the span that the queue knows, by index. */
export function statesUnderway(
  dataset: Dataset,
  span: ChunkSpan,
  { working, failed }: Underway,
): Map<number, ChunkStateName> {
  const states = new Map<number, ChunkStateName>();
  for (const index of indicesAmong(dataset, span, failed)) states.set(index, 'failed');
  for (const state of ['queued', 'generating'] as const) {
    const keys = [...working].filter(([, current]) => current === state).map(([key]) => key);
    for (const index of indicesAmong(dataset, span, keys)) states.set(index, state);
  }
  return states;
}
