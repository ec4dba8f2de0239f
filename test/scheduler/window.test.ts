// The byte budget, the holds against it, and the pace of a reader.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Holds } from '../../scheduler/holds.ts';
import { Pace } from '../../scheduler/pace.ts';
import { ByteBudget } from '../../scheduler/window.ts';
import { codeOf } from './fakes.ts';
import { ManualTime, settle } from './manual-time.ts';

const never = new AbortController().signal;

test('whoever waits for room is served in turn, and what is free is nobody else’s meanwhile', async () => {
  const budget = new ByteBudget(100, new ManualTime());
  expect(budget.tryTake(60)).toBe(true);
  const served: string[] = [];
  const wait = async (name: string, bytes: number) => {
    await budget.take(bytes, { waitMs: 1000, signal: never });
    served.push(name);
  };
  const first = wait('large', 80);
  const second = wait('small', 10);
  expect(budget.tryTake(10)).toBe(false);
  await settle();
  expect(served).toEqual([]);
  budget.give(60);
  await Promise.all([first, second]);
  expect(served).toEqual(['large', 'small']);
  expect(budget.usedBytes).toBe(90);
});

test('room that does not come in time is an answer, and lets the next in line through', async () => {
  const time = new ManualTime();
  const budget = new ByteBudget(100, time);
  budget.tryTake(60);
  const large = codeOf(budget.take(80, { waitMs: 1000, signal: never }));
  const small = codeOf(budget.take(10, { waitMs: 5000, signal: never }));
  await time.pass(1000);
  expect(await large).toBe('OVERLOADED');
  expect(await small).toBe('fulfilled');
  expect([budget.usedBytes, budget.waiting, time.alarms]).toEqual([70, 0, 0]);
});

test('who goes away while waiting takes nothing', async () => {
  const time = new ManualTime();
  const budget = new ByteBudget(100, time);
  budget.tryTake(100);
  const leaving = new AbortController();
  const gone = codeOf(budget.take(10, { waitMs: 1000, signal: leaving.signal }));
  leaving.abort(new Error('gone'));
  expect(await gone).toBe('gone');
  expect(await codeOf(budget.take(10, { waitMs: 1000, signal: leaving.signal }))).toBe('gone');
  budget.give(100);
  expect([budget.usedBytes, budget.waiting, time.alarms]).toEqual([0, 0, 0]);
});

test('what is larger than the whole budget takes all of it, alone', async () => {
  const budget = new ByteBudget(100, new ManualTime());
  expect(budget.tryTake(1000)).toBe(true);
  expect(budget.tryTake(1)).toBe(false);
  budget.give(1000);
  expect(budget.usedBytes).toBe(0);
});

test('a chunk that many hold is read once and counts once', async () => {
  const budget = new ByteBudget(100, new ManualTime());
  const holds = new Holds(budget);
  let reads = 0;
  const load = async () => {
    reads++;
    return Buffer.alloc(80);
  };
  const held = await Promise.all(
    Array.from({ length: 300 }, () => holds.hold('a', 80, load, { waitMs: 1000, signal: never })),
  );
  expect([reads, budget.usedBytes]).toEqual([1, 80]);
  for (const one of held.slice(1)) one?.release();
  held[1]?.release();
  expect(budget.usedBytes).toBe(80);
  held[0]?.release();
  expect([budget.usedBytes, holds.size]).toEqual([0, 0]);
});

test('when one of those who stand in line for a chunk brings it, all of them have it', async () => {
  const budget = new ByteBudget(100, new ManualTime());
  const holds = new Holds(budget);
  budget.tryTake(90);
  let reads = 0;
  const load = async () => {
    reads++;
    return Buffer.alloc(80);
  };
  const waiting = Array.from({ length: 300 }, () => holds.hold('a', 80, load, { waitMs: 1000, signal: never }));
  await settle();
  expect([reads, budget.waiting]).toEqual([0, 300]);
  budget.give(90);
  const held = await Promise.all(waiting);
  expect([reads, budget.usedBytes, budget.waiting]).toEqual([1, 80, 0]);
  for (const one of held) one?.release();
  expect([budget.usedBytes, holds.size]).toEqual([0, 0]);
});

test('a chunk that is absent or cannot be read holds nothing', async () => {
  const budget = new ByteBudget(100, new ManualTime());
  const holds = new Holds(budget);
  const options = { waitMs: 1000, signal: never };
  expect(await holds.hold('a', 80, async () => undefined, options)).toBeUndefined();
  expect(await codeOf(holds.hold('a', 80, () => Promise.reject(new Error('disk')), options))).toBe('disk');
  expect(
    await holds.holdAhead(
      'a',
      80,
      async () => undefined,
      () => undefined,
    ),
  ).toBeUndefined();
  expect([budget.usedBytes, holds.size]).toEqual([0, 0]);
});

test('a chunk of another size than it was said to have counts as it is', async () => {
  const budget = new ByteBudget(100, new ManualTime());
  const holds = new Holds(budget);
  const held = await holds.hold('a', 80, async () => Buffer.alloc(30), { waitMs: 1000, signal: never });
  expect(budget.usedBytes).toBe(30);
  held?.release();
  expect(budget.usedBytes).toBe(0);
});

test('what is held ahead of need is taken back, the latest first, for somebody who needs the room now', async () => {
  const budget = new ByteBudget(100, new ManualTime());
  const holds = new Holds(budget);
  const takenBack: string[] = [];
  const ahead = (key: string) =>
    holds.holdAhead(
      key,
      30,
      async () => Buffer.alloc(30),
      () => takenBack.push(key),
    );
  const [kept] = [await ahead('a'), await ahead('b'), await ahead('c')];
  if (kept === undefined || kept === 'no room') throw new Error('there was room');
  kept.keep();
  const held = await holds.hold('d', 50, async () => Buffer.alloc(50), { waitMs: 1000, signal: never });
  expect(takenBack).toEqual(['c', 'b']);
  expect(budget.usedBytes).toBe(80);
  held?.release();
  kept.release();
  expect(budget.usedBytes).toBe(0);
});

test('reading ahead does not begin, nor keep what it read, while somebody stands in line', async () => {
  const time = new ManualTime();
  const budget = new ByteBudget(100, time);
  const holds = new Holds(budget);
  const read = Promise.withResolvers<Buffer>();
  const ahead = holds.holdAhead(
    'a',
    60,
    () => read.promise,
    () => undefined,
  );
  const needed = codeOf(holds.hold('b', 80, async () => Buffer.alloc(80), { waitMs: 1000, signal: never }));
  expect(
    await holds.holdAhead(
      'c',
      10,
      async () => Buffer.alloc(10),
      () => undefined,
    ),
  ).toBe('no room');
  read.resolve(Buffer.alloc(60));
  expect(await ahead).toBe('no room');
  expect(await needed).toBe('fulfilled');
});

test('the budget is never exceeded, and all of it is free in the end', async () => {
  const plan = fc.array(
    fc.record({
      key: fc.integer({ min: 0, max: 15 }),
      kind: fc.constantFrom('now', 'need', 'ahead'),
      delay: fc.nat({ max: 50 }),
      hold: fc.nat({ max: 200 }),
      leave: fc.option(fc.nat({ max: 300 })),
    }),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(plan, fc.integer({ min: 50, max: 400 }), async (visits, bytesMax) => {
      const time = new ManualTime();
      const budget = new ByteBudget(bytesMax, time);
      const holds = new Holds(budget);
      const sizeOf = (key: number) => 10 + key * 12;
      let peak = 0;
      const see = () => {
        peak = Math.max(peak, budget.usedBytes);
      };
      const wait = (ms: number) => new Promise<void>((resolve) => time.after(ms, resolve));
      const visiting = visits.map(async ({ key, kind, delay, hold, leave }) => {
        const leaving = new AbortController();
        if (leave !== null) time.after(leave, () => leaving.abort(new Error('left')));
        await wait(delay);
        const bytes = sizeOf(key);
        const load = async () => {
          see();
          await wait(5);
          return key % 5 === 4 ? undefined : Buffer.alloc(bytes);
        };
        const options = { waitMs: 100, signal: leaving.signal };
        const held =
          kind === 'now'
            ? holds.holdNow(String(key), Buffer.alloc(bytes))
            : kind === 'need'
              ? await holds.hold(String(key), bytes, load, options).catch(() => undefined)
              : await holds.holdAhead(String(key), bytes, load, see);
        see();
        if (held === undefined || held === 'no room') return;
        await wait(hold);
        held.release();
        see();
      });
      await time.pass(10_000);
      await Promise.all(visiting);
      expect(peak).toBeLessThanOrEqual(bytesMax);
      expect([budget.usedBytes, budget.waiting, holds.size]).toEqual([0, 0, 0]);
    }),
    { numRuns: 60 },
  );
});

test('the window doubles up to 64 while the reader waits, and halves down to one when chunks lie ready for long', () => {
  const pace = new Pace();
  expect(pace.ahead).toBe(4);
  const grown = Array.from({ length: 6 }, () => {
    pace.waited();
    return pace.ahead;
  });
  expect(grown).toEqual([8, 16, 32, 64, 64, 64]);
  pace.foundReady(999);
  expect(pace.ahead).toBe(64);
  const shrunk = Array.from({ length: 8 }, () => {
    pace.foundReady(1000);
    return pace.ahead;
  });
  expect(shrunk).toEqual([32, 16, 8, 4, 2, 1, 1, 1]);
  pace.waited();
  expect(pace.ahead).toBe(2);
});
