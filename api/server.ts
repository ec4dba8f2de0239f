// Listening: what bounds a connection, and how a process that stops lets go of its clients.
import { randomUUID } from 'node:crypto';
import { createServer, type RequestListener, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { EvokeError, systemCode } from '../core/errors.ts';
import { problem, problemMediaType } from './problem.ts';
import { reset } from './reset.ts';

export interface ServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly connectionsMax: number;
  /** Request line and headers together. */
  readonly headerBytesMax: number;
  /** How long a request may take to arrive. */
  readonly requestMs: number;
  /** How long a connection stays open between requests. */
  readonly idleMs: number;
  /** How long nothing may move on a connection before whoever answers on it is told. */
  readonly stallMs: number;
}

/** Headers come in one piece, or from somebody who is up to something: they have less time than a body. */
const headersPart = 1 / 4;
/** How often it is looked which requests are late. */
const lateLookMs = 500;
/** Requests of one connection that are worked on at a time, whatever they ask for. */
const pipelinedMax = 64;
/** Connections over the bound that are still told so; those beyond them are closed without a word. */
const surplusMax = 64;
/** How long a client that was refused may take to read that. */
const lingerMs = 2_000;
const drainLookMs = 50;

export class ApiServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws the system's error (EADDRINUSE, EACCES) when the address cannot be had. */
  static async listen(listener: RequestListener, options: ServerOptions): Promise<ApiServer> {
    const surplus = new WeakSet<Socket>();
    const listen: RequestListener = (req, res) => {
      if (surplus.has(req.socket)) refuse(res, tooManyConnections(options.connectionsMax));
      else if (isCrowded(req.socket, res)) refuse(res, tooManyPipelined());
      else listener(req, res);
    };
    const server = createServer(
      {
        maxHeaderSize: options.headerBytesMax,
        headersTimeout: options.requestMs * headersPart,
        requestTimeout: options.requestMs,
        connectionsCheckingInterval: lateLookMs,
        keepAliveTimeout: options.idleMs,
        // The app refuses a missing Host itself, in the form of all its refusals.
        requireHostHeader: false,
        // Otherwise the second of two Hosts, Ranges or Content-Types would be ignored: so neither reads as one.
        joinDuplicateHeaders: true,
      },
      listen,
    );
    // So too with expectations that nobody can meet.
    server.on('checkExpectation', listen);
    server.maxConnections = options.connectionsMax + surplusMax;
    server.timeout = options.stallMs;
    server.on('clientError', answerUnreadable);
    server.on('connect', (_req, socket: Socket) => answerConnect(socket));
    const api = new ApiServer(server);
    server.on('connection', (socket: AnsweringSocket) => {
      api.#sockets.add(socket);
      if (api.#sockets.size > options.connectionsMax) surplus.add(socket);
      socket.on('close', () => api.#sockets.delete(socket));
      socket.prependListener('end', () => endOfClient(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return api;
  }

  /** `http://127.0.0.1:8080` */
  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Takes no more connections, lets what is in flight finish for `drainMs`, and resets what is left then. */
  async drain(drainMs: number): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    const deadline = performance.now() + drainMs;
    while (this.#sockets.size > 0 && performance.now() < deadline) {
      this.#server.closeIdleConnections();
      await pause(drainLookMs);
    }
    // A plain close would let a body without length look whole.
    for (const socket of this.#sockets) reset(socket);
    await closed;
  }
}

/** Node keeps the answer under way in this field. */
type AnsweringSocket = Socket & { _httpMessage?: ServerResponse | null };

/**
 * A client that says it will send no more has most likely gone. Node would end the connection politely, in the middle of the
 * answer, and what was sent of it might look whole.
 */
function endOfClient(socket: AnsweringSocket): void {
  const answer = socket._httpMessage;
  if (answer && !answer.writableEnded) reset(socket);
}

/** What node:http could not read as a request still gets an answer like every other. */
function answerUnreadable(error: Error, socket: AnsweringSocket): void {
  if (refused.has(socket)) return;
  // Nothing may be written into the middle of an answer.
  if (!socket.writable || systemCode(error) === 'ECONNRESET' || socket._httpMessage?.headersSent === true) {
    reset(socket);
    return;
  }
  refuseUnread(socket, reasonOf(systemCode(error)));
}

/** A tunnel is all that CONNECT could want; Node has let go of the connection then. */
function answerConnect(socket: Socket): void {
  socket.on('error', () => undefined).resume();
  refuseUnread(socket, new EvokeError('MALFORMED_REQUEST', { detail: 'The request target is not a path.' }));
}

/** Connections that were answered without being read to an end. */
const refused = new WeakSet<Socket>();

/** What still arrives is passed over for a while: closed at once, the connection would take the answer with it. */
function refuseUnread(socket: Socket, error: EvokeError): void {
  refused.add(socket);
  socket.end(refusalText(error));
  const timer = setTimeout(() => reset(socket), lingerMs);
  socket.once('close', () => clearTimeout(timer));
}

/** Answers under way on connections that ask for the next before they have the one before. */
const pipelines = new WeakMap<Socket, ServerResponse[]>();

/** Whether a connection has as many requests worked on as it may. Refusals are short, and of those Node itself takes no more than fit. */
function isCrowded(socket: AnsweringSocket, next: ServerResponse): boolean {
  const first = socket._httpMessage;
  // As nearly always.
  if (!first || first === next || first.writableEnded) return false;
  const open = (pipelines.get(socket) ?? [first]).filter((answer) => !answer.writableEnded);
  const crowded = open.length >= pipelinedMax;
  if (!crowded) open.push(next);
  pipelines.set(socket, open);
  return crowded;
}

function tooManyPipelined(): EvokeError {
  return new EvokeError('TOO_MANY_REQUESTS', {
    detail: `${pipelinedMax} requests of this connection are worked on already.`,
    retryAfterSeconds: 1,
  });
}

function tooManyConnections(connectionsMax: number): EvokeError {
  return new EvokeError('OVERLOADED', {
    detail: `${connectionsMax} connections are open already.`,
    hint: 'EVOKE_CONNECTIONS sets the bound.',
    retryAfterSeconds: 5,
  });
}

/** An answer to a request that is not looked at. */
function refuse(res: ServerResponse, error: EvokeError): void {
  const { status, headers, text } = refusal(error);
  res.writeHead(status, headers);
  res.end(text);
}

function refusalText(error: EvokeError): string {
  const { status, headers, text } = refusal(error);
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`];
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n${text}`;
}

/** The connection ends with it. */
function refusal(error: EvokeError): { status: number; headers: string[]; text: string } {
  const requestId = randomUUID();
  const { status, body, headers } = problem(error, requestId);
  const text = body?.kind === 'json' ? JSON.stringify(body.value) : '';
  const length = String(Buffer.byteLength(text));
  const own = ['Request-Id', requestId, 'Content-Type', problemMediaType, 'Content-Length', length];
  return { status, headers: [...own, ...headers, 'Connection', 'close'], text };
}

function reasonOf(code: string | undefined): EvokeError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new EvokeError('HEADERS_TOO_LARGE', { hint: 'EVOKE_HEADER_BYTES sets the bound.' });
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new EvokeError('REQUEST_TIMEOUT', { hint: 'EVOKE_REQUEST_SECONDS sets the bound.' });
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return new EvokeError('MALFORMED_REQUEST', { detail: 'The extensions of a chunk are too long.' });
  }
  return new EvokeError('MALFORMED_REQUEST', { detail: 'This is not a well-formed HTTP request.' });
}
