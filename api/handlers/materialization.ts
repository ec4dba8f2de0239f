// Which chunks of a dataset have bytes, and letting go of them.
import { chunkCount, chunkRange, chunksCovering } from '../../core/chunk.ts';
import { checkWithin, type Dataset, type DatasetName } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { type EventRange, parseEventRange, rangeOfEventNumbers } from '../../core/event-range.ts';
import { surveyRange } from '../../scheduler/survey.ts';
import { type Answer, type Input, noContent, page } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { type ChunkStateName, statesUnderway, underway } from './underway.ts';

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
  const special = statesUnderway(dataset, span, await underway(deps));
  const stored = deps.registry.canRemake(dataset) ? 'materialized' : 'fossil';
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
