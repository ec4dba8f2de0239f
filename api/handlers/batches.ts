// Batches: ranges that are to be made before anybody asks. Creating, steering and showing them needs the store alone; the
// leading scheduler does the work.
import type { Batch, BatchBudget } from '../../core/batch.ts';
import { chunksCovering } from '../../core/chunk.ts';
import { timestamp } from '../../core/clock.ts';
import { checkWithin, type Dataset, formatDatasetName, parseDatasetName } from '../../core/dataset.ts';
import { EvokeError, type FieldError } from '../../core/errors.ts';
import { type EventRange, rangeOfEventNumbers } from '../../core/event-range.ts';
import { isFinal } from '../../core/work-state.ts';
import { newBatchId } from '../../store/batches.ts';
import { type Answer, type Input, json, noContent, page } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { fieldErrors } from '../field-errors.ts';
import { batchBody } from '../work-schemas.ts';
import { checkNotRetired } from './retired.ts';

type Id = { id: string };
type PageQuery = { limit: number; after?: string | undefined };

const priorityUnlessSaid = 5;
const holdSecondsUnlessSaid = 30 * 24 * 3600;
/** A zone may carry a time beyond it, and RFC 3339 knows no longer years. */
const deadlineMsMax = Date.parse('9999-12-31T23:59:59.999Z');

export async function createBatch(input: Input<unknown, unknown, unknown>, deps: ApiDeps): Promise<Answer> {
  const { clock } = deps;
  const body = check(input.body, deps);
  const dataset = await deps.catalog.get(parseDatasetName(body.dataset));
  await checkNotRetired(dataset, deps);
  const range = rangeOf(dataset, body.startEvent, body.lastEvent);
  const { first, end } = chunksCovering(range, dataset.chunkEvents);
  const batch: Batch = {
    id: newBatchId(clock),
    dataset: formatDatasetName(dataset),
    range,
    chunks: end - first,
    priority: body.priority ?? priorityUnlessSaid,
    ...(body.deadline === undefined ? {} : { deadline: new Date(body.deadline).toISOString() }),
    ...(body.budget === undefined ? {} : { budget: budgetOf(body.budget) }),
    holdSeconds: body.hold ?? holdSecondsUnlessSaid,
    pin: body.pin ?? false,
    createdAt: timestamp(clock),
    requestId: input.requestId,
  };
  if (batch.pin) await pinFor(batch, dataset, deps);
  await deps.batches.create(batch);
  return json(201, deps.batchViews.begun(batch), ['Location', `/v1/batches/${batch.id}`]);
}

/** @throws EvokeError INVALID_BODY with every refused field */
function check(body: unknown, { clock }: ApiDeps) {
  const parsed = batchBody.safeParse(body);
  const errors = parsed.success ? [] : fieldErrors(parsed.error);
  const { startEvent, lastEvent, deadline } = typeof body === 'object' ? ((body ?? {}) as Record<string, unknown>) : {};
  if (typeof startEvent === 'number' && typeof lastEvent === 'number' && lastEvent < startEvent) {
    refuse(errors, '/lastEvent', 'comes before startEvent');
  }
  if (typeof deadline === 'string' && Date.parse(deadline) <= clock.now()) {
    refuse(errors, '/deadline', 'is not in the future');
  }
  if (typeof deadline === 'string' && Date.parse(deadline) > deadlineMsMax) {
    refuse(errors, '/deadline', 'is not before the year 10000');
  }
  if (errors.length === 0 && parsed.success) return parsed.data;
  throw new EvokeError('INVALID_BODY', { detail: 'The batch was refused.', errors });
}

/** What is wrong with a field is said once. */
function refuse(errors: FieldError[], path: string, message: string): void {
  if (!errors.some((error) => error.path === path)) errors.push({ path, message });
}

/** @throws EvokeError BEYOND_DATASET, INVALID_BODY (the range ends with the dataset, and begins behind it) */
function rangeOf(dataset: Dataset, startEvent = 1, lastEvent = Math.max(startEvent, dataset.events)): EventRange {
  return checkWithin(rangeOfEventNumbers(startEvent, lastEvent), dataset);
}

function budgetOf({ cpuSeconds, cost }: { cpuSeconds?: number | undefined; cost?: number | undefined }): BatchBudget {
  return { ...(cpuSeconds === undefined ? {} : { cpuSeconds }), ...(cost === undefined ? {} : { cost }) };
}

/** At least until the hold would end if the batch were through at once; a longer pin stays. */
async function pinFor({ id, holdSeconds }: Batch, dataset: Dataset, { catalog, clock }: ApiDeps): Promise<void> {
  const expiresAt = new Date(clock.now() + holdSeconds * 1000).toISOString();
  const pinned = await catalog.pinOf(dataset);
  if (pinned !== undefined && Date.parse(pinned.expiresAt) >= Date.parse(expiresAt)) return;
  const { scope, name } = dataset;
  await catalog.pin({ scope, name, pinnedAt: timestamp(clock), expiresAt, reason: `batch ${id}` });
}

export async function listBatches({ query }: Input<unknown, PageQuery>, { batchViews }: ApiDeps): Promise<Answer> {
  const { after, limit } = query;
  // One more than is shown tells whether there is a next page.
  const found = await batchViews.list({ after, limit: limit + 1 });
  const items = found.slice(0, limit);
  return page(items, found.length > limit ? (items.at(-1)?.id ?? null) : null);
}

export async function getBatch({ params }: Input<Id>, { batchViews }: ApiDeps): Promise<Answer> {
  return json(200, await batchViews.get(params.id));
}

/** Pauses a batch, or has it go on. @throws EvokeError ENDED */
export async function patchBatch(
  { params: { id }, body }: Input<Id, unknown, { state: 'paused' | 'running' }>,
  deps: ApiDeps,
): Promise<Answer> {
  const { state } = await deps.batchViews.get(id);
  if (isFinal(state)) throw new EvokeError('ENDED', { detail: `The batch ${id} is ${state}.`, state });
  await wish(id, body.state, deps);
  return json(200, await deps.batchViews.get(id));
}

/** Cancels a batch; what has ended already stays as it ended. */
export async function deleteBatch({ params: { id } }: Input<Id>, deps: ApiDeps): Promise<Answer> {
  const { state } = await deps.batchViews.get(id);
  if (!isFinal(state)) await wish(id, 'cancelled', deps);
  return noContent;
}

export async function streamBatch(input: Input<Id>, { batchViews, streams }: ApiDeps): Promise<Answer> {
  const { id } = input.params;
  const value = await batchViews.get(id);
  const first = { value, isFinal: isFinal(value.state) };
  return streams.answer(input, streamKey(id), first, () => batchViews.look(id));
}

async function wish(id: string, state: 'paused' | 'running' | 'cancelled', deps: ApiDeps): Promise<void> {
  await deps.batches.wish(id, state);
  deps.batchViews.changed(id);
  deps.streams.changed(streamKey(id));
}

function streamKey(id: string): string {
  return `batch ${id}`;
}
