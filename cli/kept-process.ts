// One process that is kept running: when it ends by itself it is started again, after pauses that grow while it keeps dying.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { pause } from '../core/clock.ts';

export interface RestartPolicy {
  readonly firstPauseMs: number;
  readonly pauseMsMax: number;
  /** Who has run this long is healthy: the next pause is the first again. */
  readonly healthyMs: number;
}

export const restartPolicy: RestartPolicy = { firstPauseMs: 500, pauseMsMax: 30_000, healthyMs: 60_000 };

/** A death that was not asked for. */
export interface Death {
  readonly name: string;
  readonly pid: number | undefined;
  /** `was killed by SIGKILL`, `ended with 1` */
  readonly how: string;
  /** Before it is started again; undefined when it is not. */
  readonly pauseMs: number | undefined;
}

export interface KeptOptions {
  readonly name: string;
  readonly spawn: () => ChildProcess;
  /** Whether a death now is followed by another start: not while the service comes up. */
  readonly mayRestart: () => boolean;
  readonly onDeath: (death: Death) => void;
  readonly policy?: RestartPolicy;
}

export class KeptProcess {
  readonly name: string;
  readonly #options: KeptOptions;
  readonly #policy: RestartPolicy;
  readonly #stop = new AbortController();
  #child: ChildProcess | undefined;
  #deaths = 0;

  constructor(options: KeptOptions) {
    this.name = options.name;
    this.#options = options;
    this.#policy = options.policy ?? restartPolicy;
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const child = this.#options.spawn();
    const startedAt = performance.now();
    this.#child = child;
    let ended = false;
    const onEnd = (how: string) => {
      if (ended) return;
      ended = true;
      this.#child = undefined;
      if (!this.#stop.signal.aborted) this.#died(child.pid, how, performance.now() - startedAt);
    };
    child.on('exit', (code, signal) => onEnd(signal === null ? `ended with ${code}` : `was killed by ${signal}`));
    child.on('error', (error) => {
      if (child.pid === undefined) onEnd(`could not be started (${error.message})`);
    });
  }

  /** Asks it to end, and kills it with everything it started when it has not within the time. */
  async stop(graceMs: number): Promise<void> {
    this.#stop.abort();
    const child = this.#child;
    if (child === undefined) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const overdue = setTimeout(() => killGroup(child.pid), graceMs);
    await gone;
    clearTimeout(overdue);
  }

  #died(pid: number | undefined, how: string, ranMs: number): void {
    const { firstPauseMs, pauseMsMax, healthyMs } = this.#policy;
    if (ranMs >= healthyMs) this.#deaths = 0;
    const pauseMs = this.#options.mayRestart() ? Math.min(pauseMsMax, firstPauseMs * 2 ** this.#deaths) : undefined;
    this.#deaths++;
    this.#options.onDeath({ name: this.name, pid, how, pauseMs });
    if (pauseMs === undefined) return;
    pause(pauseMs, this.#stop.signal).then(
      () => this.start(),
      // Stopped meanwhile.
      () => undefined,
    );
  }
}

/** Ends a process that leads its own group, and the group with it. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
