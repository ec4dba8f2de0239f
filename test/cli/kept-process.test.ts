import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Death, KeptProcess } from '../../cli/kept-process.ts';

// A process that ends when the test says so: what is tested is when the next one is started.
class Pretended extends EventEmitter {
  static pids = 100_000_000;
  readonly pid = ++Pretended.pids;
  signals: string[] = [];
  kill(signal: string): boolean {
    this.signals.push(signal);
    return true;
  }
}

let children: Pretended[];
let deaths: Death[];
let mayRestart: boolean;
let kept: KeptProcess;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  children = [];
  deaths = [];
  mayRestart = true;
  kept = new KeptProcess({
    name: 'worker',
    spawn: () => {
      const child = new Pretended();
      children.push(child);
      return child as unknown as ChildProcess;
    },
    mayRestart: () => mayRestart,
    onDeath: (death) => deaths.push(death),
  });
  kept.start();
});
afterEach(() => void vi.useRealTimers());

const last = () => children.at(-1) as Pretended;

test('pauses double from half a second to thirty, and start anew after a minute of health', async () => {
  const pauses: (number | undefined)[] = [];
  for (let i = 0; i < 8; i++) {
    last().emit('exit', null, 'SIGKILL');
    pauses.push(deaths.at(-1)?.pauseMs);
    await vi.advanceTimersByTimeAsync(deaths.at(-1)?.pauseMs ?? 0);
    expect(children).toHaveLength(i + 2);
  }
  expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  await vi.advanceTimersByTimeAsync(60_000);
  last().emit('exit', 1, null);
  expect(deaths.at(-1)).toMatchObject({ name: 'worker', pid: last().pid, how: 'ended with 1', pauseMs: 500 });
});

test('while the service comes up, a death is told and nothing is started again', async () => {
  mayRestart = false;
  last().emit('exit', 1, null);
  expect(deaths).toMatchObject([{ pauseMs: undefined }]);
  await vi.advanceTimersByTimeAsync(100_000);
  expect(children).toHaveLength(1);
});

test('an end that was asked for is no death, and a pause that was under way leads to no start', async () => {
  const stopped = kept.stop(1000);
  expect(last().signals).toEqual(['SIGTERM']);
  last().emit('exit', 0, null);
  await stopped;
  expect(deaths).toEqual([]);
  kept.start();
  expect(children).toHaveLength(2);
});

test('stopped in its pause, it stays down', async () => {
  last().emit('exit', 1, null);
  expect(kept.pid).toBeUndefined();
  await kept.stop(1000);
  await vi.advanceTimersByTimeAsync(100_000);
  expect(children).toHaveLength(1);
});
