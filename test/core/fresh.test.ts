import { expect, test } from 'vitest';
import { Fresh } from '../../core/fresh.ts';

/** A value elsewhere, with every load under the test's control. */
function setUp() {
  const clock = { at: 0, now: () => clock.at };
  const loads: { resolve: (value: string) => void; reject: (error: Error) => void }[] = [];
  const fresh = new Fresh<string>(() => new Promise((resolve, reject) => loads.push({ resolve, reject })), {
    maxAgeMs: 2000,
    entriesMax: 2,
    clock,
  });
  return { clock, loads, fresh };
}

async function remembered() {
  const all = setUp();
  const got = all.fresh.get('a');
  all.loads[0]?.resolve('first');
  expect(await got).toBe('first');
  return all;
}

test('what was loaded is given without asking again until half its age', async () => {
  const { fresh, clock, loads } = await remembered();
  clock.at = 1000;
  expect(fresh.peek('a')).toBe('first');
  expect(loads).toHaveLength(1);
});

test('past half its age it is still given at once, and refreshed behind', async () => {
  const { fresh, clock, loads } = await remembered();
  clock.at = 1500;
  expect(fresh.peek('a')).toBe('first');
  expect(fresh.peek('a')).toBe('first');
  expect(loads).toHaveLength(2);
  loads[1]?.resolve('second');
  expect(await fresh.get('a')).toBe('first');
  await Promise.resolve();
  clock.at = 3000;
  expect(fresh.peek('a')).toBe('second');
});

test('past its age it is not given any more, and a failed load is the caller’s error', async () => {
  const { fresh, clock, loads } = await remembered();
  clock.at = 2001;
  expect(fresh.peek('a')).toBeUndefined();
  const got = fresh.get('a');
  loads.at(-1)?.reject(new Error('the store is away'));
  await expect(got).rejects.toThrow('the store is away');
  const again = fresh.get('a');
  loads.at(-1)?.resolve('third');
  expect(await again).toBe('third');
});

test('concurrent looks share one load', async () => {
  const { fresh, loads } = setUp();
  const both = [fresh.get('a'), fresh.get('a')];
  expect(loads).toHaveLength(1);
  loads[0]?.resolve('one');
  expect(await Promise.all(both)).toEqual(['one', 'one']);
});

test('a load that was under way when the value was forgotten is not remembered', async () => {
  const { fresh, loads } = setUp();
  const stale = fresh.get('a');
  fresh.forget('a');
  loads[0]?.resolve('stale');
  expect(await stale).toBe('stale');
  expect(fresh.peek('a')).toBeUndefined();
});

test('the memory is bounded: the least recently used goes', async () => {
  const { fresh, loads } = setUp();
  for (const key of ['a', 'b', 'c']) {
    const got = fresh.get(key);
    loads.at(-1)?.resolve(key);
    await got;
  }
  expect(fresh.peek('a')).toBeUndefined();
  expect(fresh.peek('c')).toBe('c');
});

test('a clock that is set back makes nothing fresh', async () => {
  const { fresh, clock, loads } = await remembered();
  clock.at = -3_600_000;
  expect(fresh.peek('a')).toBeUndefined();
  const got = fresh.get('a');
  loads.at(-1)?.resolve('second');
  expect(await got).toBe('second');
});
