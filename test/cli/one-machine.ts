// evoke start as a real process, in a process group of its own like a command at a terminal.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { type NotedProcess, readOwner, stillRuns } from '../../tools/process-lock.mjs';
import { eventually } from '../eventually.ts';
import { type TestOfItsOwn, temporaryFolder } from '../temp.ts';

export const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

export interface Notes {
  readonly address: string;
  readonly processes: NotedProcess[];
  readonly redisFolder?: string;
}

export class OneMachine {
  readonly dataDir: string;
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<unknown>;

  private constructor(dataDir: string, env: Record<string, string>, test: TestOfItsOwn) {
    this.dataDir = dataDir;
    this.child = spawn(process.execPath, [main, 'start'], {
      detached: true,
      env: {
        PATH: process.env['PATH'] ?? '',
        EVOKE_DATA_DIR: dataDir,
        EVOKE_PORT: '0',
        EVOKE_WORKER_THREADS: '1',
        EVOKE_CAPACITY_BYTES: '1000000000',
        EVOKE_DRAIN_SECONDS: '1',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#ended = once(this.child, 'exit');
    this.child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
    });
    test.onTestFinished(async () => {
      for (const { pid } of this.running()) process.kill(pid, 'SIGKILL');
      this.child.kill('SIGKILL');
      await this.#ended;
    });
  }

  /** `test`: for one that runs beside others. */
  static async start({
    dataDir,
    env = {},
    test = { onTestFinished },
  }: {
    dataDir?: string;
    env?: Record<string, string>;
    test?: TestOfItsOwn;
  } = {}): Promise<OneMachine> {
    return new OneMachine(dataDir ?? (await temporaryFolder(test)), env, test);
  }

  /** Waits for the banner. */
  async up(): Promise<this> {
    await eventually(
      () => {
        if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}: ${this.stderr}`);
        if (!this.stdout.includes('Ctrl-C')) throw new Error(`not up: ${this.stdout}${this.stderr}`);
      },
      { interval: 50 },
    );
    return this;
  }

  get address(): string {
    return /ready at (\S+)/.exec(this.stdout)?.[1] ?? '';
  }

  get notes(): Partial<Notes> {
    return readOwner<Notes>(join(this.dataDir, 'service.lock')) ?? {};
  }

  /** The service's processes that run now; remembers those of before. */
  running(): NotedProcess[] {
    for (const noted of this.notes.processes ?? []) this.#known.set(noted.pid, noted);
    return [...this.#known.values()].filter(stillRuns);
  }

  readonly #known = new Map<number, NotedProcess>();

  /** The pid of a role, from the command lines of the processes; `redis` for the server. */
  async pidOf(role: string): Promise<number> {
    const { readFile } = await import('node:fs/promises');
    for (const { pid } of this.running()) {
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
      if (command.includes(role) || (role === 'redis' && command[0]?.includes('redis-server'))) return pid;
    }
    throw new Error(`no ${role} runs`);
  }

  /** As a Ctrl-C at the terminal: to everything in the group. */
  interrupt(): void {
    process.kill(-(this.child.pid ?? 0), 'SIGINT');
  }

  async ended(): Promise<number | null> {
    await this.#ended;
    return this.child.exitCode;
  }
}

/** The command line, to its end. */
export async function evoke(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [main, ...args], { env: { PATH: process.env['PATH'] ?? '', ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

/** The command line with its output piped into a shell command; the exit code and standard error are its own. */
export function evokeInto(reader: string, args: readonly string[], env: Record<string, string> = {}) {
  return evokeTo(`| ${reader}`, args, env);
}

/** The command line with its output sent where the shell is told to: `> /dev/full`. */
export async function evokeTo(where: string, args: readonly string[], env: Record<string, string> = {}) {
  const line = ['set -o pipefail;', ...[process.execPath, main, ...args].map((word) => `'${word}'`), where].join(' ');
  const child = spawn('bash', ['--norc', '-c', line], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  child.stdout.resume();
  await once(child, 'close');
  return { code: child.exitCode, stderr };
}
