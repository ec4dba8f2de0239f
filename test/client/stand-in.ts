// A stand-in for the service that answers event ranges with made-up events, and misbehaves on demand: it cuts connections at a
// given byte, refuses for a while, lies about counts. For faults that a real service cannot be told to have.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RecordBatchStreamWriter, Schema, Table, tableFromArrays } from 'apache-arrow';
import { onTestFinished } from 'vitest';

/** Events of a record batch, on a grid from the first event on. */
export const batchEvents = 8;

export interface Fault {
  /** Bytes of the body that are sent before the connection is cut. */
  readonly cutAfter?: number;
  /** Cut only when the test says so (`cut`): bytes that the client has not yet taken are lost with the connection. */
  readonly held?: boolean;
  /** Answer with this status instead. */
  readonly status?: number;
  readonly retryAfter?: string;
  readonly code?: string;
  /** End properly, this many events short, or with as many more when negative. */
  readonly short?: number;
  /** Answer as this says, given what would have been right. */
  readonly answer?: (response: ServerResponse, body: Buffer, request: IncomingMessage) => void;
}

export class StandIn {
  readonly requests: { method: string; range: string }[] = [];
  readonly tokens: (string | undefined)[] = [];
  /** Taken one after the other by GET requests; none left: all is well. */
  faults: Fault[] = [];
  writer = 'one';
  digest: 'none' | 'right' | 'wrong' = 'none';
  url = '';
  cut: () => void = () => undefined;

  static async start(): Promise<StandIn> {
    const standIn = new StandIn();
    const server = createServer((request, response) => standIn.#answer(request, response));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    standIn.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return standIn;
  }

  tag: (range: string, format: string) => string = (range, format) =>
    `"${createHash('sha256').update(`${this.writer} ${range} ${format}`).digest('hex')}"`;

  /** The whole body for these 1-based, inclusive events. */
  body(format: string, first: number, last: number): Buffer {
    return format === 'arrow' ? arrowBody(this.writer, first, last) : ndjsonBody(this.writer, first, last);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', this.url);
    const range = url.pathname.split('/').at(-1) ?? '';
    const [first = 0, last = 0] = range.split('-').map(Number);
    const format = url.searchParams.get('format') ?? 'ndjson';
    const method = request.method ?? '';
    this.requests.push({ method, range });
    this.tokens.push(request.headers.authorization);
    const fault = method === 'GET' ? (this.faults.shift() ?? {}) : {};
    if (fault.status !== undefined) {
      response.writeHead(fault.status, fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter });
      response.end(fault.code === undefined ? 'a proxy says no' : JSON.stringify({ code: fault.code, detail: 'No.' }));
      return;
    }
    const body = this.body(format, first, last - (fault.short ?? 0));
    if (fault.answer !== undefined) {
      fault.answer(response, body, request);
      return;
    }
    const truth = this.digest === 'wrong' ? 'something else' : body;
    const digest = createHash('sha256').update(truth).digest('base64');
    response.writeHead(200, {
      etag: this.tag(range, format),
      ...(this.digest === 'none' ? {} : { 'repr-digest': `sha-256=:${digest}:` }),
    });
    if (method === 'HEAD') response.end();
    else if (fault.cutAfter === undefined) response.end(body);
    else {
      const cut = () => response.socket?.resetAndDestroy();
      response.write(body.subarray(0, fault.cutAfter), fault.held ? undefined : cut);
      this.cut = cut;
    }
  }
}

function ndjsonBody(writer: string, first: number, last: number): Buffer {
  const lines: string[] = [];
  for (let event = first; event <= last; event++) lines.push(`${JSON.stringify({ event, writer, pt: event / 7 })}\n`);
  return Buffer.from(lines.join(''));
}

function arrowBody(writer: string, first: number, last: number): Buffer {
  const batches = [];
  for (let event = first; event <= last; ) {
    const end = Math.min(last, Math.ceil(event / batchEvents) * batchEvents);
    const events = Array.from({ length: end - event + 1 }, (_, i) => event + i);
    batches.push(
      ...tableFromArrays({ event: Int32Array.from(events), pt: Float64Array.from(events, (n) => n / 7) }).batches,
    );
    event = end + 1;
  }
  // As in the service, the schema of every range differs from that of every other.
  const schema = new Schema(batches[0]?.schema.fields ?? [], metadataOf(writer, first, last));
  const output = new RecordBatchStreamWriter();
  output.reset(undefined, schema);
  for (const batch of new Table(batches).batches) output.write(batch);
  output.finish();
  return Buffer.from(output.toUint8Array(true));
}

function metadataOf(writer: string, first: number, last: number): Map<string, string> {
  return new Map([
    ['derivation', writer],
    ['startEvent', String(first)],
    ['lastEvent', String(last)],
    ['batchEvents', String(batchEvents)],
  ]);
}
