// The door from outside: bytes on a socket, the answers that come back, and what must be true of every one of them, whatever
// was sent.
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { errorCatalogue } from '../../core/errors.ts';

/** Far beyond what a busy machine takes: only what hangs waits that long. */
const patienceMs = 20_000;

export interface WireAnswer {
  readonly status: number;
  /** Lower-case names, in the order sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export interface Spoken {
  readonly answers: readonly WireAnswer[];
  /** What is no whole answer at the end. */
  readonly rest: string;
  /** How it ended: all answers that were waited for are there, or the service closed or reset the connection, or nothing came. */
  readonly end: 'answered' | 'closed' | 'reset' | 'silent';
}

export interface Speech {
  /** How many answers to wait for; 1 unless said. The connection is then destroyed. */
  readonly answers?: number;
  /** Say that nothing more comes, as soon as all is sent. */
  readonly halfClose?: boolean;
  /** The answers have no bodies, whatever their headers say. */
  readonly head?: boolean;
  readonly patienceMs?: number;
}

export function open(url: string): Socket {
  const { hostname, port } = new URL(url);
  return connect(Number(port), hostname);
}

/** Sends the parts one after another and reads what comes. Never rejects. */
export function speak(url: string, parts: Uint8Array | string | readonly (Uint8Array | string)[], speech: Speech = {}) {
  const { answers: wanted = 1, halfClose = false, head = false } = speech;
  return new Promise<Spoken>((resolve) => {
    const socket = open(url);
    let text = '';
    let wasReset = false;
    const end = (how: Spoken['end']) => {
      clearTimeout(timer);
      socket.destroy();
      const { answers, rest } = answersIn(text, head, how === 'closed');
      resolve({ answers, rest, end: how });
    };
    const timer = setTimeout(() => end('silent'), speech.patienceMs ?? patienceMs);
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1');
      if (answersIn(text, head, false).answers.length >= wanted) end('answered');
    });
    socket.on('error', () => {
      wasReset = true;
    });
    socket.on('close', () => end(wasReset ? 'reset' : 'closed'));
    for (const part of typeof parts === 'string' || parts instanceof Uint8Array ? [parts] : parts) {
      socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
    }
    if (halfClose) socket.end();
  });
}

/** The answers in a text, one byte a character. */
export function answersIn(text: string, head: boolean, isOver: boolean): Pick<Spoken, 'answers' | 'rest'> {
  const answers: WireAnswer[] = [];
  let rest = text;
  for (;;) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd < 0) return { answers, rest };
    const [first = '', ...lines] = rest.slice(0, headEnd).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1] ?? Number.NaN);
    expect(status, first).not.toBeNaN();
    const headers = lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    });
    const after = rest.slice(headEnd + 4);
    const read = bodyIn(after, { status, headers, head, isOver });
    if (read === undefined) return { answers, rest };
    // Interim answers are none.
    if (status >= 200) answers.push({ status, headers, body: read.body });
    rest = read.rest;
  }
}

function bodyIn(
  text: string,
  { status, headers, head, isOver }: Pick<WireAnswer, 'status' | 'headers'> & { head: boolean; isOver: boolean },
): { body: string; rest: string } | undefined {
  const value = (name: string) => headers.find(([known]) => known === name)?.[1];
  if (head || status < 200 || status === 204 || status === 304) return { body: '', rest: text };
  if (value('transfer-encoding') === 'chunked') return chunkedIn(text);
  const length = value('content-length');
  if (length === undefined) return isOver ? { body: text, rest: '' } : undefined;
  return text.length < Number(length)
    ? undefined
    : { body: text.slice(0, Number(length)), rest: text.slice(Number(length)) };
}

function chunkedIn(text: string): { body: string; rest: string } | undefined {
  let body = '';
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const from = lineEnd + 2;
    if (size === 0) {
      const end = text.indexOf('\r\n\r\n', lineEnd);
      return end < 0 ? undefined : { body, rest: text.slice(end + 4) };
    }
    if (text.length < from + size + 2) return undefined;
    body += text.slice(from, from + size);
    at = from + size + 2;
  }
}

/** What may come from inside on purpose. */
const serverErrors: readonly number[] = [501, 502, 503, 504];
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
/** Of the inside: stacks, modules, and where things lie on this machine. */
const inside = [/\bat [^"]*\.(ts|js|mjs):\d+/, /node_modules/, /node:internal/, /TypeError|RangeError|SyntaxError/];
const places = [root, tmpdir()];

/** What holds for every answer. `told`: what the answer is to, for the message of a test that fails. */
export function checkAnswer(answer: WireAnswer, told: string): void {
  const { status, headers, body } = answer;
  const say = `${told} → ${status} ${body.slice(0, 400)}`;
  const value = (name: string) => headers.filter(([known]) => known === name).map(([, text]) => text);
  expect(status < 500 || serverErrors.includes(status), say).toBe(true);
  expect(value('request-id').length, say).toBe(1);
  expect(value('request-id')[0], say).toMatch(uuid);
  for (const [name, text] of headers) {
    expect(name, say).toMatch(/^[a-z0-9-]+$/);
    expect(text, say).toMatch(/^[\t\x20-\x7e]*$/);
  }
  const isProblem = value('content-type')[0] === 'application/problem+json';
  if (status >= 400 && body !== '') {
    // Readiness says what is missing in its own form.
    if (!told.includes('/readyz')) expect(isProblem, say).toBe(true);
    if (isProblem) checkProblem(status, body, value('request-id')[0] ?? '', say);
  }
  if (status >= 400) for (const place of [...inside, ...places]) expect(body, say).not.toMatch(place);
  if (status === 429 || status === 503) expect(Number(value('retry-after')[0]), say).toBeGreaterThanOrEqual(1);
}

function checkProblem(status: number, body: string, requestId: string, say: string): void {
  const problem = JSON.parse(body) as Record<string, unknown>;
  const code = String(problem['code']);
  expect(Object.hasOwn(errorCatalogue, code), say).toBe(true);
  expect(errorCatalogue[code as keyof typeof errorCatalogue].status, say).toBe(status);
  expect(problem['status'], say).toBe(status);
  expect(problem['requestId'], say).toBe(requestId);
  for (const member of ['type', 'title', 'detail']) expect(typeof problem[member], say).toBe('string');
}

/** Text as a test's message may show it. */
export function shown(text: string | Uint8Array): string {
  const whole = typeof text === 'string' ? text : Buffer.from(text).toString('latin1');
  return JSON.stringify(whole.length > 300 ? `${whole.slice(0, 300)}… (${whole.length})` : whole);
}
