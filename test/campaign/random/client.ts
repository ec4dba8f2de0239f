// One HTTP exchange as a client meets it: what came, whether it was whole, how it ended. Nothing is repaired and nothing is
// hidden: a reset is told from an end, and whoever waits too long is told from both.
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Manner } from './operations.ts';

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly manner?: Manner;
}

export interface Head {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Answered extends Head {
  readonly kind: 'answered';
  readonly body: Buffer;
  readonly trailers: Readonly<Record<string, string>>;
}

/**
 * `answered`: to its end. `cut`: the connection broke in the middle of the body. `left`: by the client itself.
 * `unanswered`: the connection could not be had, or broke before an answer. `overdue`: nothing of all that in time.
 */
export type Outcome =
  | Answered
  | (Head & { readonly kind: 'cut' | 'left'; readonly body: Buffer })
  | { readonly kind: 'unanswered'; readonly code: string }
  | { readonly kind: 'overdue'; readonly head: Head | undefined; readonly bytes: number };

/** Longer than anything takes, the waits for chunks included (WAIT_SECONDS); who waits for longer waits for ever. */
export const overdueMs = 240_000;

const agent = new Agent({ keepAlive: true });

export async function exchange(url: string, call: Call = {}): Promise<Outcome> {
  const { method = 'GET', json, manner = { kind: 'whole' } } = call;
  const headers: Record<string, string> = { ...call.headers };
  if (json !== undefined) headers['content-type'] = 'application/json';
  let head: Head | undefined;
  const pieces: Buffer[] = [];
  const received = () => pieces.reduce((sum, piece) => sum + piece.length, 0);
  let sent: ClientRequest | undefined;
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'overdue', head, bytes: received() }), overdueMs);
  });
  const taken = new Promise<Outcome>((resolve) => {
    const asked = request(url, { method, headers, agent }, (response) => {
      head = { status: response.statusCode ?? 0, headers: flat(response.headers) };
      take(response, head, manner, pieces, asked).then(resolve, (error: unknown) => {
        resolve({ kind: 'unanswered', code: `client: ${String(error)}` });
      });
    });
    sent = asked;
    asked.on('error', (error: Error & { code?: string }) => {
      if (head === undefined) resolve({ kind: 'unanswered', code: error.code ?? error.message });
    });
    asked.end(json === undefined ? undefined : JSON.stringify(json));
  });
  try {
    return await Promise.race([taken, overdue]);
  } finally {
    clearTimeout(timer);
    if (!(sent?.closed ?? true)) sent?.on('error', () => undefined);
  }
}

async function take(
  response: IncomingMessage,
  head: Head,
  manner: Manner,
  pieces: Buffer[],
  asked: ClientRequest,
): Promise<Outcome> {
  const body = () => Buffer.concat(pieces);
  let bytes = 0;
  let pauses = manner.kind === 'slow' ? manner.pauses : 0;
  try {
    if (manner.kind === 'leaving' && manner.afterBytes === 0) {
      asked.destroy();
      return { ...head, kind: 'left', body: body() };
    }
    for await (const piece of response as AsyncIterable<Buffer>) {
      pieces.push(piece);
      bytes += piece.length;
      if (manner.kind === 'leaving' && bytes >= manner.afterBytes) {
        asked.destroy();
        return { ...head, kind: 'left', body: body() };
      }
      if (manner.kind === 'slow' && pauses-- > 0) await pause(manner.pauseMs);
    }
  } catch {
    return { ...head, kind: 'cut', body: body() };
  }
  if (!response.complete) return { ...head, kind: 'cut', body: body() };
  return { ...head, kind: 'answered', body: body(), trailers: flat(response.trailers) };
}

function flat(headers: NodeJS.Dict<string | string[]>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}

/** The JSON of an answer; undefined where there is none. */
export function jsonOf(outcome: Outcome): unknown {
  if (outcome.kind !== 'answered') return undefined;
  try {
    return JSON.parse(outcome.body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** For people: `200, 48213 bytes`. */
export function told(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'answered': {
      const { code } = (outcome.status >= 400 ? (jsonOf(outcome) as { code?: string }) : undefined) ?? {};
      return `${outcome.status}${code === undefined ? '' : ` ${code}`}, ${outcome.body.length} bytes`;
    }
    case 'cut':
      return `${outcome.status}, cut after ${outcome.body.length} bytes`;
    case 'left':
      return `${outcome.status}, left after ${outcome.body.length} bytes`;
    case 'unanswered':
      return `no answer: ${outcome.code}`;
    case 'overdue':
      return `overdue: ${outcome.head === undefined ? 'no answer' : `${outcome.head.status}, ${outcome.bytes} bytes`}`;
  }
}
