// What can go wrong between a client and the service, told in one line, with the word whether another try makes sense.
import type { ErrorCode } from '../core/errors.ts';
import { errorCatalogue } from '../core/errors.ts';

/** The service answered with an error. `problem` is its problem+json, where it sent one. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly status: number;
  /** A code of the catalogue, or of a newer service's; undefined when something else answered, a proxy for instance. */
  readonly code: string | undefined;
  readonly problem: Readonly<Record<string, unknown>>;
  /** What Retry-After asks for. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, problem: Readonly<Record<string, unknown>>, retryAfterMs?: number) {
    super(describe(status, problem));
    this.status = status;
    this.code = typeof problem['code'] === 'string' ? problem['code'] : undefined;
    this.problem = problem;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed later, with nothing changed. */
  get retryable(): boolean {
    const known = this.code === undefined ? undefined : errorCatalogue[this.code as ErrorCode];
    return known?.retryable ?? [408, 429, 500, 502, 503, 504].includes(this.status);
  }
}

/** Nobody answered, or the answer broke off: always worth another try. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

/** The service answered, but not with what was asked for: too many events, another digest, no Arrow. */
export class WrongAnswerError extends Error {
  override readonly name = 'WrongAnswerError';
}

function describe(status: number, problem: Readonly<Record<string, unknown>>): string {
  const text = (key: string) => (typeof problem[key] === 'string' ? problem[key] : undefined);
  const what = text('detail') ?? text('title') ?? `The service answered with status ${status}.`;
  const refused = Array.isArray(problem['errors'])
    ? problem['errors'].map(refusedField).filter((line) => line !== '')
    : [];
  const lines = refused.length === 0 ? '' : ` ${refused.join('; ')}.`;
  const code = text('code');
  const hint = text('hint');
  return `${what}${lines}${hint === undefined ? '' : ` ${hint}`}${code === undefined ? '' : ` (${code})`}`;
}

function refusedField(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('path' in error) || !('message' in error)) return '';
  return `${error.path}: ${error.message}`;
}
