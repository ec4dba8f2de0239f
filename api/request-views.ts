// Asynchronous requests, and failed synchronous ones, as they are shown.
import { EvokeError } from '../core/errors.ts';
import { eventNumber } from '../core/event-range.ts';
import { isFinal, type WorkState } from '../core/work-state.ts';
import type { AsyncRequests, RequestStanding } from '../scheduler/requests.ts';
import type { Shown } from './event-stream.ts';
import type { FailedRequest, FailedRequests } from './failed-requests.ts';
import { problemDocument } from './problem.ts';

export interface RequestShown {
  readonly id: string;
  readonly state: WorkState;
  readonly dataset: string;
  readonly startEvent: number;
  readonly lastEvent: number;
  readonly chunksDone: number;
  readonly chunks: number;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly estimatedSecondsLeft: number | null;
  /** Where the events are, in the format and columns asked for. */
  readonly result: string;
  /** Of a failed one: a problem. */
  readonly error?: object;
}

export function requestShown({ request, standing }: RequestStanding): RequestShown {
  const { id, dataset, range, chunks, result, acceptedAt } = request;
  const failure = 'failure' in standing ? standing.failure : undefined;
  return {
    id,
    state: standing.state,
    dataset,
    startEvent: eventNumber(range.first),
    lastEvent: range.end,
    chunksDone: standing.done + standing.skipped,
    chunks,
    startedAt: acceptedAt,
    ...('endedAt' in standing ? { endedAt: standing.endedAt } : {}),
    estimatedSecondsLeft: secondsLeft(standing),
    result,
    ...(failure === undefined ? {} : { error: problemDocument(new EvokeError(failure.code, failure.details), id) }),
  };
}

function secondsLeft(standing: RequestStanding['standing']): number | null {
  if (standing.state === 'completed') return 0;
  return 'estimatedSecondsLeft' in standing ? (standing.estimatedSecondsLeft ?? null) : null;
}

interface Sources {
  readonly requests: Pick<AsyncRequests, 'find'>;
  readonly failures: Pick<FailedRequests, 'find'>;
}

/** Undefined when there is none. @throws EvokeError STORE_UNAVAILABLE */
export async function lookAtRequest(
  id: string,
  { requests, failures }: Sources,
): Promise<(Shown & { readonly value: RequestShown | FailedRequest }) | undefined> {
  const found = await requests.find(id);
  const value = found === undefined ? await failures.find(id) : requestShown(found);
  return value && { value, isFinal: isFinal(value.state) };
}
