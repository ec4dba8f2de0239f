// Batches over a store that cannot keep what is made, or what is told: they wait without burning CPU, and go on by themselves.
import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { aBatchBench } from './batch-bench.ts';

test('what cannot be kept pauses it; one chunk is tried after 5 s, then ever later, and when one is kept it goes on', async () => {
  const bench = aBatchBench(20, { threads: 4 });
  const { create, lead, progress, time, queue } = bench;
  let full = true;
  let tries = 0;
  bench.makeAll(() => {
    tries++;
    return full ? { code: 'STORE_UNAVAILABLE', detail: 'The store is full.' } : undefined;
  });
  const { stop } = lead();
  const { id } = await create();
  await time.pass(1_000);
  const paused = { state: 'paused', reason: 'STORE_UNAVAILABLE: The store is full.', done: 0, failed: 0 };
  expect(await progress(id)).toMatchObject(paused);
  expect(tries).toBeLessThanOrEqual(8);
  tries = 0;
  await time.pass(4_000);
  expect(tries).toBe(0);
  await time.pass(2_500);
  expect(tries).toBe(1);
  expect(await progress(id)).toMatchObject(paused);
  await time.pass(3_600_000);
  // After 10, 20, 40, 80, 160 s and then every 5 min.
  expect(tries).toBeGreaterThan(12);
  expect(tries).toBeLessThan(20);
  expect(queue.standing(bench.key(0))).toBeUndefined();
  full = false;
  await time.pass(310_000);
  await time.pass(2_000);
  expect(await progress(id)).toMatchObject({ state: 'completed', done: 20 });
  expect((await progress(id))?.reason).toBeUndefined();
  await stop();
});

test('a person who asks for it to go on is not made to wait, and the others do not try meanwhile', async () => {
  const bench = aBatchBench(3);
  const { create, lead, progress, time, batches } = bench;
  let full = true;
  let tries = 0;
  bench.makeAll(() => {
    tries++;
    return full ? { code: 'STORE_UNAVAILABLE', detail: 'full' } : undefined;
  });
  const { stop } = lead();
  const { id } = await create();
  await time.pass(60_000);
  const other = await create({ dataset: 'test:d2' });
  const before = tries;
  await time.pass(5_000);
  expect(tries - before).toBeLessThanOrEqual(1);
  expect((await progress(other.id))?.state ?? 'pending').toMatch(/pending|paused/);
  full = false;
  await batches.wish(id, 'running');
  await time.pass(2_000);
  expect(await progress(id)).toMatchObject({ state: 'completed', done: 3 });
  await time.pass(2_000);
  expect(await progress(other.id)).toMatchObject({ state: 'completed', done: 3 });
  await stop();
});

test('a new leader is careful with a batch that waits for the store', async () => {
  const bench = aBatchBench(20, { threads: 4 });
  const { create, lead, progress, time } = bench;
  let tries = 0;
  bench.makeAll(() => {
    tries++;
    return { code: 'STORE_UNAVAILABLE', detail: 'full' };
  });
  const first = lead();
  const { id } = await create();
  await time.pass(2_000);
  await first.stop();
  tries = 0;
  const second = lead();
  await time.pass(2_000);
  expect(tries).toBe(1);
  expect(await progress(id)).toMatchObject({ state: 'paused' });
  await second.stop();
});

test('a store that does not take the end is given it until it does, and the batch is not run again meanwhile', async () => {
  const bench = aBatchBench(2);
  const { create, lead, progress, time, store, board, queue } = bench;
  const { stop } = lead();
  const { id } = await create();
  await time.pass(1_000);
  const put = store.put.bind(store);
  store.put = async () => {
    throw new EvokeError('STORE_UNAVAILABLE');
  };
  for (let i = 0; i < 2; i++) await bench.makeOne();
  await time.pass(60_000);
  expect(board.get(id)).toMatchObject({ state: 'completed', done: 2 });
  expect(await progress(id)).toMatchObject({ state: 'running' });
  store.put = put;
  await time.pass(1_000);
  expect(await progress(id)).toMatchObject({ state: 'completed', done: 2 });
  expect(queue.added.length).toBe(2);
  await stop();
});
