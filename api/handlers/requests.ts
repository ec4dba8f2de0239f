// Requests that are answered later: accepted here, shown, cancelled.
import { chunksCovering } from '../../core/chunk.ts';
import { timestamp } from '../../core/clock.ts';
import { formatDatasetName } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { formatEventRange } from '../../core/event-range.ts';
import type { EventsRequest, EventsRequestEnd } from '../../core/events-request.ts';
import type { PlanSummary } from '../../scheduler/plan.ts';
import type { RequestRun } from '../../scheduler/request-run.ts';
import { type Answer, type Input, json, noContent } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { type AsyncPreference, applied } from '../prefer.ts';
import { lookAtRequest, requestShown } from '../request-views.ts';
import type { Prepared } from '../selection.ts';
import { datasetPathOf } from './describe.ts';

type Id = { id: string };

/** When to look again, seconds: a guess where nothing is known, and never so long that a client forgets. */
const retryAfterUnlessKnown = 2;
const retryAfterMax = 60;

/**
 * To a request some of whose chunks are absent: 202, unless all are stored within the time that the client waits; then
 * undefined, and it is answered as usual. @throws EvokeError TOO_MANY_REQUESTS, OVERLOADED, STORE_UNAVAILABLE, or why it failed while the client waited; the
 *   signal's reason when the client is gone
 */
export async function answerLater(
  input: Pick<Input, 'requestId' | 'client' | 'signal'>,
  prepared: Prepared,
  preference: AsyncPreference,
  { joined, generated }: PlanSummary,
  deps: ApiDeps,
): Promise<Answer | undefined> {
  const absent = joined + generated;
  const { requests } = deps;
  const request = requestOf(input.requestId, prepared, deps);
  const run = requests.begin({ request, dataset: prepared.dataset, client: input.client, absent });
  const waitMs = (preference.waitSeconds ?? 0) * 1000;
  const end = await endWithin(waitMs, run, input.signal, deps.stopping).catch((error: unknown) => {
    requests.discard(run);
    throw error;
  });
  if (end?.state === 'completed') return undefined;
  if (end?.failure !== undefined) throw new EvokeError(end.failure.code, end.failure.details);
  await requests.keep(run);
  const shown = requestShown({ request, standing: run.standing });
  const retryAfter = Math.ceil(shown.estimatedSecondsLeft ?? retryAfterUnlessKnown);
  return {
    status: 202,
    headers: [
      'Cache-Control',
      'no-store',
      'Location',
      `/v1/requests/${request.id}`,
      'Retry-After',
      String(Math.min(retryAfterMax, Math.max(1, retryAfter))),
      'Preference-Applied',
      applied(preference),
    ],
    body: { kind: 'json', value: shown },
  };
}

function requestOf(id: string, { dataset, selection, format }: Prepared, { clock }: ApiDeps): EventsRequest {
  const { range, columns } = selection;
  const { first, end } = chunksCovering(range, dataset.chunkEvents);
  const chosen = columns === dataset.columns ? '' : `?columns=${columns.map(({ name }) => name).join(',')}`;
  return {
    id,
    dataset: formatDatasetName(dataset),
    range,
    chunks: end - first,
    result: `${datasetPathOf(dataset)}/events/${formatEventRange(range)}.${format.extension}${chosen}`,
    acceptedAt: timestamp(clock),
  };
}

/** Undefined when it has not ended in that time, or before this process stops. Rejects with the signal's reason. */
function endWithin(
  ms: number,
  run: RequestRun,
  signal: AbortSignal,
  stopping: AbortSignal,
): Promise<EventsRequestEnd | undefined> {
  if (ms === 0 || stopping.aborted) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
      stopping.removeEventListener('abort', late);
      act();
    };
    const gone = () => settle(() => reject(signal.reason));
    const late = () => settle(() => resolve(undefined));
    const timer = setTimeout(late, ms);
    signal.addEventListener('abort', gone, { once: true });
    stopping.addEventListener('abort', late, { once: true });
    if (signal.aborted) gone();
    void run.ended.then((end) => settle(() => resolve(end)));
  });
}

export async function getRequest({ params }: Input<Id>, deps: ApiDeps): Promise<Answer> {
  return json(200, (await look(params.id, deps)).value);
}

/** What has ended already stays as it ended. */
export async function deleteRequest({ params: { id } }: Input<Id>, deps: ApiDeps): Promise<Answer> {
  if (await deps.requests.cancel(id)) deps.streams.changed(streamKey(id));
  else await look(id, deps);
  return noContent;
}

export async function streamRequest(input: Input<Id>, deps: ApiDeps): Promise<Answer> {
  const { id } = input.params;
  return deps.streams.answer(input, streamKey(id), await look(id, deps), () => lookAtRequest(id, deps));
}

async function look(id: string, deps: ApiDeps) {
  const found = await lookAtRequest(id, deps);
  if (found !== undefined) return found;
  throw new EvokeError('REQUEST_NOT_FOUND', {
    detail: 'There is no asynchronous request and no failed one of this id, or it is more than a day old.',
  });
}

function streamKey(id: string): string {
  return `request ${id}`;
}
