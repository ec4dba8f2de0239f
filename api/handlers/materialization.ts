// Which chunks of a dataset have bytes, and letting go of them.
import { chunkCount, chunkRange, chunksCovering } from '../../core/chunk.ts';
import { checkWithin, type Dataset, type DatasetName } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { type EventRange, parseEventRange, rangeOfEventNumbers } from '../../core/event-range.ts';
import { indicesAmong, surveyRange } from '../../scheduler/survey.ts';
import { type Answer, type Input, noContent, page } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { underway } from './underway.ts';

export type ChunkStateName = 'virtual' | 'queued' | 'generating' | 'materialized' | 'failed' | 'fossil';

type Query = {
  startEvent?: number | undefined;
  lastEvent?: number | undefined;
  limit: number;
  after?: string | undefined;
};

/** Run-length encoded; `next` is the last chunk shown. */
export async function getMaterialization({ params, query }: Input<DatasetName, Query>, deps: ApiDeps): Promise<Answer> {
  const dataset = await deps.catalog.get(params);
  const range = afterChunk(dataset, rangeOf(dataset, query), query.after);
  if (range === undefined) return page([], null);
  const span = chunksCovering(range, dataset.chunkEvents);
  const { working, failed } = await underway(deps);
  const special = new Map<number, ChunkStateName>();
  for (const index of indicesAmong(dataset, span, failed)) special.set(index, 'failed');
  for (const state of ['queued', 'generating'] as const) {
    const keys = [...working].filter(([, current]) => current === state).map(([key]) => key);
    for (const index of indicesAmong(dataset, span, keys)) special.set(index, state);
  }
  const stored = isRemakeable(dataset, deps) ? 'materialized' : 'fossil';
  const naming = { stored: (): ChunkStateName => stored, absent: 'virtual' as const, special };
  const items: { firstChunk: number; lastChunk: number; state: ChunkStateName }[] = [];
  for await (const { firstChunk, lastChunk, state } of surveyRange<ChunkStateName>(
    dataset,
    range,
    deps.chunks,
    naming,
  )) {
    if (items.length === query.limit) return page(items, String(firstChunk - 1));
    items.push({ firstChunk, lastChunk, state });
  }
  return page(items, null);
}

function rangeOf(dataset: Dataset, { startEvent = 1, lastEvent }: Query): EventRange {
  return checkWithin(rangeOfEventNumbers(startEvent, lastEvent ?? Math.max(startEvent, dataset.events)), dataset);
}

/** What is left of the range after a chunk; undefined when nothing is. */
function afterChunk(dataset: Dataset, range: EventRange, after: string | undefined): EventRange | undefined {
  if (after === undefined) return range;
  if (!/^(0|[1-9]\d{0,15})$/.test(after)) {
    throw new EvokeError('MALFORMED_REQUEST', { detail: 'after is not what a page before gave as next.' });
  }
  const index = Number(after);
  if (index >= chunkCount(dataset)) return undefined;
  const first = Math.max(range.first, chunkRange(dataset, index).end);
  return first < range.end ? { first, end: range.end } : undefined;
}

/** Whether a registered generator makes this dataset's events, bit for bit: what it does not make again is never evicted. */
export function isRemakeable({ derivation }: Dataset, { registry }: Pick<ApiDeps, 'registry'>): boolean {
  return registry.find(derivation.generator, derivation.version)?.reproducibility === 'exact';
}

/** The chunks wholly inside the range, or all of them, become virtual again. */
export async function evictMaterialization(
  { params }: Input<DatasetName & { range?: string }>,
  deps: ApiDeps,
): Promise<Answer> {
  const range = params.range === undefined ? undefined : parseEventRange(params.range);
  const dataset = await deps.catalog.get(params);
  if (range !== undefined) checkWithin(range, dataset);
  const { chunks } = await deps.evictor.evictSpan(dataset, range);
  deps.metrics.evicted(chunks);
  return noContent;
}
