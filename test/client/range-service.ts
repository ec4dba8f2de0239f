// A stand-in for the service that answers for PanDA's event ranges as API.md says, and misbehaves on demand. File n of a dataset
// that is there by name only, `test:data`, has a thousand of its events; a scope `other` is of other data under the same names.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { PandaRange } from '../../client/prefetch-ranges.ts';
import { StandIn } from './stand-in.ts';

const eventsPerFile = 1000;

export interface Fault {
  readonly status?: number;
  readonly retryAfter?: string;
  /** Bytes of the body that are sent before the connection is cut; of none, not even the headers. */
  readonly cutAfter?: number;
}

export class RangeService {
  /** `event-ranges` with the ids asked for; `GET`, `HEAD` and `304` (asked for with its tag) with the range of events. */
  readonly requests: { what: string; of: string }[] = [];
  readonly #bodies = new StandIn();
  /** Taken one after the other by requests for ranges. */
  askFaults: Fault[] = [];
  /** By range of events; each taken one after the other by GET requests. */
  readonly faults = new Map<string, Fault[]>();
  /** Ranges of events whose answers wait for their release. */
  readonly #held = new Map<string, () => void>();
  readonly #toHold = new Set<string>();
  /** What the answer says in place of the truth, by eventRangeID. */
  readonly lies = new Map<string, Record<string, unknown>>();
  /** Of GET requests, now and at the most. */
  inFlight = 0;
  inFlightMost = 0;
  url = '';

  static async start(): Promise<RangeService> {
    const service = new RangeService();
    const server = createServer((request, response) => void service.#answer(request, response));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    service.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return service;
  }

  set writer(writer: string) {
    this.#bodies.writer = writer;
  }

  /** The events that were asked for, in the order of the questions. */
  fetched(): string[] {
    return this.requests.filter(({ what }) => what === 'GET').map(({ of }) => of);
  }

  /** The ids of each question. */
  asked(): string[][] {
    return this.requests.filter(({ what }) => what === 'event-ranges').map(({ of }) => of.split(' '));
  }

  /** The whole file of these event numbers. */
  body(first: number, last: number): Buffer {
    return this.#bodies.body('arrow', first, last);
  }

  hold(range: string): void {
    this.#toHold.add(range);
  }

  isHeld(range: string): boolean {
    return this.#held.has(range);
  }

  release(range: string): void {
    this.#toHold.delete(range);
    this.#held.get(range)?.();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.url);
    if (url.pathname === '/v1/event-ranges') return this.#places(request, response);
    const range = /\/(\d+-\d+)$/.exec(url.pathname)?.[1] ?? '';
    const [first = 0, last = 0] = range.split('-').map(Number);
    const method = request.method ?? '';
    const format = url.searchParams.get('format') ?? 'ndjson';
    const etag = `"${createHash('sha256').update(`${this.#bodies.writer} ${url.pathname} ${format}`).digest('hex')}"`;
    const isKnown = request.headers['if-none-match'] === etag;
    this.requests.push({ what: isKnown ? '304' : method, of: range });
    if (method === 'HEAD' || isKnown) {
      response.writeHead(isKnown ? 304 : 200, { etag });
      response.end();
      return;
    }
    this.inFlight++;
    this.inFlightMost = Math.max(this.inFlightMost, this.inFlight);
    response.once('close', () => {
      this.inFlight--;
    });
    if (this.#toHold.has(range)) await new Promise<void>((released) => this.#held.set(range, released));
    const fault = this.faults.get(range)?.shift();
    if (fault !== undefined && misbehaves(fault, response)) return;
    response.writeHead(200, { etag });
    const body = this.#bodies.body(format, first, last);
    if (fault?.cutAfter === undefined) response.end(body);
    else response.write(body.subarray(0, fault.cutAfter), () => response.socket?.resetAndDestroy());
  }

  async #places(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const part of request.setEncoding('utf8')) text += part;
    const { eventRanges } = JSON.parse(text) as { eventRanges: PandaRange[] };
    this.requests.push({ what: 'event-ranges', of: eventRanges.map(({ eventRangeID }) => eventRangeID).join(' ') });
    const fault = this.askFaults.shift();
    if (fault !== undefined && misbehaves(fault, response)) return;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(eventRanges.map((range) => ({ ...place(range), ...this.lies.get(range.eventRangeID) }))),
    );
  }
}

/** Whether that was the whole answer. */
function misbehaves(fault: Fault, response: ServerResponse): boolean {
  if (fault.cutAfter === 0) response.socket?.resetAndDestroy();
  else if (fault.status !== undefined) {
    response.writeHead(fault.status, fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter });
    response.end(JSON.stringify({ detail: `Not now: ${fault.status}.` }));
  } else return false;
  return true;
}

function place(range: PandaRange): object {
  const n = Number(/(\d+)$/.exec(String(range['LFN']))?.[1]);
  if (!(n >= 1)) {
    const error = { status: 404, code: 'FILE_NOT_FOUND', title: 'No dataset has such a file', detail: 'No such file.' };
    return { ...range, error };
  }
  const first = (n - 1) * eventsPerFile + Number(range['startEvent']);
  const last = (n - 1) * eventsPerFile + Number(range['lastEvent']);
  const scope = range['scope'] === 'other' ? 'other' : 'test';
  return { ...range, url: `/v1/datasets/${scope}/data/events/${first}-${last}.arrows`, state: 'virtual' };
}

/** `count` ranges of `events` events each, one behind the other in file 1. */
export function pandaRanges(count: number, events = 10): PandaRange[] {
  return Array.from({ length: count }, (_, i) => ({
    eventRangeID: `10204500-3123350504-7783643170-${i + 1}-10`,
    startEvent: i * events + 1,
    lastEvent: (i + 1) * events,
    LFN: 'EVNT.01416937._000001',
    GUID: '1141217E-433C-3E47-8898-615B968DA5E5',
    scope: 'test',
  }));
}
