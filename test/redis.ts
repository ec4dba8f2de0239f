// A private Redis for one test: a unix socket in a short temporary folder, nothing kept on disk.
// It can be killed, started again on the same socket, frozen and thawed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { TestOfItsOwn } from './temp.ts';

export interface TestRedis {
  /** `unix:///tmp/…/redis.sock` */
  readonly url: string;
  readonly socket: string;
  /** Of the server that runs now. */
  readonly pid: number;
  /** Ends the server and removes its folder. */
  stop(): Promise<void>;
  /** Ends the server at once; `restart` brings an empty one back on the same socket. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** The server stays, and answers nobody. */
  freeze(): void;
  thaw(): void;
  /** Sends one command: `command('FLUSHALL')`. */
  command(name: string, ...args: string[]): Promise<unknown>;
}

/** A server for one test, gone when that ends. */
export async function redisFor(test: TestOfItsOwn): Promise<TestRedis> {
  const redis = await startRedis();
  test.onTestFinished(() => redis.stop());
  return redis;
}

export async function startRedis(): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'evoke-redis-'));
  const socket = join(folder, 'redis.sock');
  let server = await serve(folder, socket);

  const end = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  };
  return {
    url: `unix://${socket}`,
    socket,
    get pid() {
      return server.pid ?? 0;
    },
    stop: async () => {
      await end();
      await rm(folder, { recursive: true, force: true });
    },
    kill: end,
    restart: async () => {
      await end();
      server = await serve(folder, socket);
    },
    freeze: () => server.kill('SIGSTOP'),
    thaw: () => server.kill('SIGCONT'),
    command: async (name, ...args) => {
      const client = new Redis(socket, { lazyConnect: true });
      try {
        return await client.call(name, ...args);
      } finally {
        client.disconnect();
      }
    },
  };
}

/** Starts a server and waits until it accepts connections. */
async function serve(folder: string, socket: string): Promise<ChildProcess> {
  // A killed server leaves its socket file behind; the new one replaces it.
  await rm(socket, { force: true });
  const args = ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'no'];
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise<void>((resolve, reject) => {
    let said = '';
    server.stdout?.on('data', (text) => {
      said += String(text);
      if (/ready to accept connections/i.test(said)) resolve();
    });
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${said}`)));
  });
  // Nobody reads on: an unread pipe would fill and hold the server up.
  server.stdout?.resume();
  return server;
}
