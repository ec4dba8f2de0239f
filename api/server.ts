// Listening: what bounds a connection, and how a process that stops lets go of its clients.
import { randomUUID } from 'node:crypto';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { EvokeError, systemCode } from '../core/errors.ts';
import { problem } from './problem.ts';

export interface ServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly connectionsMax: number;
  /** How long nothing may move on a connection before whoever answers on it is told. */
  readonly stallMs: number;
}

/** A request's headers, and all of a request, must arrive within these. */
const headersTimeoutMs = 15_000;
const requestTimeoutMs = 60_000;
/** Longer than the usual idle time of clients and proxies, so that it is they who let go first. */
const keepAliveMs = 65_000;
const drainLookMs = 50;

export class ApiServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws the system's error (EADDRINUSE, EACCES) when the address cannot be had. */
  static async listen(listener: RequestListener, options: ServerOptions): Promise<ApiServer> {
    const server = createServer(
      {
        headersTimeout: headersTimeoutMs,
        requestTimeout: requestTimeoutMs,
        keepAliveTimeout: keepAliveMs,
        // The app refuses a missing Host itself, in the form of all its refusals.
        requireHostHeader: false,
        // Otherwise the second of two Hosts, Ranges or Content-Types would be ignored: so neither reads as one.
        joinDuplicateHeaders: true,
      },
      listener,
    );
    // So too with expectations that nobody can meet.
    server.on('checkExpectation', listener);
    server.maxConnections = options.connectionsMax;
    server.timeout = options.stallMs;
    server.on('clientError', answerUnreadable);
    const api = new ApiServer(server);
    server.on('connection', (socket: Socket) => {
      api.#sockets.add(socket);
      socket.on('close', () => api.#sockets.delete(socket));
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
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }
}

/** What node:http could not read as a request still gets an answer like every other. */
function answerUnreadable(error: Error, socket: Socket & { _httpMessage?: ServerResponse }): void {
  // Node keeps the answer under way in this field, and looks at it for the same reason: nothing may be written into its middle.
  if (!socket.writable || systemCode(error) === 'ECONNRESET' || socket._httpMessage?.headersSent === true) {
    socket.resetAndDestroy();
    return;
  }
  const requestId = randomUUID();
  const { status, body, headers } = problem(
    new EvokeError('MALFORMED_REQUEST', { detail: reasonOf(systemCode(error)) }),
    requestId,
  );
  const text = body?.kind === 'json' ? JSON.stringify(body.value) : '';
  const lines = [`HTTP/1.1 ${status} Bad Request`, `Request-Id: ${requestId}`, 'Connection: close'];
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  lines.push('Content-Type: application/problem+json', `Content-Length: ${Buffer.byteLength(text)}`);
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`);
}

function reasonOf(code: string | undefined): string {
  if (code === 'HPE_HEADER_OVERFLOW') return 'The request line and headers are too large.';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'The request did not arrive in time.';
  return 'This is not a well-formed HTTP request.';
}
