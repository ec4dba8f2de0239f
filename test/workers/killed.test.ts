// Worker processes that are killed: real processes, killed with SIGKILL in the middle of a chunk.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { verifyChunk } from '../../formats/chunk-file.ts';
import { Processes } from '../../queue/processes.ts';
import { Chunks } from '../../store/chunks.ts';
import { FsStore } from '../../store/fs-store.ts';
import { Line, prefix } from '../fixtures/line.ts';
import { anOrder } from '../fixtures/orders.ts';
import type { TestOfItsOwn } from '../temp.ts';

const script = fileURLToPath(new URL('../fixtures/worker.ts', import.meta.url));

interface Workers {
  readonly line: Line;
  readonly chunks: Chunks;
  /** A process that is at work when this resolves. */
  start(): Promise<ChildProcess>;
  environment(): Readonly<Record<string, string>>;
  /** Counters of the living, by pid. */
  living(): Promise<Map<number, Readonly<Record<string, unknown>>>>;
}

async function workersOn(context: TestOfItsOwn): Promise<Workers> {
  const line = await Line.start(context);
  const dataDir = await mkdtemp(join(tmpdir(), 'evoke-'));
  const children: ChildProcess[] = [];
  const processes = new Processes({ url: line.redis.url, prefix });
  context.onTestFinished(async () => {
    for (const child of children) await kill(child);
    await processes.leave();
    await rm(dataDir, { recursive: true, force: true });
  });
  const environment = () => ({
    PATH: process.env['PATH'] ?? '',
    EVOKE_DATA_DIR: dataDir,
    EVOKE_REDIS_URL: line.redis.url,
    EVOKE_REDIS_PREFIX: prefix,
    EVOKE_WORKER_THREADS: '1',
    EVOKE_CAPACITY_BYTES: '1073741824',
    EVOKE_LOG_LEVEL: 'error',
  });
  return {
    line,
    chunks: new Chunks(new FsStore(join(dataDir, 'store'))),
    environment,
    start: async () => {
      const child = spawn(process.execPath, [script], {
        env: environment(),
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      children.push(child);
      // At work, or killed already by what it found to do.
      await Promise.race([once(child, 'message'), once(child, 'exit')]);
      return child;
    },
    living: async () => new Map((await processes.list()).map((one) => [one.pid, one])),
  };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await ended(child);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** Takes a second and a half, batch by batch. */
const aWhile = () => anOrder('slow', { parameters: { batchMs: 100 }, batches: 15 });

test.concurrent('the chunk of a killed worker is made by its peer within seconds, and nothing is counted as a failure', async (context) => {
  const { line, chunks, start } = await workersOn(context);
  const first = await start();
  const order = aWhile();
  const outcome = line.outcome(order.key);
  const { jobId } = await line.queue.add(order, 'interactive');
  await context.expect.poll(() => line.queue.fate(jobId), { interval: 20 }).toEqual({ state: 'generating' });
  await start();
  const begun = performance.now();
  await kill(first);
  expect(await outcome).toMatchObject({ key: order.key, generated: true });
  // Two and a half seconds to notice, one and a half to make it again.
  expect(performance.now() - begun).toBeLessThan(5_000);
  await verifyChunk(order.key, (await chunks.get(order.chunk)) ?? Buffer.alloc(0));
});

test.concurrent('the chunk of the only worker is made when it is started again', async (context) => {
  const { line, start } = await workersOn(context);
  const only = await start();
  const order = aWhile();
  const outcome = line.outcome(order.key);
  const { jobId } = await line.queue.add(order, 'interactive');
  await context.expect.poll(() => line.queue.fate(jobId), { interval: 20 }).toEqual({ state: 'generating' });
  await kill(only);
  await start();
  const begun = performance.now();
  expect(await outcome).toMatchObject({ generated: true });
  expect(performance.now() - begun).toBeLessThan(5_000);
});

test.concurrent('a chunk that kills its workers does not take the other chunks along', async (context) => {
  const { line, chunks, start } = await workersOn(context);
  const first = await start();
  const died = once(first, 'exit');
  await line.queue.add(anOrder('lethal'), 'interactive');
  await died;
  const order = anOrder('quick');
  const outcome = line.outcome(order.key);
  await line.queue.add(order, 'interactive');
  // As a supervisor would: whoever dies is replaced. At worst that is ten times, when the chunk is given up.
  let made: unknown;
  while (made === undefined && !context.signal.aborted) {
    const next = await start();
    made = await Promise.race([outcome, ended(next)]);
  }
  // A worker may have stored it and been killed before it could say so: then the next one found it stored.
  expect(made).toMatchObject({ key: order.key, bytes: expect.any(Number), generated: expect.any(Boolean) });
  await verifyChunk(order.key, (await chunks.get(order.chunk)) ?? Buffer.alloc(0));
}, 100_000);

test.concurrent('a worker that is told to end finishes, says goodbye and leaves nothing behind', async (context) => {
  const { line, start, living } = await workersOn(context);
  const worker = await start();
  const order = anOrder('slow', { parameters: { batchMs: 100 }, batches: 25 });
  const outcome = line.outcome(order.key);
  await line.queue.add(order, 'interactive');
  // The queue says "generating" a moment before the worker knows: its heartbeat tells when it has begun.
  await context.expect
    .poll(async () => (await living()).get(worker.pid ?? 0), { interval: 20 })
    .toMatchObject({ busy: 1, threads: 1 });
  const exit = once(worker, 'exit');
  worker.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  expect(await outcome).toMatchObject({ generated: true });
  expect(await living()).toEqual(new Map());
});

test.concurrent('a worker on another store than its peers ends with an error that names both', async (context) => {
  const { start, environment } = await workersOn(context);
  await start();
  const elsewhere = await mkdtemp(join(tmpdir(), 'evoke-'));
  context.onTestFinished(() => rm(elsewhere, { recursive: true, force: true }));
  const stranger = spawn(process.execPath, [script], {
    env: { ...environment(), EVOKE_DATA_DIR: elsewhere },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  stranger.stderr.on('data', (text) => {
    said += String(text);
  });
  expect((await once(stranger, 'exit'))[0]).toBe(1);
  expect(said).toMatch(/PEERS_DISAGREE/);
});
