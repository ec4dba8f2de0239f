// A ride pulls its chunks: a window that follows the reader, room in memory that is shared fairly, deadlines, failures
// where they are reached, and endings that leave nothing behind.
import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { chunkIn, collect, dataset, setUp, whole } from './deliveries.ts';
import { codeOf, jobOf, workOn } from './fakes.ts';
import { settle } from './manual-time.ts';

test('chunks are ordered in the order in which they are needed, however long each look takes', async () => {
  const { chunks, open, orders } = setUp();
  const looks = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  chunks.gate = (what, key) =>
    what === 'head' ? looks[Math.floor(Number(key.slice(-16)) / 10) - 1]?.promise : undefined;
  const ride = await open(whole);
  void codeOf(ride.next());
  for (const look of looks.slice(1)) look.resolve();
  await settle();
  expect(orders()).toEqual([]);
  looks[0]?.resolve();
  await settle();
  expect(orders()).toEqual([0, 1, 2, 3, 4]);
  await ride.return();
});

test('chunks for which there was no room ahead are read when there is', async () => {
  const { chunks, delivery, open } = setUp({ windowBytes: 250 });
  for (let index = 0; index < 3; index++) chunks.put(dataset, index);
  const ride = await open({ first: 0, end: 30 });
  await ride.next();
  await settle();
  expect([delivery.usedBytes, chunks.calls.get]).toEqual([200, 2]);
  await ride.next();
  await settle();
  expect([delivery.usedBytes, chunks.calls.get]).toEqual([200, 3]);
  await ride.return();
});

test('a chunk that was being read ahead and comes from memory instead is held once, and let go', async () => {
  const { chunks, delivery, open } = setUp();
  for (let index = 0; index < 2; index++) chunks.put(dataset, index);
  const reading = Promise.withResolvers<void>();
  chunks.gate = (what, key) => (what === 'get' && key.endsWith('20') ? reading.promise : undefined);
  const ride = await open({ first: 0, end: 20 });
  await ride.next();
  await settle();
  chunks.remember(dataset, 1);
  expect(await chunkIn(ride.next())).toMatchObject({ means: 'memory' });
  reading.resolve();
  await settle();
  expect(delivery.usedBytes).toBe(100);
  await ride.next();
  expect(delivery.usedBytes).toBe(0);
});

test('orders ahead of need leave half of the flights to what is needed now', async () => {
  const { open, orders } = setUp({ flightsMax: 4 });
  const ride = await open(whole);
  void codeOf(ride.next());
  await settle();
  expect(orders()).toEqual([0, 1]);
  await ride.return();
});

test('the window doubles while the reader waits for chunks being made, up to 64', async () => {
  const { open, land, orders } = setUp();
  const long = { first: 0, end: 1000 };
  const ride = await open(long);
  const windows: number[] = [];
  for (let index = 0; index < 20; index++) {
    const next = ride.next();
    await settle();
    windows.push(orders().length - index - 1);
    land(index);
    await next;
  }
  // The first wait is nobody's fault.
  expect(windows.slice(0, 7)).toEqual([4, 8, 16, 32, 64, 64, 64]);
  expect(windows.at(-1)).toBe(64);
  await ride.return();
});

test('the window shrinks to one chunk for a reader that takes its time', async () => {
  const { time, queue, chunks, open } = setUp();
  workOn(queue, chunks);
  const ride = await open(whole);
  for (let i = 0; i < 10; i++) {
    await ride.next();
    await time.pass(5_000);
  }
  expect(ride.ahead).toBe(1);
  const before = queue.added.length;
  await ride.next();
  await time.pass(5_000);
  expect(queue.added.length - before).toBe(1);
  expect(queue.added).toHaveLength(12);
  await ride.return();
});

test('a slow reader with a full window harms nobody: its chunks held ahead make room', async () => {
  const { time, chunks, delivery, open } = setUp({ windowBytes: 500 });
  for (let index = 0; index < 100; index++) chunks.put(dataset, index);
  const slow = await open(whole);
  await slow.next();
  await settle();
  expect(delivery.usedBytes).toBe(500);
  const quick = await open({ first: 500, end: 900 });
  expect(await collect(quick)).toHaveLength(40);
  // Nobody had to wait for a clock.
  expect(time.now()).toBe(1_700_000_000_000);
  const rest = await collect(slow);
  expect(rest).toHaveLength(99);
  expect(delivery.usedBytes).toBe(0);
});

test('no room for the chunk that is needed now within five seconds is an answer', async () => {
  const { time, chunks, delivery, open } = setUp({ windowBytes: 150 });
  for (let index = 0; index < 10; index++) chunks.put(dataset, index);
  const holder = await open({ first: 0, end: 10 });
  await holder.next();
  const waiting = await open({ first: 10, end: 20 });
  const refused = codeOf(waiting.next());
  const served = await open({ first: 20, end: 30 });
  await time.pass(4_000);
  const next = served.next();
  await time.pass(1_000);
  expect(await refused).toBe('OVERLOADED');
  await holder.return();
  expect((await chunkIn(next)).part).toEqual({ first: 20, end: 30 });
  await served.return();
  expect(delivery.usedBytes).toBe(0);
});

test('a chunk that cannot be made fails the delivery where it is reached, and for good', async () => {
  const { queue, flights, delivery, open, land } = setUp();
  const ride = await open({ first: 0, end: 50 });
  const first = ride.next();
  await settle();
  queue.fail(jobOf(dataset, 2).key, { event: 23 });
  land(0);
  await chunkIn(first);
  land(1);
  await chunkIn(ride.next());
  await expect(ride.next()).rejects.toMatchObject({ code: 'GENERATION_FAILED', details: { event: 23 } });
  await expect(ride.next()).rejects.toMatchObject({ code: 'GENERATION_FAILED' });
  await settle();
  expect([flights.size, delivery.usedBytes]).toEqual([0, 0]);
});

test('what failed ahead of need because Redis was away is tried again when it is needed', async () => {
  const { queue, chunks, open, land } = setUp();
  chunks.put(dataset, 0);
  queue.away = true;
  const ride = await open({ first: 0, end: 20 });
  await chunkIn(ride.next());
  await settle();
  queue.away = false;
  const next = ride.next();
  await settle();
  land(1);
  expect((await chunkIn(next)).means).toBe('generate');
});

test('with Redis away a missing chunk fails after one try', async () => {
  const { queue, open } = setUp();
  let tries = 0;
  queue.add = async () => {
    tries++;
    throw new EvokeError('QUEUE_UNAVAILABLE');
  };
  const ride = await open({ first: 0, end: 10 });
  expect(await codeOf(ride.next())).toBe('QUEUE_UNAVAILABLE');
  expect(tries).toBe(1);
});

test('the deadline of a chunk counts from when it is needed', async () => {
  const { time, open, land } = setUp({ waitMs: 10_000 });
  const ride = await open({ first: 0, end: 20 });
  const first = ride.next();
  await time.pass(6_000);
  land(0);
  await chunkIn(first);
  const second = codeOf(ride.next());
  await time.pass(9_999);
  land(1);
  expect(await second).toBe('fulfilled');
  const late = await open({ first: 20, end: 30 });
  const code = codeOf(late.next());
  await time.pass(10_000);
  expect(await code).toBe('OVERLOADED');
});

test('a chunk that has to be ordered again has no longer deadline for that', async () => {
  const { time, queue, chunks, open } = setUp({ waitMs: 10_000 });
  chunks.put(dataset, 0);
  chunks.gate = (what) => {
    if (what === 'get') chunks.stored.clear();
  };
  const ride = await open({ first: 0, end: 10 });
  const code = codeOf(ride.next());
  await time.pass(6_000);
  // It lands, and is gone again.
  chunks.put(dataset, 0);
  queue.finish(jobOf(dataset, 0).key);
  await settle();
  expect(queue.added).toHaveLength(2);
  await time.pass(4_000);
  expect(await code).toBe('OVERLOADED');
});

for (const ending of ['return', 'abort', 'throw'] as const) {
  test(`after ${ending} all flights are left, all bytes are free, and a waiting reader is told`, async () => {
    const { time, queue, chunks, flights, delivery, open } = setUp();
    chunks.put(dataset, 0);
    chunks.put(dataset, 3);
    const leaving = new AbortController();
    const ride = await open(whole, leaving.signal);
    await chunkIn(ride.next());
    await settle();
    const pending = ride.next().then(
      ({ done }) => (done ? 'done' : 'a chunk'),
      (error: Error) => error.message,
    );
    await settle();
    expect(flights.size).toBeGreaterThan(2);
    if (ending === 'return') await ride.return();
    else if (ending === 'throw') await codeOf(ride.throw(new Error('thrown')));
    else leaving.abort(new Error('the client left'));
    expect(await pending).toBe({ return: 'done', abort: 'the client left', throw: 'thrown' }[ending]);
    expect(delivery.usedBytes).toBe(0);
    await settle();
    expect([flights.size, queue.jobs.size, time.alarms]).toEqual([0, 0, 0]);
    const again = await codeOf(ride.next());
    expect(again).toBe({ return: 'fulfilled', abort: 'the client left', throw: 'thrown' }[ending]);
  });
}

test('a reader that goes away while a chunk is being read leaves nothing behind', async () => {
  const { time, chunks, delivery, open } = setUp();
  for (let index = 0; index < 10; index++) chunks.put(dataset, index);
  const reading = Promise.withResolvers<void>();
  chunks.gate = (what) => (what === 'get' ? reading.promise : undefined);
  const leaving = new AbortController();
  const ride = await open({ first: 0, end: 100 }, leaving.signal);
  const pending = codeOf(ride.next());
  await settle();
  leaving.abort(new Error('left'));
  expect(await pending).toBe('left');
  reading.resolve();
  await settle();
  expect([delivery.usedBytes, time.alarms]).toEqual([0, 0]);
});

test('one delivery that goes away fails no other', async () => {
  const { open, land } = setUp();
  const leaving = new AbortController();
  const gone = codeOf((await open({ first: 0, end: 10 }, leaving.signal)).next());
  const stays = (await open({ first: 0, end: 10 })).next();
  await settle();
  leaving.abort(new Error('left'));
  expect(await gone).toBe('left');
  land(0);
  expect((await chunkIn(stays)).means).toBe('join');
});

test('a delivery with an aborted signal delivers nothing', async () => {
  const { chunks, open } = setUp();
  chunks.put(dataset, 0);
  const ride = await open({ first: 0, end: 10 }, AbortSignal.abort(new Error('left')));
  expect(await codeOf(ride.next())).toBe('left');
});
