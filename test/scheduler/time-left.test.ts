// Honest estimates: none without something to go by, from the last minute or the last few chunks, and no leap after a pause.
import { expect, test } from 'vitest';
import { TimeLeft } from '../../scheduler/time-left.ts';
import { ManualTime } from './manual-time.ts';

async function setUp(before?: ConstructorParameters<typeof TimeLeft>[1]) {
  const time = new ManualTime();
  const left = new TimeLeft(time, before);
  let landings = 0;
  /** One chunk every so many milliseconds. */
  const land = async (count: number, everyMs: number) => {
    for (let i = 0; i < count; i++) {
      await time.pass(everyMs);
      left.landed(++landings);
    }
  };
  return { time, land, seconds: (chunks: number) => left.seconds(chunks, landings) };
}

test('nothing is said before two chunks have come', async () => {
  const { land, seconds } = await setUp();
  expect(seconds(100)).toBeUndefined();
  await land(1, 3_000);
  expect(seconds(100)).toBeUndefined();
  await land(1, 3_000);
  expect(seconds(100)).toBe(300);
});

test('a steady rate is told as it is, quick or slow', async () => {
  for (const everyMs of [20, 500, 7_000, 120_000]) {
    const { land, seconds } = await setUp();
    await land(40, everyMs);
    expect((seconds(1000) ?? 0) / everyMs).toBeGreaterThan(0.9);
    expect((seconds(1000) ?? 0) / everyMs).toBeLessThan(1.15);
  }
});

test('when the rate changes, the estimate follows within a minute or a few chunks', async () => {
  const quick = await setUp();
  await quick.land(600, 100);
  await quick.land(65, 1_000);
  expect(quick.seconds(100)).toBeGreaterThanOrEqual(90);
  expect(quick.seconds(100)).toBeLessThanOrEqual(110);
  const slow = await setUp();
  await slow.land(20, 10_000);
  await slow.land(8, 100_000);
  expect(slow.seconds(10)).toBeGreaterThanOrEqual(900);
  expect(slow.seconds(10)).toBeLessThanOrEqual(1_150);
});

test('while nothing comes, the estimate grows', async () => {
  const { time, land, seconds } = await setUp();
  await land(20, 1_000);
  const before = seconds(100) ?? 0;
  await time.pass(120_000);
  expect(seconds(100)).toBeGreaterThan(before * 3);
});

test('what was known before an interruption is said until there is something newer; of nothing, nothing', async () => {
  const known = await setUp({ secondsLeft: 500, chunksLeft: 100 });
  expect(known.seconds(100)).toBe(500);
  expect(known.seconds(50)).toBe(250);
  await known.land(10, 1_000);
  expect(known.seconds(50)).toBe(50);
  for (const before of [
    { secondsLeft: undefined, chunksLeft: 100 },
    { secondsLeft: 0, chunksLeft: 0 },
  ]) {
    expect((await setUp(before)).seconds(100)).toBeUndefined();
  }
});
