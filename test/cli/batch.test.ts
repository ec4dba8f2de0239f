// The command line for batches, against a real api; the scheduler, who does the work, is played by the test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { batchLine } from '../../cli/batch-watch.ts';
import { humanSeconds } from '../../cli/output.ts';
import type { BatchProgress } from '../../core/batch.ts';
import { systemClock } from '../../core/clock.ts';
import { emptyTally } from '../../core/work-state.ts';
import { Board } from '../../queue/board.ts';
import { Batches } from '../../store/batches.ts';
import { FsStore } from '../../store/fs-store.ts';
import { Service } from '../service.ts';
import { evoke } from './one-machine.ts';

let service: Service;
let batches: Batches;
let board: Board;
beforeAll(async () => {
  service = await Service.start({ workers: 0 });
  batches = new Batches(new FsStore(join(service.dataDir, 'store')), systemClock);
  board = new Board({ url: service.redis.url, prefix: 'evoke' });
  const declared = ['--generator', 'ee_mumu', '--events', '1000', '--chunk-events', '10'];
  expect(await run(['datasets', 'declare', 'test:set', ...declared])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  board.close();
  await service.stop();
});

const run = (args: readonly string[]) => evoke([...args, '--server', service.url]);
const batch = (...args: string[]) => run(['batch', ...args]);

async function created(...args: string[]): Promise<string> {
  const { stdout, stderr } = await batch('create', 'test:set', '--json', ...args);
  expect(stderr).toBe('');
  return JSON.parse(stdout).id;
}

function progress(changes: Partial<BatchProgress>): BatchProgress {
  return { ...emptyTally, state: 'running', cursor: 0, at: new Date().toISOString(), ...changes };
}

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

/** A command that is still running. */
function begun(args: readonly string[], server = service.url) {
  const child = spawn(process.execPath, [main, 'batch', ...args, '--server', server], {
    env: { PATH: process.env['PATH'] ?? '' },
  });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said.err += text;
  });
  const ended = once(child, 'close').then(() => child.exitCode);
  return { child, said, ended };
}

test('create asks for what its options say, and says how to follow it', async () => {
  const { code, stdout } = await batch(
    'create',
    'test:set',
    '11-25',
    ...['--priority', '9', '--deadline', '2125-06-01T12:00:00Z', '--budget-cpu-seconds', '3.5'],
    ...['--budget-cost', '2', '--hold', '60', '--pin'],
  );
  expect(code).toBe(0);
  const id = /^Batch (\S+): 2 chunks of test:set\.\nFollow it with: evoke batch watch \1\n$/.exec(stdout)?.[1];
  expect((await batches.find(id ?? ''))?.batch).toMatchObject({
    range: { first: 10, end: 25 },
    priority: 9,
    deadline: '2125-06-01T12:00:00.000Z',
    budget: { cpuSeconds: 3.5, cost: 2 },
    holdSeconds: 60,
    pin: true,
  });
});

test('list shows the newest first, with what each has come to', async () => {
  const id = await created();
  await batches.progress(
    id,
    progress({ state: 'over-budget', done: 41, skipped: 1, failed: 2, cpuMicros: 12_345_678 }),
  );
  const { stdout } = await batch('list');
  const [head, first] = stdout.split('\n');
  expect(head).toMatch(/^BATCH +DATASET +EVENTS +STATE +CHUNKS +MADE +SKIPPED +FAILED +CPU SECONDS +COST$/);
  expect(first).toMatch(new RegExp(`^${id} +test:set +1-1000 +over-budget +100 +41 +1 +2 +12\\.3 +0\\.00004115$`));
  // However little it is, as a person would write it; and why it is paused, where there is something to say.
  const reason = 'STORE_UNAVAILABLE: The store is full.';
  await batches.progress(id, progress({ state: 'paused', reason, done: 1, cpuMicros: 300 }));
  const [headWithReason, paused] = (await batch('list')).stdout.split('\n');
  expect(headWithReason).toMatch(/ COST +WHY$/);
  expect(paused).toMatch(/ 0\.000000001 +STORE_UNAVAILABLE: The store is full\.$/);
  const { items } = JSON.parse((await batch('list', '--json')).stdout);
  expect(items[0].id).toBe(id);
  expect((await batch('list', '--after', '0')).stdout).toBe('There is no batch.\n');
});

test('pause, resume and cancel steer it; what has ended is not resumed', async () => {
  const id = await created();
  expect(await batch('pause', id)).toMatchObject({ code: 0, stdout: `Batch ${id} is paused.\n` });
  expect(JSON.parse((await batch('resume', id, '--json')).stdout)).toMatchObject({ id, state: 'pending' });
  expect(await batch('cancel', id)).toMatchObject({ code: 0, stdout: `Batch ${id} is cancelled.\n` });
  const { code, stderr } = await batch('resume', id);
  expect(code).toBe(1);
  expect(stderr).toContain('ENDED');
});

test('watch tells the states line by line and ends with 0 when the batch is completed', async () => {
  const id = await created();
  const watching = begun(['watch', id]);
  await expect.poll(() => watching.said.out).toBe('pending: 0 of 100 chunks\n');
  await board.publish('batch', id, progress({ done: 30, skipped: 10, estimatedSecondsLeft: 90 }), 60);
  await expect.poll(() => watching.said.out).toMatch(/\nrunning: 40 of 100 chunks, about 2 min left\n$/);
  await board.publish('batch', id, progress({ state: 'completed', done: 70, skipped: 30, cpuMicros: 5e6 }), 60);
  expect(await watching.ended).toBe(0);
  expect(watching.said.out).toMatch(/ left\ncompleted: 100 chunks, 70 made, 30 there already; 5.0 CPU seconds\n$/);
  expect(watching.said.err).toBe('');
});

test('watch goes on after the api was gone, and ends with 1 when the batch did not complete', async () => {
  const api = await service.startApi();
  const id = await created();
  const watching = begun(['watch', id, '--json'], api.url);
  await expect.poll(() => watching.said.out).toContain('"pending"');
  await api.end('SIGKILL');
  await expect.poll(() => watching.said.err).toContain('does not answer');
  await board.publish('batch', id, progress({ done: 5 }), 60);
  await service.startApi({ EVOKE_PORT: new URL(api.url).port });
  await expect.poll(() => watching.said.out).toContain('"done":5');
  await batch('cancel', id);
  expect(await watching.ended).toBe(1);
  expect(watching.said.err).toContain(`The batch ${id} is cancelled.`);
  const states = watching.said.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).state);
  expect(states).toEqual(['pending', 'running', 'cancelled']);
}, 30_000);

test('Ctrl-C leaves the batch as it is, and says so', async () => {
  const watching = begun(['create', 'test:set', '--watch']);
  await expect.poll(() => watching.said.out).toContain('pending');
  const id = /^Batch (\S+):/.exec(watching.said.out)?.[1] ?? '';
  watching.child.kill('SIGINT');
  expect(await watching.ended).toBe(1);
  expect(watching.said.err).toBe(
    `evoke: The batch goes on. evoke batch watch ${id} shows it again, evoke batch cancel ${id} ends it.\n`,
  );
  expect((await batches.find(id))?.wish).toBeUndefined();
});

const script = '/usr/bin/script';

test.skipIf(!existsSync(script))('on a terminal progress is one line that is written over', async () => {
  const id = await created();
  const command = `'${process.execPath}' '${main}' batch watch ${id} --server ${service.url}`;
  const child = spawn(script, ['-qefc', command, '/dev/null'], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let screen = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    screen += text;
  });
  await expect.poll(() => screen).toContain('pending  0 of 100 chunks');
  await board.publish('batch', id, progress({ done: 50, estimatedSecondsLeft: 3 }), 60);
  await expect.poll(() => screen).toContain('###.');
  expect(screen).toContain('50 of 100 chunks, about 3 s left');
  expect(screen.trimEnd().split('\n')).toHaveLength(1);
  await batch('cancel', id);
  await closed;
  expect(child.exitCode).toBe(1);
});

test.concurrent.each([
  ['batch create', 2, /missing required argument/],
  ['batch create set', 2, /not a dataset's name/],
  ['batch create test:set 5-1', 2, /comes before/],
  ['batch create test:set --priority 10', 2, /whole number from 0 to 9/],
  ['batch create test:set --deadline whenever', 2, /not a time/],
  ['batch create test:set --budget-cost lots', 2, /not a number/],
  ['batch create test:set --deadline 2001-01-01T00:00:00Z', 1, /not in the future/],
  ['batch create test:set 1-1001', 1, /BEYOND_DATASET/],
  ['batch create test:nobody', 1, /DATASET_NOT_FOUND/],
  ['batch watch', 2, /missing required argument/],
  ['batch watch nothing', 1, /BATCH_NOT_FOUND/],
  ['batch watch ../../healthz', 1, /MALFORMED_REQUEST/],
  ['batch pause nothing', 1, /BATCH_NOT_FOUND/],
  ['batch cancel nothing', 1, /BATCH_NOT_FOUND/],
  ['batch bogus', 2, /unknown command|too many arguments/],
])('evoke %s ends with %i', async (line, code, words) => {
  const ended = await run(line.split(' '));
  expect(ended.code, ended.stderr).toBe(code);
  expect(ended.stderr).toMatch(words);
  expect(ended.stdout).toBe('');
});

test('a line says no more than is known', () => {
  const shown = { chunks: 100, done: 20, skipped: 5, failed: 0, estimatedSecondsLeft: null };
  expect(batchLine({ ...shown, state: 'running' })).toBe(' 25 % [#######.......................] 25 of 100 chunks');
  expect(batchLine({ ...shown, state: 'running', estimatedSecondsLeft: 3700, late: true, failed: 1 })).toMatch(
    /26 of 100 chunks, 1 failed, about 1 h 2 min left, late$/,
  );
  expect(batchLine({ ...shown, state: 'paused', reason: 'STORE_UNAVAILABLE: no space.' })).toContain(
    ' paused (STORE_UNAVAILABLE: no space)  25 of 100 chunks',
  );
});

test.each([
  [0, '0 s'],
  [0.2, '1 s'],
  [59, '59 s'],
  [60, '1 min'],
  [3540, '59 min'],
  [3541, '1 h'],
  [3661, '1 h 2 min'],
  [86_340, '23 h 59 min'],
  [86_400, '1 d'],
  [190_000, '2 d 5 h'],
])('%d seconds are about %s', (seconds, text) => {
  expect(humanSeconds(seconds)).toBe(text);
});
