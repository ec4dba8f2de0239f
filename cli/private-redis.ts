// The Redis of a one-machine service: private (a unix socket in a folder of its own), without persistence, gone with the service.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../config/settings.ts';
import { pause } from '../core/clock.ts';
import { findOnPath } from '../tools/on-path.mjs';

/** A unix socket's whole path has 108 bytes at most, in some systems 104. */
const socketPathMax = 100;
const socketName = 'redis.sock';
const readyMsMax = 10_000;

export interface PrivateRedis {
  readonly folder: string;
  readonly socket: string;
  readonly url: string;
  spawn(): ChildProcess;
  /** Resolves when it answers. @throws Error when it does not within ten seconds, or the signal's reason. */
  ready(signal: AbortSignal): Promise<void>;
  remove(): void;
}

/** @throws Error with what to type when there is no server on the PATH. */
export function privateRedis(environment: Environment): PrivateRedis {
  const path = environment['PATH'];
  const server = findOnPath('redis-server', path) ?? findOnPath('valkey-server', path);
  if (server === undefined) {
    throw new Error(
      'There is no redis-server or valkey-server on the PATH. Install one (Debian: apt-get install redis-server), or set EVOKE_REDIS_URL.',
    );
  }
  const folder = shortFolder();
  const socket = join(folder, socketName);
  const args = [
    ...['--port', '0', '--unixsocket', socket, '--unixsocketperm', '700', '--dir', folder],
    ...['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction', '--daemonize', 'no'],
  ];
  // So that not even kill -9 of this process leaves it behind.
  const setpriv = findOnPath('setpriv', path);
  const [command, before] = setpriv === undefined ? [server, []] : [setpriv, ['--pdeathsig', 'KILL', server]];
  return {
    folder,
    socket,
    url: `unix://${socket}`,
    spawn: () => spawn(command, [...before, ...args], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] }),
    ready: (signal) => answers(socket, signal),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Where the Redis in such a folder listens. */
export function redisUrlIn(folder: string | undefined): string | undefined {
  return folder === undefined ? undefined : `unix://${join(folder, socketName)}`;
}

function shortFolder(): string {
  const inTemporary = mkdtempSync(join(tmpdir(), 'evoke-'));
  if (Buffer.byteLength(join(inTemporary, socketName)) <= socketPathMax) return inTemporary;
  rmSync(inTemporary, { recursive: true });
  return mkdtempSync('/tmp/evoke-');
}

async function answers(socket: string, signal: AbortSignal): Promise<void> {
  const until = performance.now() + readyMsMax;
  while (!(await ping(socket))) {
    if (performance.now() > until) throw new Error('Redis was started and does not answer; its log says why.');
    await pause(20, signal);
  }
}

function ping(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket, () => connection.write('PING\r\n'));
    const end = (answered: boolean) => {
      connection.destroy();
      resolve(answered);
    };
    connection.setTimeout(1000, () => end(false));
    connection.on('error', () => end(false));
    connection.on('close', () => end(false));
    connection.on('data', (data) => end(data.toString().startsWith('+PONG')));
  });
}
