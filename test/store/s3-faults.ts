// A small scripted S3 for the faults that a real one does not produce on demand: lost answers, short bodies, listings in
// smaller pages, errors of every kind. It believes any signature; what an S3 does by itself is tested on a real one.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished, vi } from 'vitest';
import { S3Store, type S3StoreOptions } from '../../store/s3-store.ts';

export interface S3Request {
  readonly method: string;
  /** Without the bucket. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** `PUT a/b`, `LIST prefix/`, `POST a/b?uploads`: for counting. */
  readonly line: string;
}

/** What happens instead of, or after, the right answer. */
export type Fault =
  /** An error of the server, as XML. */
  | { readonly status: number; readonly code: string; readonly headers?: Record<string, string> }
  /** Any answer. */
  | { readonly status: number; readonly body: string; readonly headers?: Record<string, string> }
  /** The connection is lost before anything is done, or after all of it is. */
  | 'lost'
  | 'lost answer'
  /** Nothing is done or answered. */
  | 'silence'
  /** The body ends, stops, or trickles after so many bytes. */
  | { readonly cutAt: number }
  | { readonly stopAt: number }
  | { readonly trickleMs: number }
  | 'no length'
  | 'no ranges';

export type Script = (request: S3Request, count: number) => Fault | undefined | Promise<undefined>;

export const bucket = 'bucket';
export const secrets = ['AKIDEXAMPLE', 'wJalrXUtnFEMIK7MDENG'] as const;

/** A store in front of such a server; `script` is asked before every request and may be replaced. */
export async function faultyS3(options: S3StoreOptions = {}) {
  vi.stubEnv('AWS_ACCESS_KEY_ID', secrets[0]);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secrets[1]);
  const state = { script: (() => undefined) as Script, pageMax: 1000, atOnce: 0, atOnceMax: 0 };
  const objects = new Map<string, Buffer>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const lines: string[] = [];
  const server = createServer(async (request, response) => {
    state.atOnceMax = Math.max(state.atOnceMax, ++state.atOnce);
    response.once('close', () => state.atOnce--);
    const body = Buffer.concat(await request.toArray());
    const asked = readRequest(request);
    lines.push(asked.line);
    const fault = await state.script(asked, lines.length);
    if (fault === 'silence') return;
    if (fault === 'lost') return void request.socket.destroy();
    if (typeof fault === 'object' && 'status' in fault) return refuse(response, fault);
    answer({ objects, uploads, pageMax: state.pageMax }, asked, body, response, fault);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const store = new S3Store(
    { kind: 's3', bucket, prefix: 'p/', endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1' },
    { ...options, limits: { pauseMs: 10, ...options.limits } },
  );
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await store.close();
    server.closeAllConnections();
    server.close();
  });
  return { store, objects, uploads, lines, state, server, port };
}

function readRequest(request: IncomingMessage): S3Request {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://s3');
  const [, , ...rest] = decodeURIComponent(pathname).split('/');
  const key = rest.join('/');
  const method = request.method ?? '';
  const isList = method === 'GET' && key === '' && query.has('list-type');
  const sub = ['uploads', 'partNumber', 'uploadId'].filter((name) => query.has(name)).join('&');
  const line = isList ? `LIST ${query.get('prefix')}` : `${method} ${key}${sub && `?${sub}`}`;
  return { method, key, query, headers: request.headers, line };
}

interface Content {
  readonly objects: Map<string, Buffer>;
  readonly uploads: Map<string, Map<number, Buffer>>;
  readonly pageMax: number;
}

/** The server quotes what it should not, as some do. */
function refuse(response: ServerResponse, fault: Extract<Fault, { status: number }>): void {
  const body =
    'body' in fault
      ? fault.body
      : `<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>key ${secrets[0]}, ${secrets[1]}</Message>` +
        `<AWSAccessKeyId>${secrets[0]}</AWSAccessKeyId></Error>`;
  response.writeHead(fault.status, { 'content-type': 'application/xml', ...fault.headers });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

function answer(
  content: Content,
  asked: S3Request,
  body: Buffer,
  response: ServerResponse,
  fault: Exclude<Fault, 'lost' | 'silence' | { status: number }> | undefined,
): void {
  const { objects } = content;
  const { method, key, headers } = asked;
  const found = objects.get(key);
  const end = (status: number, more: Record<string, string> = {}, text = '') => {
    if (fault === 'lost answer') response.socket?.destroy();
    else response.writeHead(status, { 'content-length': text.length, ...more }).end(text);
  };
  const fail = (status: number, code: string) => refuse(response, { status, code });
  const special = specialAnswer(content, asked, body);
  if (special !== undefined) {
    if (special.code !== undefined) fail(special.status, special.code);
    else end(special.status, { etag: '"tag"', 'content-type': 'application/xml' }, special.text ?? '');
  } else if (method === 'PUT') {
    const isRefused = headers['if-none-match'] === '*' && found !== undefined;
    if (!isRefused) objects.set(key, body);
    if (isRefused) fail(412, 'PreconditionFailed');
    else end(200, { etag: '"tag"' });
  } else if (method === 'DELETE') {
    objects.delete(key);
    end(204);
  } else if (method === 'HEAD') {
    const length = { 'content-length': String(found?.length ?? 0), 'last-modified': new Date().toUTCString() };
    if (key === '') end(200);
    else if (found === undefined) fail(404, '');
    else response.writeHead(200, length).end();
  } else if (found === undefined) fail(404, 'NoSuchKey');
  else sendObject(response, found, headers.range, fault);
}

/** Listings and uploads in parts. */
function specialAnswer(
  { objects, uploads, pageMax }: Content,
  { method, key, query }: S3Request,
  body: Buffer,
): { status: number; text?: string; code?: string } | undefined {
  const id = query.get('uploadId') ?? '';
  const upload = uploads.get(id);
  if (method === 'GET' && query.has('list-type')) return { status: 200, text: listing(objects, query, pageMax) };
  if (method === 'POST' && query.has('uploads')) {
    const name = `upload-${uploads.size + 1}`;
    uploads.set(name, new Map());
    return {
      status: 200,
      text: `<InitiateMultipartUploadResult><UploadId>${name}</UploadId></InitiateMultipartUploadResult>`,
    };
  }
  if (id === '') return undefined;
  if (upload === undefined) return { status: 404, code: 'NoSuchUpload' };
  if (method === 'PUT') upload.set(Number(query.get('partNumber')), body);
  else {
    uploads.delete(id);
    const parts = [...upload].sort(([a], [b]) => a - b).map(([, part]) => part);
    if (method === 'POST') objects.set(key, Buffer.concat(parts));
  }
  const text =
    method === 'POST' ? '<CompleteMultipartUploadResult><ETag>"tag"</ETag></CompleteMultipartUploadResult>' : '';
  return { status: method === 'DELETE' ? 204 : 200, text };
}

function listing(objects: Map<string, Buffer>, query: URLSearchParams, pageMax: number): string {
  const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
  const prefix = query.get('prefix') ?? '';
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, Math.min(pageMax, Number(query.get('max-keys') ?? 1000)));
  const isTruncated = page.length < keys.length;
  const contents = page.map(
    (key) =>
      `<Contents><Key>${encodeURIComponent(key)}</Key><Size>${objects.get(key)?.length}</Size>` +
      '<LastModified>2030-01-01T00:00:00.000Z</LastModified></Contents>',
  );
  const next = isTruncated ? `<NextContinuationToken>${page.at(-1) ?? after}</NextContinuationToken>` : '';
  return `<?xml version="1.0"?><ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`;
}

function sendObject(
  response: ServerResponse,
  whole: Buffer,
  range: string | undefined,
  fault: Exclude<Fault, 'lost' | 'silence' | { status: number }> | undefined,
): void {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? [];
  const isPart = range !== undefined && fault !== 'no ranges';
  const start = from === '' ? Math.max(0, whole.length - Number(to)) : Number(from);
  const part = isPart ? whole.subarray(start, from === '' || to === '' ? undefined : Number(to) + 1) : whole;
  const headers: Record<string, string> = { 'content-length': String(part.length) };
  if (isPart) headers['content-range'] = `bytes ${start}-${start + part.length - 1}/${whole.length}`;
  if (isPart && part.length === 0) refuse(response, { status: 416, code: 'InvalidRange' });
  else if (fault === 'no length') response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(part);
  else if (typeof fault !== 'object') response.writeHead(isPart ? 206 : 200, headers).end(part);
  else {
    response.writeHead(200, headers);
    if ('cutAt' in fault) response.write(part.subarray(0, fault.cutAt), () => response.socket?.destroySoon());
    else if ('stopAt' in fault) response.write(part.subarray(0, fault.stopAt));
    else trickle(response, part, fault.trickleMs);
  }
}

function trickle(response: ServerResponse, bytes: Buffer, everyMs: number): void {
  let at = 0;
  const timer = setInterval(() => response.write(bytes.subarray(at, ++at)), everyMs);
  response.once('close', () => clearInterval(timer));
}
