// One request and its answer, on node:http's own objects: what handlers take is made of it, and what they give is sent. Here is
// held what must be true of every answer: Request-Id, a known host, a place in the client's quota, a problem document for
// every error, and never a short answer that looks whole.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { asEvokeError, EvokeError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Answer, HeaderList, StreamBody } from './answer.ts';
import type { BodyRoom } from './body-room.ts';
import type { ClientQuota } from './client-quota.ts';
import type { Deliveries } from './deliveries.ts';
import type { ApiDeps } from './deps.ts';
import { type FailedRequests, isOurs } from './failed-requests.ts';
import { checkHost, checkSite } from './host-guard.ts';
import { readJson } from './json-body.ts';
import type { ApiMetrics, ResetReason } from './metrics.ts';
import { problem } from './problem.ts';
import { reset } from './reset.ts';
import type { RawInput, Route } from './route.ts';
import { checkExpectation, readTarget } from './target.ts';

/** What the edge itself needs, beside what handlers do. */
export interface Edge {
  readonly quota: ClientQuota;
  /** Told of what went wrong on our side. */
  readonly failures: Pick<FailedRequests, 'record'>;
  readonly metrics: ApiMetrics;
  readonly log: Log;
  readonly bodyBytesMax: number;
  /** What bodies take that may be larger. */
  readonly bodyRoom: BodyRoom;
  /** Told of events that were sent whole. */
  readonly deliveries: Pick<Deliveries, 'add'>;
  /** How long a client may take nothing of what is ready for it: the server's timeout. */
  readonly stallMs: number;
  /** Whether every request gets its line in the log, and not only those that are slow or went wrong. */
  readonly logsAll: boolean;
  /** From then on every answer ends its connection. */
  draining: boolean;
}

/** Requests slower than this are worth a line in the log of a healthy service. */
const slowMs = 30_000;

const noParams: RawInput['params'] = Object.freeze({});

/** One request and its answer. For the route it is the request itself: one object less for each. */
export class Exchange implements RawInput {
  readonly requestId: string = randomUUID();
  readonly method: string;
  target: string;
  params: RawInput['params'] = noParams;
  body: unknown;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #edge: Edge;
  readonly #startedMs = performance.now();
  #route = 'none';
  /** Whose place in the quota it has. */
  #placeOf: string | undefined;
  #abort: AbortController | undefined;
  #bodyBytes = 0;
  /** Taken from the room of large bodies. */
  #roomBytes = 0;
  #delivers: Answer['delivers'];
  #isLasting = false;

  constructor(req: IncomingMessage, res: ServerResponse, edge: Edge) {
    this.#req = req;
    this.#res = res;
    this.#edge = edge;
    this.method = req.method ?? '';
    this.target = req.url ?? '';
    // A body of another length than was said is a defect: it ends in a reset, and not in a client that waits for the rest.
    res.strictContentLength = true;
  }

  get query(): string {
    const mark = this.target.indexOf('?');
    return mark < 0 ? '' : this.target.slice(mark + 1);
  }

  get client(): string {
    return this.#req.socket.remoteAddress ?? '';
  }

  get trailersPossible(): boolean {
    return this.#req.httpVersion !== '1.0';
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#res.closed) this.#abort.abort(gone());
    return this.#abort.signal;
  }

  header(name: string): string | undefined {
    const value = this.#req.headers[name];
    return typeof value === 'string' ? value : value?.join(', ');
  }

  /** What holds for every request, whatever it asks for. False where it is answered with that. */
  begin(): boolean {
    const { headers } = this.#req;
    this.#edge.metrics.started();
    this.#res.on('close', () => this.#closed());
    this.#res.on('timeout', () => this.#quiet());
    try {
      const { authority, path } = readTarget(this.target, headers.host);
      checkHost(authority, headers.origin);
      if (headers.origin === undefined) checkSite(headers['sec-fetch-site'], headers['sec-fetch-dest']);
      checkExpectation(headers.expect);
      this.target = path;
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  run(route: Route, params: RawInput['params'], deps: ApiDeps): void {
    this.#route = route.path;
    this.params = params;
    try {
      if (route.path.startsWith('/v1/')) this.#takePlace();
      if (hasBody(this.#req)) this.#runWithBody(route, deps).catch((error: unknown) => this.fail(error));
      else this.#finish(route.answer(this, deps));
    } catch (error) {
      this.fail(error);
    }
  }

  refuseMethod(allow: string): void {
    const detail = `${this.method} is not for this path, but ${allow}.`;
    const error = new EvokeError('METHOD_NOT_ALLOWED', { detail });
    this.#send(problem(error, this.requestId, ['Allow', allow]));
  }

  /** Before the headers left, a problem document; after them, nothing but a reset is honest. */
  fail(thrown: unknown): void {
    const error = asEvokeError(thrown);
    const closed = this.#res.closed || this.#req.socket.destroyed;
    if (error.code === 'INTERNAL' && !closed) {
      const cause = error.cause ?? error;
      this.#edge.log.error({ requestId: this.requestId, target: this.target, err: cause }, messageOf(cause));
    }
    if (closed) return;
    if (isOurs(error) && this.#route.startsWith('/v1/')) {
      this.#edge.failures.record(this.requestId, this.target, error, performance.now() - this.#startedMs);
    }
    if (this.#res.headersSent) this.#reset('failed', error);
    else this.#send(problem(error, this.requestId));
  }

  #takePlace(): void {
    const { client } = this;
    this.#edge.quota.enter(client);
    this.#placeOf = client;
  }

  async #runWithBody(route: Route, deps: ApiDeps): Promise<void> {
    const { headers } = this.#req;
    if (route.body === undefined) {
      throw new EvokeError('MALFORMED_REQUEST', { detail: 'This request takes no body.' });
    }
    const described = {
      contentType: headers['content-type'],
      contentEncoding: headers['content-encoding'],
      transferEncoding: headers['transfer-encoding'],
      contentLength: headers['content-length'],
    };
    const { bodyBytesMax, bodyRoom } = this.#edge;
    const bytesMax = Math.max(bodyBytesMax, route.bodyBytesMax?.(deps) ?? 0);
    const take = (bytes: number) => {
      if (this.#res.closed) throw gone();
      bodyRoom.take(bytes);
      this.#roomBytes += bytes;
    };
    const isLarge = bytesMax > bodyBytesMax;
    this.body = await readJson(this.#req, described, {
      bytesMax,
      anyKeys: route.bodyAnyKeys ?? false,
      ...(isLarge ? { take } : {}),
    });
    this.#finish(route.answer(this, deps));
  }

  #finish(answer: Answer | Promise<Answer>): void {
    if (!(answer instanceof Promise)) {
      this.#send(answer);
      return;
    }
    answer.then((given) => this.#send(given)).catch((error: unknown) => this.fail(error));
  }

  #send(answer: Answer): void {
    const { body } = answer;
    this.#delivers = answer.delivers;
    if (body === undefined) {
      this.#writeHead(answer.status, answer.headers);
      this.#res.end();
    } else if (body.kind === 'bytes') {
      this.#writeHead(answer.status, answer.headers);
      const last = body.pieces.length - 1;
      for (let i = 0; i < last; i++) this.#write(body.pieces[i] as Buffer);
      this.#bodyBytes += body.pieces[last]?.length ?? 0;
      this.#res.end(body.pieces[last]);
    } else if (body.kind === 'stream') {
      this.#stream(answer, body).catch((error: unknown) => this.fail(error));
    } else {
      const text = body.kind === 'text' ? body.text : JSON.stringify(body.value);
      const bytes = Buffer.from(text);
      const length = String(bytes.length);
      const type = body.mediaType ?? 'application/json';
      this.#writeHead(answer.status, ['Content-Type', type, 'Content-Length', length, ...answer.headers]);
      if (this.method !== 'HEAD') this.#bodyBytes = bytes.length;
      this.#res.end(bytes);
    }
  }

  #writeHead(status: number, headers: HeaderList, late: HeaderList = []): void {
    const all = ['Request-Id', this.requestId, ...headers, ...late];
    // A client may still be sending what nobody reads; the connection is of no more use.
    const unread = hasBody(this.#req) && !this.#req.complete;
    if (this.#edge.draining || unread) all.push('Connection', 'close');
    this.#res.writeHead(status, all);
  }

  #write(piece: Buffer): boolean {
    this.#bodyBytes += piece.length;
    return this.#res.write(piece);
  }

  async #stream(answer: Answer, body: StreamBody): Promise<void> {
    const res = this.#res;
    const pieces = body.pieces[Symbol.asyncIterator]();
    this.#isLasting = body.lasting ?? false;
    try {
      let step = await pieces.next();
      if (res.closed) return;
      this.#writeHead(answer.status, answer.headers, body.lateHeaders?.());
      while (step.done !== true) {
        const isTaken = this.#write(step.value);
        body.sent?.(step.value.length);
        if (!isTaken) await this.#drained();
        step = await pieces.next();
        if (res.closed) return;
      }
      const trailers = body.trailers?.();
      if (trailers !== undefined && trailers.length > 0) res.addTrailers(pairs(trailers));
      res.end();
    } finally {
      await pieces.return?.();
    }
  }

  /** Resolves when the client took what is ready for it; rejects when it is gone, by itself or for taking nothing. */
  #drained(): Promise<void> {
    const res = this.#res;
    if (res.closed) return Promise.reject(gone());
    return new Promise((resolve, reject) => {
      const drain = () => {
        res.off('close', close);
        resolve();
      };
      const close = () => {
        res.off('drain', drain);
        reject(gone());
      };
      res.once('drain', drain).once('close', close);
    });
  }

  /**
   * Nothing moved on the connection for the time that the server allows (any progress counts, also of a single large write).
   * While nothing is ready for the client, that is not its fault.
   */
  #quiet(): void {
    const { socket } = this.#req;
    if (socket.writableLength > 0) this.#reset('stalled', new Error('The client takes nothing.'));
    else socket.setTimeout(this.#edge.stallMs);
  }

  #reset(reason: ResetReason, error: Error): void {
    const { socket } = this.#req;
    if (socket.destroyed) return;
    this.#edge.metrics.reset(reason);
    this.#edge.log.warn(
      { requestId: this.requestId, target: this.target, reason, bytes: this.#bodyBytes },
      `the connection was reset: ${error.message}`,
    );
    reset(socket);
  }

  #closed(): void {
    const { metrics, quota, log } = this.#edge;
    const ms = performance.now() - this.#startedMs;
    const status = this.#res.headersSent ? this.#res.statusCode : 0;
    if (this.#placeOf !== undefined) quota.leave(this.#placeOf);
    this.#edge.bodyRoom.give(this.#roomBytes);
    if (this.#delivers !== undefined && this.#res.writableFinished) this.#edge.deliveries.add(this.#delivers);
    if (!this.#res.writableFinished) {
      if (!this.#isLasting) metrics.abandoned();
      this.#abort?.abort(gone());
    }
    metrics.finished(this.#route, status, ms / 1000, this.#bodyBytes);
    if (!this.#edge.logsAll && status < 500 && (ms < slowMs || this.#isLasting)) return;
    const outcome = {
      requestId: this.requestId,
      method: this.method,
      target: this.target,
      status,
      ms: Math.round(ms * 10) / 10,
      bytes: this.#bodyBytes,
    };
    if (status === 500) log.warn(outcome, 'request failed');
    else if (status === 502 || status === 503) log.info(outcome, 'request refused');
    else if (ms > slowMs && !this.#isLasting) log.info(outcome, 'slow request');
    else log.debug(outcome, 'request');
  }
}

function gone(): Error {
  return new DOMException('The client is gone.', 'AbortError');
}

function hasBody(req: IncomingMessage): boolean {
  const length = req.headers['content-length'];
  return req.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

function pairs(list: HeaderList): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) out.push([list[i] as string, list[i + 1] as string]);
  return out;
}
