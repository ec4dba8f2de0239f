// The processes of a one-machine service: a private Redis and one process per role, brought up together, kept running, and
// brought down in the order in which they need each other. Each leads its own process group, so that a Ctrl-C at the terminal
// reaches this process alone, and has a channel to it, so that it drains when this process is gone.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../config/settings.ts';
import { type NotedProcess, processIdentity } from '../tools/process-lock.mjs';
import { type Death, KeptProcess } from './kept-process.ts';
import { type PrivateRedis, privateRedis } from './private-redis.ts';
import { eachLine, LogFile, Troubles } from './role-log.ts';
import { isRoleMessage, type RoleMessage } from './role-message.ts';

const roles = ['api', 'scheduler', 'worker'] as const;
type RoleName = (typeof roles)[number];

const upMsMax = 60_000;
/** Past its own limit a role gets this long to say goodbye before it is killed. */
const graceMs = 1000;
const lastMessageMs = 50;

export interface SupervisorOptions {
  readonly environment: Environment;
  /** Undefined: a private Redis is started. */
  readonly redisUrl: string | undefined;
  readonly logsFolder: string;
  readonly drainMs: number;
  /** A line for the person at the terminal. */
  readonly say: (line: string) => void;
  /** Told whenever the set of processes changes, so that a successor can clean up after a kill -9. */
  readonly onProcesses: (processes: NotedProcess[], redisFolder: string | undefined) => void;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #kept = new Map<string, KeptProcess>();
  readonly #logs = new Map<string, LogFile>();
  readonly #failed = new AbortController();
  #environment: Environment;
  #redis: PrivateRedis | undefined;
  #isUp = false;
  #address: string | undefined;
  #onAddress: ((address: string) => void) | undefined;
  #failure: string | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#environment = options.environment;
  }

  /** Starts everything; gives the address when the api answers there. @throws Error when something ends instead, or the signal's reason. */
  async up(signal: AbortSignal): Promise<string> {
    const either = AbortSignal.any([signal, this.#failed.signal]);
    const address = new Promise<string>((resolve, reject) => {
      this.#onAddress = resolve;
      const overdue = setTimeout(
        () => reject(new Error(`The api is not ready after ${upMsMax / 1000} s; its log says why.`)),
        upMsMax,
      );
      overdue.unref();
      either.addEventListener('abort', () => reject(either.reason), { once: true });
    });
    // Whoever fails first has rejected it; nobody may be waiting yet.
    address.catch(() => undefined);
    if (this.#options.redisUrl === undefined) await this.#startRedis(either);
    either.throwIfAborted();
    for (const role of roles) this.#start(role, () => this.#spawnRole(role), true);
    this.#address = await address;
    this.#isUp = true;
    return this.#address;
  }

  /** Ends everything: the api first, then those who work for it, Redis last. What does not end within the drain is killed. */
  async down(): Promise<void> {
    const deadline = performance.now() + this.#options.drainMs + graceMs;
    const stop = (name: string) => this.#kept.get(name)?.stop(Math.max(2 * graceMs, deadline - performance.now()));
    await stop('api');
    await Promise.all([stop('worker'), stop('scheduler')]);
    await stop('redis');
    this.#redis?.remove();
    for (const log of this.#logs.values()) log.close();
  }

  async #startRedis(signal: AbortSignal): Promise<void> {
    const redis = privateRedis(this.#environment);
    this.#redis = redis;
    this.#environment = { ...this.#environment, EVOKE_REDIS_URL: redis.url };
    this.#start('redis', () => redis.spawn(), false);
    await redis.ready(signal);
  }

  #start(name: string, spawnIt: () => ChildProcess, showTroubles: boolean): void {
    const log = new LogFile(join(this.#options.logsFolder, `${name}.log`));
    const troubles = new Troubles((line) => this.#options.say(`${name}: ${line}`));
    this.#logs.set(name, log);
    const kept = new KeptProcess({
      name,
      spawn: () => {
        const child = spawnIt();
        for (const stream of [child.stdout, child.stderr]) {
          eachLine(stream, (line) => {
            log.write(line);
            // While it comes up, what ends it is said once, by whoever started it.
            if (showTroubles && this.#isUp) troubles.see(line);
          });
        }
        child.once('spawn', () => this.#noteProcesses());
        return child;
      },
      mayRestart: () => this.#isUp,
      onDeath: (death) => this.#onDeath(death),
    });
    this.#kept.set(name, kept);
    kept.start();
  }

  #spawnRole(role: RoleName): ChildProcess {
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    // An api that comes back is found where it was, also when the system chose the port.
    const port =
      role === 'api' && this.#address !== undefined ? { EVOKE_PORT: new URL(this.#address).port || '80' } : {};
    const child = spawn(process.execPath, [main, role], {
      detached: true,
      env: { ...this.#environment, ...port },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    child.on('message', (message) => {
      if (isRoleMessage(message)) this.#hear(role, message);
    });
    // A channel that breaks shows in the end of the process.
    child.on('error', () => undefined);
    return child;
  }

  #hear(role: RoleName, message: RoleMessage): void {
    if ('ready' in message && role === 'api') this.#onAddress?.(message.ready.address);
    if ('failed' in message) this.#failure = message.failed.message;
  }

  #onDeath(death: Death): void {
    const { name, pid, how, pauseMs } = death;
    this.#noteProcesses();
    if (pauseMs !== undefined) {
      this.#options.say(`${name} (pid ${pid}) ${how}; starting it again in ${pauseMs / 1000} s.`);
      return;
    }
    // Its last message may be behind its end.
    setTimeout(() => {
      const reason = this.#failure ?? `${name} ${how} before the service was up; ${name}.log says why.`;
      this.#failed.abort(new Error(reason));
    }, lastMessageMs);
  }

  #noteProcesses(): void {
    const processes: NotedProcess[] = [];
    for (const { pid } of this.#kept.values()) {
      const started = pid === undefined ? undefined : processIdentity(pid);
      if (pid !== undefined && started !== undefined) processes.push({ pid, started });
    }
    this.#options.onProcesses(processes, this.#redis?.folder);
  }
}
