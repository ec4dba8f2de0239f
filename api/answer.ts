// What handlers speak: a validated request in, an answer out. Nothing here knows Express or node:http, so a handler
// is tested by calling it.
import type { Json } from '../core/derivation.ts';
import type { Delivered } from './deliveries.ts';

/** One request as handlers see it: parsed, validated, and with nothing of the connection. */
export interface Input<P = unknown, Q = unknown, B = unknown> {
  readonly method: string;
  /** Path and query exactly as they were sent. */
  readonly target: string;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly requestId: string;
  /** Whose request it is, for bounds by client: its address. */
  readonly client: string;
  /** The protocol allows trailers: not so for an HTTP/1.0 client. */
  readonly trailersPossible: boolean;
  /** A header's value by its lower-case name; repeated ones joined by commas. */
  header(name: string): string | undefined;
  /** Aborts when the client is gone. Made when it is first looked at. */
  readonly signal: AbortSignal;
}

/** Names and values in turn (`['ETag', '"…"', 'Vary', 'Accept']`): what node:http writes fastest. */
export type HeaderList = readonly string[];

export interface Answer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body?: Body;
  /** Events that the client has when all of the answer was sent. */
  readonly delivers?: Delivered | undefined;
}

export type Body = JsonBody | TextBody | BytesBody | StreamBody;

export interface JsonBody {
  readonly kind: 'json';
  readonly value: unknown;
  /** `application/json` unless said. */
  readonly mediaType?: string;
}

export interface TextBody {
  readonly kind: 'text';
  readonly text: string;
  readonly mediaType: string;
}

/** Bytes that are all there: handed over at once, whatever the client's pace, so together they are few. */
export interface BytesBody {
  readonly kind: 'bytes';
  readonly pieces: readonly Buffer[];
}

/** Bytes as they are made. The headers leave when the first piece is there; a failure after that resets the connection. */
export interface StreamBody {
  readonly kind: 'stream';
  readonly pieces: AsyncIterable<Buffer>;
  /** Told of every piece as it is handed to the connection. */
  readonly sent?: (bytes: number) => void;
  /** Looked at when the first piece is there: headers that are known only then. */
  readonly lateHeaders?: () => HeaderList;
  /** It goes on for as long as there is something to tell: it is not slow, and a client that leaves has seen enough. */
  readonly lasting?: boolean;
  /** Looked at after the last piece. */
  readonly trailers?: () => HeaderList;
}

/** JSON about things that change: to be asked for again every time. */
export function json(status: number, value: unknown, headers: HeaderList = []): Answer {
  return { status, headers: ['Cache-Control', 'no-cache', ...headers], body: { kind: 'json', value } };
}

export const noContent: Answer = { status: 204, headers: ['Cache-Control', 'no-cache'] };

/** One page of a list. `next` is what to give as `after` for the page that follows. */
export function page(items: readonly Json[] | readonly object[], next: string | null): Answer {
  return json(200, { items, next });
}
