// Errors as clients see them: RFC 9457 problem documents, made from the one catalogue of core/errors.ts.
// What is not in the catalogue is a defect of ours: the client hears that something went wrong, the log hears what.
import { type EvokeError, errorCatalogue } from '../core/errors.ts';
import type { Answer } from './answer.ts';

export const problemMediaType = 'application/problem+json';

/** Seconds, where the error itself knows no better: a place in the quota is free soon, a service needs a little. */
const retryAfterSecondsOf: Readonly<Record<number, number>> = { 429: 1, 503: 2 };

/** The document of RFC 9457 alone. */
export function problemDocument(error: EvokeError, requestId: string) {
  const { status, title } = errorCatalogue[error.code];
  const { detail, retryAfterSeconds: _, ...rest } = error.details;
  return {
    ...rest,
    type: `urn:evoke:problem:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    detail: detail ?? title,
    code: error.code,
    requestId,
  };
}

export function problem(error: EvokeError, requestId: string, extraHeaders: readonly string[] = []): Answer {
  const { status } = errorCatalogue[error.code];
  const { retryAfterSeconds } = error.details;
  const headers = ['Cache-Control', 'no-store', ...extraHeaders];
  const seconds = retryAfterSeconds ?? retryAfterSecondsOf[status];
  if (seconds !== undefined) headers.push('Retry-After', String(Math.max(1, Math.ceil(seconds))));
  if (error.code === 'RANGE_NOT_SATISFIABLE') headers.push('Content-Range', `bytes */${error.details['length']}`);
  const value = problemDocument(error, requestId);
  return { status, headers, body: { kind: 'json', mediaType: problemMediaType, value } };
}
