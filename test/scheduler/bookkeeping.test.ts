// When the leader looks after the ledger: often enough, after every death, and never in the way of its own end.
import { expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import type { LivingProcess } from '../../queue/processes.ts';
import { Bookkeeping } from '../../scheduler/bookkeeping.ts';
import { ManualTime } from './manual-time.ts';

const marginMs = 60_000;
const minute = 60_000;

function bookkeeping(options: { failing?: boolean; incomplete?: number } = {}) {
  const time = new ManualTime();
  const calls = { reconcile: 0, compact: 0 };
  const silent: LivingProcess[] = [];
  let redisIsAway = false;
  const keeper = new Bookkeeping({
    reconcile: async () => {
      calls.reconcile++;
      if (options.failing) throw new Error('the store is away');
    },
    compact: async () => ({ isComplete: ++calls.compact > (options.incomplete ?? 0) }),
    processes: {
      takeSilent: async () => {
        if (redisIsAway) throw new Error('Redis is away');
        return silent.splice(0);
      },
    },
    marginMs,
    time,
    log: silentLog,
  });
  const stop = new AbortController();
  const over = keeper.keep(stop.signal);
  return {
    time,
    calls,
    keeper,
    dies: (counters: Record<string, number> = {}) => silent.push({ role: 'worker', ...counters } as LivingProcess),
    redisAway: (away: boolean) => {
      redisIsAway = away;
    },
    end: async () => {
      stop.abort();
      await over;
    },
  };
}

test('a new leader reconciles once everybody has written, then every ten minutes', async () => {
  const { time, calls, end } = bookkeeping();
  await time.pass(marginMs - 1);
  expect(calls.reconcile).toBe(0);
  await time.pass(minute);
  expect(calls).toEqual({ reconcile: 1, compact: 1 });
  await time.pass(30 * minute);
  expect(calls).toEqual({ reconcile: 4, compact: 4 });
  await end();
});

test('a death is followed by a reconciliation when those who live have written, and by a count of what was lost', async () => {
  const { time, calls, keeper, dies, end } = bookkeeping();
  await time.pass(2 * minute);
  expect(calls.reconcile).toBe(1);
  dies({ ledgerEntries: 100, ledgerWritten: 80, ledgerLost: 5, cpuSecondsUnderway: 2.5 });
  await time.pass(30_000 + marginMs + 30_000);
  expect(calls.reconcile).toBe(2);
  expect(keeper.counters).toEqual({ ledgerLostWithProcesses: 15, cpuSecondsLostWithProcesses: 2.5 });
  // Nobody else died.
  await time.pass(5 * minute);
  expect(calls.reconcile).toBe(2);
  await end();
});

test('a process that kept no ledger has lost nothing of it', async () => {
  const { time, keeper, dies, end } = bookkeeping();
  dies();
  await time.pass(minute);
  expect(keeper.counters.ledgerLostWithProcesses).toBe(0);
  await end();
});

test('while Redis cannot say who died, nothing is done too early, and it is heard later', async () => {
  const { time, calls, redisAway, dies, end } = bookkeeping();
  await time.pass(2 * minute);
  redisAway(true);
  dies();
  await time.pass(3 * minute);
  expect(calls.reconcile).toBe(1);
  redisAway(false);
  await time.pass(2 * minute);
  expect(calls.reconcile).toBe(2);
  await end();
});

test('a reconciliation that fails is tried again the next time, and stops nothing else', async () => {
  const { time, calls, end } = bookkeeping({ failing: true });
  await time.pass(25 * minute);
  expect(calls).toEqual({ reconcile: 3, compact: 3 });
  await end();
});

test('a merge that was not complete goes on in the next round', async () => {
  const { time, calls, end } = bookkeeping({ incomplete: 3 });
  await time.pass(marginMs + 4 * 30_000);
  expect(calls.compact).toBe(4);
  await time.pass(5 * minute);
  expect(calls.compact).toBe(4);
  await end();
});

test('keeping the ledger ends with its signal', async () => {
  const { time, calls, end } = bookkeeping();
  await end();
  expect(time.alarms).toBe(0);
  await time.pass(30 * minute);
  expect(calls).toEqual({ reconcile: 0, compact: 0 });
});
