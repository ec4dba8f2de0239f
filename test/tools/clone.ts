// A make-believe clone of the project for the launchers: their real files, a lock of two packages, a command line that only
// says what it was given, and an npm, an apt-get and a PATH that record how they are called.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../temp.ts';

const tools = fileURLToPath(new URL('../../tools/', import.meta.url));
export const platformPackage = `node-${process.platform}-${process.arch}`;

export interface NpmCall {
  readonly args: string[];
  readonly cwd: string;
  readonly node: string;
  readonly packageJson: { dependencies?: Record<string, string> };
  readonly lock: { packages: Record<string, { integrity?: string; optional?: boolean }> };
}

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  /** Pretend to be run by Node 20. */
  readonly old?: boolean;
  /** Pretend not to be root. */
  readonly user?: boolean;
  readonly cwd?: string;
}

/** What npm does here: it notes the call and, as the real one, replaces node_modules; `npm-fails` in the clone makes it fail. */
const npm = `
const { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } = require('node:fs');
const { join } = require('node:path');
const read = (file) => JSON.parse(readFileSync(join(process.cwd(), file), 'utf8'));
appendFileSync(process.env.FAKE_LOG, JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), node: process.execPath,
  packageJson: read('package.json'), lock: read('package-lock.json') }) + '\\n');
if (existsSync('npm-fails')) { console.error('npm error network ENOTFOUND registry'); process.exit(7); }
rmSync('node_modules', { recursive: true, force: true });
const bin = join('node_modules', '${platformPackage}', 'bin');
mkdirSync(bin, { recursive: true });
symlinkSync(process.env.REAL_NODE, join(bin, 'node'));
`;

/** Says what it was given; \`wait\` stays until told to end, noting how. */
const commandLine = `
import { appendFileSync } from 'node:fs';
const [first, ...rest] = process.argv.slice(2);
if (first === 'exit') process.exitCode = Number(rest[0]);
if (first === 'wait') {
  const end = (how: string) => { appendFileSync(rest[0] as string, how + '\\n'); process.exit(0); };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end(signal));
  process.on('disconnect', () => end('disconnect'));
  setInterval(() => undefined, 1000);
}
console.log(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), channel: process.connected === true }));
`;

const pretend = `
if (process.env.PRETEND_OLD) Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });
if (process.env.PRETEND_USER) process.getuid = () => 1000;
`;

export class Clone {
  readonly root: string;
  readonly bin: string;
  readonly #outside: string;

  private constructor(root: string, outside: string) {
    this.root = root;
    this.#outside = outside;
    this.bin = join(outside, 'bin');
  }

  static async make(): Promise<Clone> {
    const clone = new Clone(await temporaryFolder(), await temporaryFolder());
    await mkdir(join(clone.root, 'tools'));
    await mkdir(join(clone.root, 'cli'));
    for (const file of await readdir(tools)) await copyFile(join(tools, file), join(clone.root, 'tools', file));
    await writeFile(join(clone.root, 'cli/main.ts'), commandLine);
    await writeFile(join(clone.root, 'package.json'), JSON.stringify({ name: 'evoke', type: 'module' }));
    await clone.writeLock('24.21.0');
    await mkdir(join(clone.#outside, 'npm'));
    await writeFile(join(clone.#outside, 'npm', 'npm-cli.js'), npm);
    await mkdir(clone.bin);
    await mkdir(clone.temporary);
    await clone.#executable('npm/npm-cli.js');
    await symlink('../npm/npm-cli.js', join(clone.bin, 'npm'));
    await writeFile(join(clone.#outside, 'pretend.cjs'), pretend);
    return clone;
  }

  /** The TMPDIR of what runs here. */
  get temporary(): string {
    return join(this.#outside, 'tmp');
  }

  async writeLock(version: string): Promise<void> {
    const node = { version, integrity: 'sha512-right', optional: true, os: process.platform, cpu: process.arch };
    const packages = {
      '': {},
      'node_modules/left-pad': { version: '1.0.0' },
      [`node_modules/${platformPackage}`]: node,
    };
    await writeFile(join(this.root, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, packages }));
  }

  /** Puts a command on the PATH: the body of a Node script. */
  async command(name: string, script: string): Promise<void> {
    await writeFile(join(this.bin, name), `#!${process.execPath}\n${script}`);
    await chmod(join(this.bin, name), 0o755);
  }

  start(launcher: string, args: readonly string[], { env = {}, old, user, cwd }: RunOptions = {}): ChildProcess {
    return spawn(
      process.execPath,
      ['-r', join(this.#outside, 'pretend.cjs'), join(this.root, 'tools', launcher), ...args],
      {
        cwd: cwd ?? this.root,
        env: {
          PATH: this.bin,
          TMPDIR: this.temporary,
          FAKE_LOG: join(this.#outside, 'npm.log'),
          REAL_NODE: process.execPath,
          ...(old ? { PRETEND_OLD: '1' } : {}),
          ...(user ? { PRETEND_USER: '1' } : {}),
          ...env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
  }

  run(launcher: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return outcome(this.start(launcher, args, options));
  }

  async npmCalls(): Promise<NpmCall[]> {
    const file = join(this.#outside, 'npm.log');
    if (!existsSync(file)) return [];
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    return lines.map((line) => JSON.parse(line) as NpmCall);
  }

  async #executable(file: string): Promise<void> {
    const path = join(this.#outside, file);
    await writeFile(path, `#!${process.execPath}\n${await readFile(path, 'utf8')}`);
    await chmod(path, 0o755);
  }
}

export function outcome(child: ChildProcess): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  return new Promise((done) => child.on('close', (code, signal) => done({ code, signal, stdout, stderr })));
}
