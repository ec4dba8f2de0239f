// Batches in virtual time: which one runs, how each ends, and what is told of it.
import { expect, test } from 'vitest';
import { aBatchBench, type BatchBench } from './batch-bench.ts';
import { settle } from './manual-time.ts';

/** Chunks made one by one with a second of time for each, until nothing is ordered. */
async function makeRest({ makeOne, time }: BatchBench): Promise<number> {
  let made = 0;
  for (; (await makeOne()) !== undefined; made++) await time.pass(1_000);
  await time.pass(1_000);
  return made;
}

test('a batch is begun within a second, told of while it runs, and ends with the exact tally', async () => {
  const bench = aBatchBench(6);
  const { time, shelf, key, create, progress, board, lead } = bench;
  shelf.put(key(1), {}, time.now() - 3_600_000);
  const { runner, stop } = lead();
  await settle();
  const { id } = await create();
  await time.pass(1_000);
  expect(await progress(id)).toMatchObject({ state: 'running', cursor: 0, startedAt: expect.any(String) });
  expect(bench.queue.added.length).toBe(2);
  await bench.makeOne();
  await time.pass(600);
  // The board is ahead of the store.
  expect(board.get(id)).toMatchObject({ state: 'running', done: 1, skipped: 1, cursor: 2 });
  expect(await progress(id)).toMatchObject({ done: 0 });
  await time.pass(10_000);
  expect(await progress(id)).toMatchObject({ done: 1, skipped: 1, cursor: 2 });
  expect(await makeRest(bench)).toBe(4);
  const end = { state: 'completed', done: 5, skipped: 1, failed: 0, cpuMicros: 5_000_000, cursor: 6 };
  expect(await progress(id)).toMatchObject({ ...end, endedAt: expect.any(String) });
  expect(board.get(id)).toMatchObject(end);
  expect(board.get(id)?.estimatedSecondsLeft).toBeUndefined();
  expect(runner.counters).toMatchObject({ batchesActive: 0, batchChunksDone: 5, batchChunksSkipped: 1 });
  await stop();
});

test('the highest priority goes first, then the earliest deadline, then the oldest', async () => {
  const bench = aBatchBench(1);
  const { create, lead, queue } = bench;
  const seeds = [1, 2, 3];
  const datasets = seeds.map((seed) => ({ dataset: `test:d${seed}` }));
  await create({ ...datasets[0], priority: 4 });
  await create({ ...datasets[1], priority: 5 });
  await create({ ...datasets[2], priority: 5, deadline: '2030-01-01T00:00:00Z' });
  const { stop } = lead();
  await bench.time.pass(1_000);
  for (let i = 0; i < 3; i++) {
    await bench.makeOne();
    await bench.time.pass(1_000);
  }
  expect(queue.added.map(({ dataset }) => dataset)).toEqual(['test:d3', 'test:d2', 'test:d1']);
  await stop();
});

test('a better batch takes over: the other is pending again, and what it has on order stays and is counted', async () => {
  const bench = aBatchBench(6);
  const { create, lead, progress, time, queue, board } = bench;
  const { stop } = lead();
  const usual = await create();
  await time.pass(1_000);
  await bench.makeOne();
  const urgent = await create({ dataset: 'test:d2', priority: 9, chunks: 6 });
  await time.pass(1_000);
  expect(await progress(usual.id)).toMatchObject({ state: 'pending', done: 1 });
  expect(await progress(urgent.id)).toMatchObject({ state: 'running' });
  expect(queue.withdrawn).toEqual([]);
  // Its two orders were first in line.
  await bench.makeOne();
  await bench.makeOne();
  await time.pass(600);
  expect(await progress(usual.id)).toMatchObject({ state: 'pending', done: 3, cursor: 3 });
  expect(queue.added.filter(({ batch }) => batch === usual.id).length).toBe(3);
  await makeRest(bench);
  expect(await progress(urgent.id)).toMatchObject({ state: 'completed', done: 6 });
  expect(await progress(usual.id)).toMatchObject({ state: 'completed', done: 6, skipped: 0 });
  expect(board.get(usual.id)?.state).toBe('completed');
  await stop();
});

test('a batch whose turn comes again before its last orders have come goes on from there, and counts each once', async () => {
  const bench = aBatchBench(5);
  const { create, lead, progress, time, batches } = bench;
  const { stop } = lead();
  const usual = await create();
  await time.pass(1_000);
  const urgent = await create({ dataset: 'test:d2', priority: 9, chunks: 5 });
  await time.pass(1_000);
  await batches.wish(urgent.id, 'cancelled');
  await time.pass(2_000);
  expect(await progress(urgent.id)).toMatchObject({ state: 'cancelled', done: 0 });
  expect(await progress(usual.id)).toMatchObject({ state: 'running' });
  await makeRest(bench);
  expect(await progress(usual.id)).toMatchObject({ state: 'completed', done: 5 });
  expect(bench.queue.added.filter(({ batch }) => batch === usual.id).length).toBe(5);
  await stop();
});

test('paused, it takes back what is not begun and counts what is; resumed, it goes on; cancelled, it is over', async () => {
  const bench = aBatchBench(8);
  const { create, lead, progress, time, batches, queue, shelf } = bench;
  const { stop } = lead();
  const { id } = await create();
  await time.pass(1_000);
  await bench.makeOne();
  queue.begin(bench.key(1));
  await batches.wish(id, 'paused');
  await time.pass(1_000);
  expect(await progress(id)).toMatchObject({ state: 'paused', done: 1 });
  expect([...queue.jobs.values()].filter(({ fate }) => fate.state === 'queued')).toEqual([]);
  shelf.put(bench.key(1), { batch: id });
  queue.finish(bench.key(1));
  await time.pass(60_000);
  expect(await progress(id)).toMatchObject({ state: 'paused', done: 2, cursor: 2 });
  await batches.wish(id, 'running');
  await time.pass(1_000);
  expect(await progress(id)).toMatchObject({ state: 'running', done: 2 });
  await bench.makeOne();
  await batches.wish(id, 'cancelled');
  await time.pass(1_000);
  const end = await progress(id);
  expect(end).toMatchObject({ state: 'cancelled', done: 3, endedAt: expect.any(String) });
  await batches.wish(id, 'running');
  await time.pass(10_000);
  expect(await progress(id)).toEqual(end);
  await stop();
});

test('a batch can be paused or cancelled before it has begun', async () => {
  const bench = aBatchBench(2);
  const { create, lead, progress, time, batches, queue } = bench;
  const [one, other] = [await create(), await create()];
  await batches.wish(one.id, 'paused');
  await batches.wish(other.id, 'cancelled');
  const { stop } = lead();
  await time.pass(5_000);
  expect(queue.added).toEqual([]);
  expect(await progress(one.id)).toBeUndefined();
  expect(await progress(other.id)).toMatchObject({ state: 'cancelled', done: 0, cursor: 0 });
  await batches.wish(one.id, 'running');
  await time.pass(1_000);
  await makeRest(bench);
  expect(await progress(one.id)).toMatchObject({ state: 'completed', done: 2 });
  await stop();
});

test('whoever leads next goes on from the checkpoint, joins what is on order, and comes to the exact tally', async () => {
  const bench = aBatchBench(12);
  const { create, lead, progress, time, queue } = bench;
  const { id } = await create();
  const first = lead();
  await time.pass(1_000);
  for (let i = 0; i < 5; i++) await bench.makeOne();
  await first.stop();
  expect(await progress(id)).toMatchObject({ state: 'running', done: 0 });
  expect(queue.withdrawn).toEqual([]);
  // Meanwhile a worker goes on with what was on order.
  await bench.makeOne();
  const second = lead();
  await time.pass(1_000);
  await makeRest(bench);
  expect(await progress(id)).toMatchObject({ state: 'completed', done: 12, skipped: 0, cpuMicros: 12_000_000 });
  expect(queue.added.length).toBe(12);
  await second.stop();
});

test('chunks that fail are counted, and the end names the first event that failed, also after a restart', async () => {
  const bench = aBatchBench(4);
  const { create, lead, progress, time, queue, key } = bench;
  const { id } = await create();
  const first = lead();
  await time.pass(1_000);
  queue.fail(key(0), { event: 7, detail: 'no such event' });
  await time.pass(11_000);
  const reason = 'GENERATION_FAILED: 1 of the chunks failed; the first: event 7: no such event';
  expect(await progress(id)).toMatchObject({ state: 'running', failed: 1, reason });
  await first.stop();
  const second = lead();
  await time.pass(1_000);
  await makeRest(bench);
  expect(await progress(id)).toMatchObject({ state: 'failed', done: 3, failed: 1, reason });
  await second.stop();
});

test('a dataset that is retired, unknown, or of a generator that no worker has ends a batch with the reason', async () => {
  const bench = aBatchBench(3);
  const { create, lead, progress, time, retired } = bench;
  const { stop } = lead();
  const unknown = await create({ dataset: 'test:nobody' });
  await time.pass(1_000);
  expect(await progress(unknown.id)).toMatchObject({
    state: 'failed',
    reason: 'DATASET_NOT_FOUND: There is no nobody.',
  });
  const running = await create();
  await time.pass(1_500);
  // What ended it is told, and not what had failed before.
  bench.queue.fail(bench.key(0));
  await time.pass(1_000);
  retired.add('d1');
  await time.pass(1_000);
  expect(await progress(running.id)).toMatchObject({ state: 'failed', reason: 'RETIRED: test:d1 is retired.' });
  expect(bench.flights.size).toBe(0);
  const unmade = await create({ dataset: 'test:d2' });
  await time.pass(1_500);
  const order = [...bench.queue.jobs.values()].find(({ fate }) => fate.state === 'queued');
  bench.queue.fail(order?.job.key ?? '', { code: 'GENERATOR_NOT_REGISTERED', detail: 'not here' });
  await time.pass(1_000);
  expect(await progress(unmade.id)).toMatchObject({ state: 'failed', reason: 'GENERATOR_NOT_REGISTERED: not here' });
  await stop();
});

test('a budget ends it before it is exceeded, by CPU and by cost', async () => {
  const bench = aBatchBench(10);
  const { create, lead, progress, time } = bench;
  const { stop } = lead();
  bench.makeAll();
  const byCpu = await create({ budget: { cpuSeconds: 4.5 } });
  await time.pass(2_000);
  expect(await progress(byCpu.id)).toMatchObject({
    state: 'over-budget',
    done: 4,
    cursor: 4,
    reason: expect.stringContaining('The budget of 4.5 CPU seconds does not cover another chunk: 4 CPU seconds'),
  });
  // A second costs one here; what is stored costs nothing.
  const byCost = await create({ budget: { cost: 3 } });
  await time.pass(2_000);
  expect(await progress(byCost.id)).toMatchObject({ state: 'over-budget', done: 3, skipped: 4 });
  await stop();
});

test('while the queue is away it goes on running, with no idea how long it will take', async () => {
  const bench = aBatchBench(30);
  const { create, lead, time, queue, board } = bench;
  const { stop } = lead();
  const { id } = await create();
  await time.pass(1_000);
  for (let i = 0; i < 10; i++) {
    await bench.makeOne();
    await time.pass(2_000);
  }
  expect(board.get(id)?.estimatedSecondsLeft).toBeGreaterThanOrEqual(38);
  expect(board.get(id)?.estimatedSecondsLeft).toBeLessThanOrEqual(46);
  queue.away = true;
  await time.pass(30_000);
  expect(board.get(id)).toMatchObject({ state: 'running', done: 10 });
  expect(board.get(id)?.estimatedSecondsLeft).toBeUndefined();
  queue.away = false;
  await time.pass(10_000);
  await makeRest(bench);
  expect(await bench.progress(id)).toMatchObject({ state: 'completed', done: 30 });
  await stop();
});

test('the estimate survives a pause', async () => {
  const bench = aBatchBench(30);
  const { create, lead, time, batches, progress } = bench;
  const { stop } = lead();
  const { id } = await create();
  await time.pass(1_000);
  expect((await progress(id))?.estimatedSecondsLeft).toBeUndefined();
  for (let i = 0; i < 10; i++) {
    await bench.makeOne();
    await time.pass(2_000);
  }
  await batches.wish(id, 'paused');
  await time.pass(3_600_000);
  const left = (await progress(id))?.estimatedSecondsLeft;
  expect(left).toBeGreaterThanOrEqual(38);
  expect(left).toBeLessThanOrEqual(48);
  await batches.wish(id, 'running');
  await time.pass(2_000);
  expect(bench.board.get(id)?.estimatedSecondsLeft).toBe(left);
  await stop();
});

test('a leader that was suspended and does not know it does not wake a batch that is over', async () => {
  const bench = aBatchBench(4);
  const { create, lead, progress, time } = bench;
  const old = lead();
  const { id } = await create();
  await time.pass(1_000);
  const end = {
    state: 'completed',
    cursor: 4,
    done: 4,
    skipped: 0,
    failed: 0,
    cpuMicros: 1,
    at: '2030-01-01T00:00:00Z',
  };
  await bench.batches.progress(id, { ...end, state: 'completed' });
  await time.pass(30_000);
  expect(await progress(id)).toEqual(end);
  await old.stop();
});

test('an older word that the store brings back late, over an end, is overwritten with the end', async () => {
  const bench = aBatchBench(4);
  const { batches, create, lead, makeOne, progress, time } = bench;
  const { stop } = lead();
  const { id } = await create();
  await time.pass(1_000);
  const older = await progress(id);
  expect(older?.state).toBe('running');
  while ((await makeOne()) !== undefined) await time.pass(1_000);
  await time.pass(2_000);
  const end = await progress(id);
  expect(end?.state).toBe('completed');
  if (older !== undefined) await batches.progress(id, older);
  await time.pass(3_000);
  expect(await progress(id)).toEqual(end);
  expect((await batches.active()).length).toBe(0);
  await stop();
});

test('whoever takes the later of the two words, board and store, never sees a batch go back', async () => {
  const bench = aBatchBench(60, { threads: 3 });
  const { create, lead, progress, time, board, queue } = bench;
  const { stop } = lead();
  const { id } = await create();
  await time.pass(1_000);
  let most = 0;
  for (let round = 0; round < 150; round++) {
    // Some are made out of turn, and the first of all last.
    const waiting = [...queue.jobs.values()].filter(({ fate }) => fate.state === 'queued');
    const next = waiting[round % 2 === 0 && waiting.length > 1 ? 1 : 0] ?? waiting[0];
    if (next !== undefined && (round > 100 || next.job.key !== bench.key(0))) {
      bench.shelf.put(next.job.key, { batch: id });
      queue.finish(next.job.key);
    }
    for (let step = 0; step < 4; step++) {
      await time.pass(130);
      const [word, record] = [board.get(id), await progress(id)];
      const [wordAt, recordAt] = [Date.parse(word?.at ?? ''), Date.parse(record?.at ?? '')];
      const shown = (recordAt >= wordAt ? record : word)?.done ?? 0;
      expect(shown).toBeGreaterThanOrEqual(most);
      most = shown;
    }
  }
  await makeRest(bench);
  expect(await progress(id)).toMatchObject({ state: 'completed', done: 60 });
  await stop();
});

test('two batches over the same chunks share the work', async () => {
  const bench = aBatchBench(6);
  const { create, lead, progress, time } = bench;
  const { stop } = lead();
  const [one, other] = [await create(), await create()];
  await time.pass(1_000);
  await makeRest(bench);
  await makeRest(bench);
  expect([await progress(one.id), await progress(other.id)]).toMatchObject([
    { state: 'completed', done: 6, skipped: 0 },
    { state: 'completed', done: 0, skipped: 6 },
  ]);
  expect(bench.queue.added.length).toBe(6);
  await stop();
});

test('only the part of the dataset that was asked for is made', async () => {
  const bench = aBatchBench(10);
  const { create, lead, progress, time, queue } = bench;
  const { stop } = lead();
  const { id } = await create({ range: { first: 35, end: 61 }, chunks: 4 });
  await time.pass(1_000);
  await makeRest(bench);
  expect(await progress(id)).toMatchObject({ state: 'completed', done: 4, cursor: 7 });
  expect(queue.added.map(({ chunk }) => chunk.range.first)).toEqual([30, 40, 50, 60]);
  await stop();
});
