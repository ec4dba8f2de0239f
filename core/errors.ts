// The one catalogue of everything that can go wrong and be told to somebody: code, HTTP status, title.
// Clients program against the codes; a retired code is never used again. `retryable` says whether doing
// the same again, with nothing changed, may succeed: the worker retries those and gives up on the rest.

interface ErrorKind {
  readonly status: number;
  readonly title: string;
  readonly retryable: boolean;
}

const kinds = {
  MALFORMED_RANGE: { status: 400, title: 'The event range is malformed', retryable: false },
  MALFORMED_NAME: { status: 400, title: 'The scope or name is malformed', retryable: false },
  MALFORMED_REQUEST: { status: 400, title: 'The request is malformed', retryable: false },
  FOREIGN_HOST: { status: 403, title: 'Only loopback names are answered', retryable: false },
  NOT_FOUND: { status: 404, title: 'There is nothing here', retryable: false },
  DATASET_NOT_FOUND: { status: 404, title: 'No such dataset', retryable: false },
  CHUNK_NOT_FOUND: { status: 404, title: 'The dataset has no such chunk', retryable: false },
  FILE_NOT_FOUND: { status: 404, title: 'No dataset has such a file', retryable: false },
  BATCH_NOT_FOUND: { status: 404, title: 'No such batch', retryable: false },
  REQUEST_NOT_FOUND: { status: 404, title: 'No such request', retryable: false },
  METHOD_NOT_ALLOWED: { status: 405, title: 'The method is not allowed here', retryable: false },
  NOT_ACCEPTABLE: { status: 406, title: 'No such format', retryable: false },
  REQUEST_TIMEOUT: { status: 408, title: 'The request did not arrive in time', retryable: true },
  DATASET_CONFLICT: { status: 409, title: 'The name is taken by another definition', retryable: false },
  AMBIGUOUS_FILE: { status: 409, title: 'Several datasets have such a file', retryable: false },
  PINNED: { status: 409, title: 'The dataset is pinned', retryable: false },
  FOSSIL: { status: 409, title: 'The bytes cannot be made again', retryable: false },
  ENDED: { status: 409, title: 'It has ended', retryable: false },
  RETIRED: { status: 410, title: 'The dataset is retired', retryable: false },
  PRECONDITION_FAILED: { status: 412, title: 'The precondition does not hold', retryable: false },
  BODY_TOO_LARGE: { status: 413, title: 'The request body is too large', retryable: false },
  TARGET_TOO_LONG: { status: 414, title: 'The request target is too long', retryable: false },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'The request body is not JSON', retryable: false },
  BEYOND_DATASET: { status: 416, title: 'The range reaches beyond the dataset', retryable: false },
  RANGE_NOT_SATISFIABLE: { status: 416, title: 'The byte range cannot be satisfied', retryable: false },
  INVALID_DECLARATION: { status: 422, title: 'The declaration was refused', retryable: false },
  INVALID_BODY: { status: 422, title: 'The request body was refused', retryable: false },
  UNKNOWN_COLUMN: { status: 422, title: 'The dataset has no such column', retryable: false },
  TOO_MANY_REQUESTS: { status: 429, title: 'Too many requests in flight', retryable: true },
  HEADERS_TOO_LARGE: { status: 431, title: 'The request line and headers are too large', retryable: false },
  INTERNAL: { status: 500, title: 'Something went wrong inside', retryable: true },
  CHUNK_DAMAGED: { status: 500, title: 'A stored chunk is damaged', retryable: true },
  NOT_BUILT: { status: 501, title: 'Not built yet', retryable: false },
  GENERATOR_NOT_REGISTERED: { status: 501, title: 'The generator is not registered here', retryable: false },
  GENERATION_FAILED: { status: 502, title: 'The generation failed', retryable: false },
  OVERLOADED: { status: 503, title: 'The service is at a limit', retryable: true },
  QUEUE_UNAVAILABLE: { status: 503, title: 'The queue cannot be reached', retryable: true },
  STORE_UNAVAILABLE: { status: 503, title: 'The store cannot be used', retryable: true },
  STORE_DISAGREES: { status: 503, title: 'A chunk was reported stored but is absent', retryable: true },
  NOT_MATERIALIZED: { status: 504, title: 'Not everything asked for is stored', retryable: false },
  // The following end a process or a command, and never reach an HTTP client.
  BAD_SETTINGS: { status: 500, title: 'A setting was refused', retryable: false },
  ALREADY_RUNNING: { status: 500, title: 'The service already runs on this folder', retryable: false },
  PEERS_DISAGREE: { status: 500, title: 'This process does not fit its peers', retryable: false },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof kinds;

export const errorCatalogue: Readonly<Record<ErrorCode, ErrorKind>> = kinds;

export interface ErrorDetails {
  /** One sentence for the person who reads it: what was wrong, where. */
  readonly detail?: string;
  /** What to do about it. */
  readonly hint?: string;
  /** For 429 and 503: when another try makes sense. */
  readonly retryAfterSeconds?: number;
  /** For 422: every refused field. */
  readonly errors?: readonly FieldError[];
  readonly [key: string]: unknown;
}

export interface FieldError {
  /** JSON pointer into the body, `/parameters/sqrtS`. */
  readonly path: string;
  readonly message: string;
}

/** An error with a code of the catalogue. Everything in `details` may be shown to a client: no secrets, no paths of the machine. */
export class EvokeError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    super(details.detail ?? errorCatalogue[code].title, options);
    this.name = 'EvokeError';
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return errorCatalogue[this.code].status;
  }

  get retryable(): boolean {
    return errorCatalogue[this.code].retryable;
  }
}

/** The system's own code of a Node error (`ENOENT`, `ECONNREFUSED`), where it has one. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What a log line or a last word says of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Any thrown thing as an error of the catalogue. What is no EvokeError is a mistake of ours: shown to nobody, it is the `cause`. */
export function asEvokeError(thrown: unknown): EvokeError {
  if (thrown instanceof EvokeError) return thrown;
  return new EvokeError('INTERNAL', {}, { cause: thrown });
}
