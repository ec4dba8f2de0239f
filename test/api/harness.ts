// A listening api on real parts: a store in a temporary folder, a Redis of its own, and a worker in this process. Every
// answer that `call` gets is held against /openapi.json.
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type RunningApi, startApi } from '../../api/main.ts';
import { openapi } from '../../api/openapi.ts';
import { routes } from '../../api/routes.ts';
import { readConfig } from '../../config/settings.ts';
import { systemClock } from '../../core/clock.ts';
import { Catalog } from '../../store/catalog.ts';
import { Chunks } from '../../store/chunks.ts';
import { FsStore } from '../../store/fs-store.ts';
import { verifying } from '../../store/verifying.ts';
import { type RunningWorker, startWorker } from '../../workers/main.ts';
import { ampleRoom, keepingLog } from '../fixtures/line.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { builtInGenerators, generatorsUrl } from './generators.ts';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
  text(): string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says itself what it expects of a body
  json(): any;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export class TestService {
  readonly redis: TestRedis;
  readonly api: RunningApi;
  readonly dataDir: string;
  readonly log: ReturnType<typeof keepingLog>;
  readonly worker: RunningWorker | undefined;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    parts: Pick<TestService, 'redis' | 'api' | 'dataDir' | 'log' | 'worker'>,
    env: Record<string, string>,
  ) {
    this.redis = parts.redis;
    this.api = parts.api;
    this.dataDir = parts.dataDir;
    this.log = parts.log;
    this.worker = parts.worker;
    this.#env = env;
  }

  static async start(options: { env?: Record<string, string>; worker?: boolean } = {}): Promise<TestService> {
    const redis = await startRedis();
    const dataDir = await mkdtemp(join(tmpdir(), 'evoke-'));
    const log = keepingLog();
    const env = { EVOKE_DATA_DIR: dataDir, EVOKE_REDIS_URL: redis.url, EVOKE_PORT: '0', ...options.env };
    const api = await startApi(readConfig(env), builtInGenerators, log);
    const store = verifying(new FsStore(join(dataDir, 'store')));
    const worker =
      options.worker === false
        ? undefined
        : await startWorker({
            redisUrl: redis.url,
            redisPrefix: 'evoke',
            threads: 1,
            attempts: 1,
            registry: builtInGenerators,
            generators: generatorsUrl,
            chunks: new Chunks(store),
            room: ampleRoom,
            code: '0.0.0',
            storeId: await new Catalog(store, systemClock).identity(),
            log,
          });
    return new TestService({ redis, api, dataDir, log, worker }, env);
  }

  get url(): string {
    return this.api.url;
  }

  /** Another api on the same folder and Redis. */
  anotherApi(env: Record<string, string> = {}): Promise<RunningApi> {
    return startApi(readConfig({ ...this.#env, ...env }), builtInGenerators, this.log);
  }

  async stop(): Promise<void> {
    this.redis.thaw();
    await Promise.all([this.api.stop(0), this.worker?.stop(0)]);
    await this.redis.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** Sends a request whose target arrives exactly as it is given, and holds the answer against the contract. */
  async call(target: string, options: Call = {}): Promise<Reply> {
    const reply = await send(this.url, target, options);
    checkAgainstContract(target, options.method ?? 'GET', reply);
    return reply;
  }

  async put(target: string, body?: unknown): Promise<Reply> {
    if (body === undefined) return this.call(target, { method: 'PUT' });
    return this.call(target, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  /** Declares `test:<name>` and gives its path. */
  async declare(name: string, definition: object): Promise<string> {
    const path = `/v1/datasets/test/${name}`;
    const reply = await this.put(path, { seed: 1, ...definition });
    expect(reply.status, reply.text()).toBe(201);
    return path;
  }
}

export function send(url: string, target: string, { method = 'GET', headers = {}, body }: Call = {}): Promise<Reply> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path: target, method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const whole = Buffer.concat(parts);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          trailers: response.trailers,
          body: whole,
          text: () => whole.toString('utf8'),
          json: () => JSON.parse(whole.toString('utf8')),
        });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a document is looked at by path
const contract = openapi(routes, '0.0.0') as any;
const ofTheProtocol = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-type']);

function checkAgainstContract(target: string, method: string, reply: Reply): void {
  expect(reply.headers['request-id']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(reply.headers['cache-control']).toBeDefined();
  if (reply.status >= 400) {
    expect(reply.headers['cache-control']).toBe('no-store');
    if (method !== 'HEAD' && reply.headers['content-type'] === 'application/problem+json') {
      const problem = reply.json();
      expect(problem).toMatchObject({ status: reply.status, requestId: reply.headers['request-id'] });
      for (const member of ['type', 'title', 'detail', 'code']) expect(typeof problem[member]).toBe('string');
    }
  }
  if (method === 'HEAD') expect(reply.body.length).toBe(0);
  const path = pathOf(target.split('?')[0] ?? '');
  if (path === undefined || reply.status === 405) return;
  const documented = contract.paths[path][method.toLowerCase()]?.responses[String(reply.status)];
  expect(documented, `${method} ${path} ${reply.status} ${reply.text()}`).toBeDefined();
  const known = new Set(Object.keys(documented.headers).map((name) => name.toLowerCase()));
  for (const name of Object.keys(reply.headers)) {
    if (!ofTheProtocol.has(name)) expect(known, `${method} ${path} ${reply.status}`).toContain(name);
  }
  const type = reply.headers['content-type']?.split(';')[0];
  if (type !== undefined && method !== 'HEAD') expect(Object.keys(documented.content)).toContain(type);
  if (type === 'application/problem+json' && method !== 'HEAD')
    expect(documented['x-codes']).toContain(reply.json().code);
}

/** The documented path that a target belongs to, if any. */
function pathOf(target: string): string | undefined {
  return Object.keys(contract.paths).find((path) =>
    new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(target),
  );
}

export function lines(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
}
