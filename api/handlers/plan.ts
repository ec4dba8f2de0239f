// What a range would take: a dry run of the request for its events.
import { checkWithin, chunkOf, type Dataset, type DatasetName } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { type EventRange, parseEventRange } from '../../core/event-range.ts';
import type { Estimates } from '../../scheduler/plan.ts';
import { explainRange } from '../../scheduler/survey.ts';
import { type Answer, type Input, json } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { checkNotRetired } from './retired.ts';
import { underway } from './underway.ts';

const runsMax = 1000;

export async function getPlan({ params }: Input<DatasetName & { range: string }>, deps: ApiDeps): Promise<Answer> {
  const range = parseEventRange(params.range);
  const dataset = await deps.catalog.get(params);
  await checkNotRetired(dataset, deps);
  checkWithin(range, dataset);
  const threads = await generatingThreads(deps);
  const { runs, total, nextChunk } = await explain(dataset, range, deps, threads);
  return json(200, { runs, total, currency: deps.prices.currency, nextChunk });
}

async function explain(dataset: Dataset, range: EventRange, deps: ApiDeps, threads: number) {
  const estimates: Estimates = {
    eventCost: deps.registry.costOf(dataset),
    threads,
    prices: deps.prices,
  };
  const { working } = await underway(deps);
  return explainRange(dataset, range, {
    chunks: deps.chunks,
    inMemory: (index) => deps.chunks.peek(chunkOf(dataset, index)) !== undefined,
    underway: working.keys(),
    estimates,
    limit: runsMax,
  });
}

/** Of all living workers; 0 while nobody knows. */
export async function generatingThreads({ processes }: Pick<ApiDeps, 'processes'>): Promise<number> {
  try {
    const workers = (await processes.list()).filter((process) => process.role === 'worker');
    return workers.reduce((sum, worker) => sum + Number(worker['threads'] ?? 0), 0);
  } catch (error) {
    if (error instanceof EvokeError && error.code === 'QUEUE_UNAVAILABLE') return 0;
    throw error;
  }
}
