// Fillings over fakes: what is made, what is passed over, what is counted, and what ends it.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { EvokeError } from '../../core/errors.ts';
import type { Tally } from '../../core/work-state.ts';
import { Filling } from '../../scheduler/filling.ts';
import { settle } from './manual-time.ts';
import { aBench, aFilling, type Bench, otherGrid } from './shelf.ts';

const never = new AbortController().signal;
const hourMs = 3_600_000;

const total = ({ done, skipped, failed }: Tally) => done + skipped + failed;

test('what was stored before is passed over, the rest is made in order, with a window of chunks on order', async () => {
  const bench = aBench(8);
  const { queue, shelf, key, time } = bench;
  for (const index of [0, 3, 4]) shelf.put(key(index), {}, time.now() - hourMs);
  const filling = aFilling(bench);
  const end = filling.run(never);
  await settle();
  expect(queue.added.map((job) => job.key)).toEqual([1, 2, 5].map(key));
  expect(queue.added[0]).toMatchObject({ batch: 'b', requestId: 'request', dataset: 'test:d1' });
  const made: (number | undefined)[] = [];
  for (let i = 0; i < 5; i++) {
    made.push(bench.makeNext());
    await settle();
    expect(filling.onOrder.size).toBeLessThanOrEqual(3);
  }
  expect(made).toEqual([1, 2, 5, 6, 7]);
  expect(await end).toEqual({ state: 'filled' });
  expect(filling.checkpoint).toEqual({ cursor: 8, done: 5, skipped: 3, failed: 0, cpuMicros: 5_000_000 });
  // Nothing is asked about chunks that the listing shows as old.
  expect(shelf.calls).toMatchObject({ list: 1, trailer: 5 });
});

test('the trailer decides whose a chunk is: made by itself, for others meanwhile, or found stored when its turn came', async () => {
  const bench = aBench(4);
  const { queue, shelf, key } = bench;
  shelf.put(key(0), { batch: 'b', cpuSeconds: 0.25 });
  shelf.put(key(1), { batch: 'another' });
  const filling = aFilling(bench);
  const end = filling.run(never);
  await settle();
  // Somebody else's order was first, and is joined.
  shelf.put(key(2), { requestId: 'somebody' });
  queue.finish(key(2), 100, false);
  await settle();
  bench.makeNext();
  expect(await end).toEqual({ state: 'filled' });
  expect(filling.tally).toEqual({ done: 2, skipped: 2, failed: 0, cpuMicros: 1_250_000 });
});

test('work that is no batch counts by its request', async () => {
  const bench = aBench(3);
  const { shelf, key } = bench;
  shelf.put(key(0), { requestId: 'request' });
  shelf.put(key(1), { requestId: 'another' });
  const { dataset, flights, time } = bench;
  const span = { first: 0, end: 3 };
  const asked = { requestId: 'request', sinceMs: time.now(), priority: 'interactive' as const, window: () => 3 };
  const filling = new Filling({ dataset, span, chunks: shelf, flights, time, ...asked });
  bench.makeAll();
  expect(await filling.run(never)).toEqual({ state: 'filled' });
  expect(filling.tally).toMatchObject({ done: 2, skipped: 1 });
});

test('whatever is killed in between, whoever goes on from an earlier checkpoint comes to the exact tally', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        old: fc.uniqueArray(fc.nat(19), { maxLength: 8 }),
        others: fc.uniqueArray(fc.nat(19), { maxLength: 6 }),
        failing: fc.uniqueArray(fc.nat(19), { maxLength: 3 }),
        killedAfter: fc.array(fc.nat(12), { maxLength: 4 }),
        windows: fc.nat(5),
        staleness: fc.nat(2),
      }),
      async ({ old, others, failing, killedAfter, windows, staleness }) => {
        const bench = aBench(20);
        const { queue, shelf, key, time, dataset } = bench;
        for (const index of old) shelf.put(key(index), {}, time.now() - hourMs);
        const sinceMs = time.now();
        const checkpoints: Filling['checkpoint'][] = [];
        let after = 0;
        for (const rounds of [...killedAfter, Number.POSITIVE_INFINITY]) {
          const kill = new AbortController();
          const from = checkpoints.at(-1 - Math.min(staleness, Math.max(0, checkpoints.length - 1)));
          const filling = aFilling(bench, { sinceMs, window: () => windows + 1, ...(from && { from }) });
          const run = filling.run(kill.signal);
          let end: string | undefined;
          void run.then(({ state }) => {
            end = state;
          });
          for (let round = 0; round < rounds && end === undefined; round++, after++) {
            await settle();
            const other = others[after];
            if (other !== undefined && !failing.includes(other) && !shelf.stored.has(key(other))) {
              // Made for somebody else, behind the filling's back.
              shelf.put(key(other), { requestId: 'somebody' });
            }
            const next = [...queue.jobs.values()].find(({ fate }) => fate.state === 'queued');
            const index = (next?.job.chunk.range.first ?? 0) / dataset.chunkEvents;
            if (next !== undefined && failing.includes(index)) queue.fail(next.job.key);
            else if (next !== undefined && shelf.stored.has(next.job.key)) queue.finish(next.job.key, 100, false);
            else bench.makeNext();
            await settle();
            checkpoints.push(filling.checkpoint);
          }
          kill.abort();
          await run;
          // A failure is remembered for a minute.
          await time.pass(61_000);
        }
        const last = checkpoints.at(-1);
        const own = [...shelf.stored.values()].filter(({ provenance }) => provenance?.batch === 'b').length;
        expect(last).toMatchObject({ cursor: 20, done: own, cpuMicros: own * 1_000_000 });
        expect(total(last as Tally)).toBe(20);
        expect((last?.skipped ?? 0) + own).toBe(shelf.stored.size);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

test('called back, it takes back what no worker has begun, and counts what was begun', async () => {
  const bench = aBench();
  const { queue, shelf, key } = bench;
  const filling = aFilling(bench);
  const end = filling.run(never);
  await settle();
  queue.begin(key(0));
  filling.recall();
  await settle();
  expect([...queue.jobs.values()].map(({ job }) => job.key)).toEqual([key(0)]);
  expect([...filling.onOrder.keys()]).toEqual([key(0)]);
  shelf.put(key(0), { batch: 'b' });
  queue.finish(key(0));
  expect(await end).toEqual({ state: 'stopped' });
  expect(filling.checkpoint).toMatchObject({ cursor: 1, done: 1, skipped: 0, failed: 0 });
});

test('called back while Redis is away, it waits for nothing', async () => {
  const bench = aBench();
  const filling = aFilling(bench);
  const end = filling.run(never);
  await settle();
  bench.queue.away = true;
  filling.recall();
  expect(await end).toEqual({ state: 'stopped' });
});

test('drained, it orders nothing more, and counts what comes', async () => {
  const bench = aBench();
  const filling = aFilling(bench);
  const end = filling.run(never);
  await settle();
  filling.drain();
  await settle();
  expect(filling.onOrder.size).toBe(3);
  while (bench.makeNext() !== undefined) await settle();
  expect(await end).toEqual({ state: 'stopped' });
  expect([filling.tally.done, bench.queue.added.length]).toEqual([3, 3]);
});

test('with the signal it leaves at once, and what is on order stays there for the next, who joins it', async () => {
  const bench = aBench(3);
  const leaving = new AbortController();
  const first = aFilling(bench);
  const left = first.run(leaving.signal);
  await settle();
  leaving.abort();
  expect(await left).toEqual({ state: 'left' });
  expect(bench.queue.withdrawn).toEqual([]);
  const next = aFilling(bench);
  bench.makeAll();
  expect(await next.run(never)).toEqual({ state: 'filled' });
  expect(bench.queue.added.length).toBe(3);
  expect([first.tally.done, next.tally.done]).toEqual([0, 3]);
});

test('while the queue is away it waits, says so, and goes on', async () => {
  const bench = aBench(4);
  bench.queue.away = true;
  const filling = aFilling(bench);
  const end = filling.run(never);
  await settle();
  expect(filling.waitsForQueue).toBe(true);
  await bench.time.pass(3_600_000);
  expect(filling.tally).toMatchObject({ done: 0, failed: 0 });
  bench.queue.away = false;
  bench.makeAll();
  await bench.time.pass(5_000);
  expect(await end).toEqual({ state: 'filled' });
  expect([filling.tally.done, filling.waitsForQueue]).toEqual([4, false]);
});

test('left while the queue is away, it asks for nothing more', async () => {
  const bench = aBench(4);
  bench.queue.away = true;
  const leaving = new AbortController();
  const left = aFilling(bench).run(leaving.signal);
  await settle();
  leaving.abort();
  expect(await left).toEqual({ state: 'left' });
  const { asked } = bench.queue;
  await bench.time.pass(60_000);
  expect([bench.queue.asked, bench.time.alarms]).toEqual([asked, 0]);
});

test('a flushed queue costs seconds, and no chunk', async () => {
  const bench = aBench(6);
  const filling = aFilling(bench);
  const end = filling.run(never);
  await settle();
  bench.queue.flush();
  bench.makeAll();
  await bench.time.pass(10_000);
  expect(await end).toEqual({ state: 'filled' });
  expect(filling.tally.done).toBe(6);
});

test('chunks that cannot be made are counted, and the first is remembered', async () => {
  const bench = aBench(12);
  const bad = [2, 7];
  bench.makeAll(({ key }) => (bad.map(bench.key).includes(key) ? { event: 21, detail: 'no such event' } : undefined));
  const filling = aFilling(bench);
  expect(await filling.run(never)).toEqual({ state: 'filled' });
  expect(filling.checkpoint).toMatchObject({ cursor: 12, done: 10, failed: 2 });
  expect(filling.firstFailure).toMatchObject({ code: 'GENERATION_FAILED', details: { event: 21 } });
});

test('ten failures in a row, or more failures than chunks after many, end it', async () => {
  const all = aBench(100);
  all.makeAll(() => ({}));
  const filling = aFilling(all);
  expect(await filling.run(never)).toMatchObject({ state: 'hopeless', error: { code: 'GENERATION_FAILED' } });
  expect(filling.tally.failed).toBeGreaterThanOrEqual(10);
  expect(filling.tally.failed).toBeLessThanOrEqual(13);

  const many = aBench(400);
  many.makeAll(({ chunk }) => ((chunk.range.first / 10) % 3 === 0 ? undefined : {}));
  const mostly = aFilling(many);
  expect(await mostly.run(never)).toMatchObject({ state: 'hopeless' });
  expect(mostly.tally.failed).toBeGreaterThanOrEqual(50);
  expect(mostly.tally.failed).toBeLessThan(60);
});

test('a generator that no worker carries ends it at once', async () => {
  const bench = aBench();
  bench.makeAll(() => ({ code: 'GENERATOR_NOT_REGISTERED', detail: 'not here' }));
  expect(await aFilling(bench).run(never)).toMatchObject({
    state: 'hopeless',
    error: { code: 'GENERATOR_NOT_REGISTERED', message: 'not here' },
  });
});

test('what cannot be kept ends it with nothing on order and nothing counted, and it can be tried again at once', async () => {
  const bench = aBench(20);
  let full = true;
  bench.makeAll(() => (full ? { code: 'STORE_UNAVAILABLE', detail: 'no space' } : undefined));
  const filling = aFilling(bench);
  expect(await filling.run(never)).toMatchObject({ state: 'unkept', error: { message: 'no space' } });
  expect([filling.onOrder.size, total(filling.tally)]).toEqual([0, 0]);
  expect(bench.queue.added.length).toBeLessThanOrEqual(4);
  full = false;
  const again = aFilling(bench, { from: filling.checkpoint });
  expect(await again.run(never)).toEqual({ state: 'filled' });
});

test('a store that cannot be listed or looked into is the same', async () => {
  const bench = aBench();
  bench.shelf.away = true;
  const away = { state: 'unkept', error: { code: 'STORE_UNAVAILABLE' } };
  expect(await aFilling(bench).run(never)).toMatchObject(away);
  bench.shelf.away = false;
  const filling = aFilling(bench);
  const end = filling.run(never);
  await settle();
  bench.shelf.away = true;
  bench.queue.finish(bench.key(0));
  await bench.time.pass(20_000);
  expect(await end).toMatchObject(away);
});

test('other failures are tried three times before the chunk counts as failed', async () => {
  const bench = aBench(1);
  let tries = 0;
  const board = async () => {
    tries++;
    throw new EvokeError('STORE_DISAGREES', { detail: 'absent twice' });
  };
  const filling = aFilling(bench, { flights: { board } });
  const end = filling.run(never);
  await bench.time.pass(10_000);
  expect(await end).toEqual({ state: 'filled' });
  expect([tries, filling.tally.failed, filling.firstFailure?.code]).toEqual([3, 1, 'STORE_DISAGREES']);
});

test('a budget is asked before every order, and waits for what is on order before it ends the work', async () => {
  const bench = aBench();
  // Four chunks of one second each; the window would take more.
  const mayOrder = (onOrder: number) => filling.tally.cpuMicros / 1e6 + onOrder + 1 <= 4;
  const filling: Filling = aFilling(bench, { mayOrder });
  const end = filling.run(never);
  for (let i = 0; i < 6; i++) {
    await settle();
    bench.makeNext();
  }
  expect(await end).toEqual({ state: 'spent' });
  expect([filling.tally.done, bench.queue.added.length]).toEqual([4, 4]);
});

test('what is stored already costs no budget', async () => {
  const bench = aBench(5);
  for (let i = 0; i < 5; i++) bench.shelf.put(bench.key(i), {}, bench.time.now() - hourMs);
  expect(await aFilling(bench, { mayOrder: () => false }).run(never)).toEqual({ state: 'filled' });
});

test('a damaged chunk is made again', async () => {
  const bench = aBench(2);
  bench.shelf.damage(bench.key(1));
  bench.makeAll();
  const filling = aFilling(bench);
  expect(await filling.run(never)).toEqual({ state: 'filled' });
  expect(filling.tally.done).toBe(2);
});

test('chunks of another grid of the same derivation are not taken for its own', async () => {
  const bench = aBench(4);
  for (let i = 0; i < 4; i++) {
    const key = chunkKey(otherGrid(bench.dataset, i));
    bench.shelf.put(key, {}, bench.time.now() - hourMs);
  }
  bench.makeAll();
  const filling = aFilling(bench);
  expect(await filling.run(never)).toEqual({ state: 'filled' });
  expect(filling.tally).toMatchObject({ done: 4, skipped: 0 });
});

test('one chunk that takes for ever lets the others go on, only so far', async () => {
  const bench = aBench(10_000);
  for (let i = 1; i < 10_000; i++) bench.shelf.put(bench.key(i), {}, bench.time.now() - hourMs);
  const filling = aFilling(bench);
  const end = filling.run(never);
  await settle();
  expect([filling.cursor, filling.tally.skipped]).toEqual([0, 4095]);
  bench.makeNext();
  expect(await end).toEqual({ state: 'filled' });
});

/** A dataset of a million chunks of which `isStored` says which are stored. */
function aMillion(bench: Bench, isStored: (index: number) => boolean) {
  const dataset = { ...bench.dataset, events: 10_000_000 };
  const span = { first: 0, end: 1_000_000 };
  const modifiedAtMs = bench.time.now() - hourMs;
  const chunks = Object.assign(bench.shelf, {
    async *list(derivation: string, batchEvents: number, { first, end }: { first: number; end: number }) {
      for (let at = first; at < end; at += 10) {
        if (!isStored(at / 10)) return;
        if (at % 10_000 === 0) await settle();
        yield { chunk: { derivation, batchEvents, range: { first: at, end: at + 10 } }, modifiedAtMs };
      }
    },
  });
  return { dataset, span, chunks };
}

test('a million stored chunks are passed over in seconds without a look at any', async () => {
  const bench = aBench();
  const filling = aFilling(
    bench,
    aMillion(bench, () => true),
  );
  expect(await filling.run(never)).toEqual({ state: 'filled' });
  expect(filling.tally.skipped).toBe(1_000_000);
  expect(bench.shelf.calls).toMatchObject({ head: 0, trailer: 0 });
}, 20_000);

test('a million absent chunks are begun at once, with a window of them in memory', async () => {
  const bench = aBench();
  const filling = aFilling(bench, { ...aMillion(bench, () => false), window: () => 8 });
  const leaving = new AbortController();
  const before = process.memoryUsage().heapUsed;
  const end = filling.run(leaving.signal);
  for (let i = 0; i < 500; i++) {
    await settle();
    bench.makeNext();
  }
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
  expect([bench.flights.size, filling.onOrder.size]).toEqual([8, 8]);
  leaving.abort();
  expect(await end).toEqual({ state: 'left' });
  expect(filling.cursor).toBeGreaterThanOrEqual(495);
});
