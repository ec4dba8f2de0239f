// The promise to a newcomer: a fresh clone, two commands, and the printed lines work when pasted.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { temporaryFolder } from '../temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const command = promisify(execFile);

/** What a newcomer's shell has: nothing of the npm that runs this test, and not the Node of this checkout. */
function newcomer(more: Record<string, string> = {}): Record<string, string> {
  const mine = Object.entries(process.env).filter(([name]) => !/^(npm_|EVOKE_|NODE|VITEST|INIT_CWD)/.test(name));
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return { ...(Object.fromEntries(mine) as Record<string, string>), PATH: path.join(delimiter), ...more };
}

async function clone(): Promise<string> {
  const folder = join(await temporaryFolder(), 'evoke');
  await command('git', ['clone', '--quiet', root, folder]);
  return folder;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** npm start, as at a terminal: in a process group of its own. */
function npmStart(folder: string, env: Record<string, string>) {
  const child: ChildProcess = spawn('npm', ['start'], {
    cwd: folder,
    env: newcomer(env),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(async () => {
    for (const pid of await processesIn(folder)) process.kill(pid, 'SIGKILL');
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
  }
  return {
    said: () => said,
    up: () =>
      eventually(
        () => {
          if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}: ${said}`);
          expect(said).toContain('Ctrl-C stops it');
        },
        { timeout: 240_000, interval: 250 },
      ),
    ctrlC: async () => {
      const ended = once(child, 'exit');
      process.kill(-(child.pid ?? 0), 'SIGINT');
      await ended;
    },
  };
}

/** Everything that runs in the clone, by its current folder. */
async function processesIn(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (cwd.startsWith(folder)) found.push(pid);
  }
  return found;
}

test('from a fresh clone, npm start comes up, its lines work when pasted, Ctrl-C leaves nothing, and the next start finds the data', async () => {
  const folder = await clone();
  const port = await freePort();
  const service = npmStart(folder, { EVOKE_PORT: String(port) });
  await service.up();
  expect(service.said()).toContain(`Evoke is ready at http://127.0.0.1:${port}`);

  const paste = (line: string) =>
    command('bash', ['--norc', '-c', line], { cwd: folder, env: newcomer(), maxBuffer: 1e8 });
  const curl = /^\s*(curl .*)$/m.exec(service.said())?.[1] ?? '';
  const lines = (await paste(curl)).stdout.trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).event)).toEqual([1, 2, 3]);
  const get = /^\s*(npx evoke get .*)$/m.exec(service.said())?.[1] ?? '';
  await paste(get);
  const file = await readFile(join(folder, 'zmumu.arrows'));
  expect(file.subarray(-8)).toEqual(Buffer.from([255, 255, 255, 255, 0, 0, 0, 0]));

  await service.ctrlC();
  await eventually(async () => expect(await processesIn(folder)).toEqual([]));
  const again = npmStart(folder, { EVOKE_PORT: String(port) });
  await again.up();
  expect(again.said()).not.toContain('Installing');
  const cached = await fetch(`http://127.0.0.1:${port}/v1/datasets/demo/zmumu/events/1-100000.arrows`, {
    headers: { 'cache-control': 'only-if-cached' },
  });
  expect(cached.status).toBe(200);
  expect(Buffer.from(await cached.arrayBuffer())).toEqual(file);
  await again.ctrlC();
  await eventually(async () => expect(await processesIn(folder)).toEqual([]));
});

test('npx evoke works in a fresh clone that nobody has started, and changes nothing of it', async () => {
  const folder = await clone();
  const { stdout } = await command('npx', ['evoke', '--version'], { cwd: folder, env: newcomer() });
  expect(stdout.trim()).toBe(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')).version);
  expect((await command('git', ['status', '--porcelain'], { cwd: folder })).stdout).toBe('');
});
