// A service of real processes for the tests that kill, freeze and flush: one Redis, any number of apis and workers,
// each process a child that the test can reach.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startRedis } from './redis.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

type Redis = Awaited<ReturnType<typeof startRedis>>;

export interface Role {
  readonly role: string;
  readonly process: ChildProcess;
  /** Everything it wrote so far. */
  readonly output: () => string;
  /** Sends the signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

export interface Api extends Role {
  readonly url: string;
}

export interface ServiceOptions {
  readonly apis?: number;
  readonly workers?: number;
  readonly schedulers?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the command of a role: `['taskset', '-c', '0']`. */
  readonly prefix?: (role: string) => readonly string[];
  /** The script that runs a role, when a test brings fixture generators; the command line otherwise. */
  readonly entry?: (role: string) => readonly string[];
}

export class Service {
  readonly redis: Redis;
  readonly dataDir: string;
  readonly apis: Api[] = [];
  readonly roles: Role[] = [];
  readonly #options: ServiceOptions;

  private constructor(redis: Redis, dataDir: string, options: ServiceOptions) {
    this.redis = redis;
    this.dataDir = dataDir;
    this.#options = options;
  }

  static async start(options: ServiceOptions = {}): Promise<Service> {
    const service = new Service(await startRedis(), await mkdtemp(join(tmpdir(), 'evoke-')), options);
    try {
      for (let i = 0; i < (options.schedulers ?? 0); i++) service.startRole('scheduler');
      for (let i = 0; i < (options.workers ?? 1); i++) service.startRole('worker');
      await Promise.all(Array.from({ length: options.apis ?? 1 }, () => service.startApi()));
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  get url(): string {
    const api = this.apis[0];
    if (api === undefined) throw new Error('this service has no api');
    return api.url;
  }

  startRole(role: string, env: Readonly<Record<string, string>> = {}): Role {
    const entry = this.#options.entry?.(role) ?? [join(root, 'cli/main.ts'), role];
    const [command = '', ...args] = [...(this.#options.prefix?.(role) ?? []), process.execPath, ...entry];
    const child = spawn(command, args, {
      cwd: root,
      env: {
        PATH: process.env['PATH'] ?? '',
        EVOKE_DATA_DIR: this.dataDir,
        EVOKE_REDIS_URL: this.redis.url,
        EVOKE_PORT: '0',
        EVOKE_WORKER_THREADS: '2',
        EVOKE_CAPACITY_BYTES: String(4 * 1024 ** 3),
        ...this.#options.env,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const said: string[] = [];
    child.stdout?.on('data', (text) => said.push(String(text)));
    child.stderr?.on('data', (text) => said.push(String(text)));
    const started: Role = {
      role,
      process: child,
      output: () => said.join(''),
      end: async (signal = 'SIGTERM') => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill(signal);
        await ended;
      },
    };
    this.roles.push(started);
    return started;
  }

  async startApi(env: Readonly<Record<string, string>> = {}): Promise<Api> {
    const role = this.startRole('api', env);
    const url = await new Promise<string>((resolve, reject) => {
      role.process.on('message', (message: { ready?: { address: string } }) => {
        if (message.ready !== undefined) resolve(message.ready.address);
      });
      role.process.once('exit', (code) => reject(new Error(`the api ended with ${code}: ${role.output()}`)));
    });
    const api = { ...role, url };
    this.apis.push(api);
    return api;
  }

  async stop(): Promise<void> {
    await Promise.all(this.roles.map((role) => role.end('SIGKILL')));
    await this.redis.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** Declares a dataset and gives what the service says of it. */
export async function declare(url: string, name: string, definition: object): Promise<DatasetShown> {
  const [scope, dataset] = name.split(':');
  const response = await fetch(`${url}/v1/datasets/${scope}/${dataset}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(definition),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as DatasetShown;
}

export interface DatasetShown {
  readonly scope: string;
  readonly name: string;
  readonly derivation: string;
  readonly events: number;
  readonly chunkEvents: number;
  readonly batchEvents: number;
  readonly chunks: number;
  readonly materializedChunks: number;
  readonly materializedBytes: number;
}

/** The URL of an event range, `demo:zmumu` and `1-1000`. */
export function eventsUrl(url: string, name: string, range: string, query = ''): string {
  const [scope, dataset] = name.split(':');
  return `${url}/v1/datasets/${scope}/${dataset}/events/${range}${query}`;
}
