// Delivery of event ranges: by the right means, in order and complete whatever is stored, in bounded memory.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkKey, chunksCovering } from '../../core/chunk.ts';
import { EvokeError } from '../../core/errors.ts';
import { chunkIn, collect, dataset, setUp, whole } from './deliveries.ts';
import { codeOf, datasetOf, jobOf, workOn } from './fakes.ts';
import { settle } from './manual-time.ts';

test('a range in memory is delivered without any I/O, and without waiting for more than microtasks', async () => {
  const { queue, chunks, delivery, open } = setUp();
  for (let index = 0; index < 5; index++) chunks.remember(dataset, index);
  let immediate = false;
  setImmediate(() => {
    immediate = true;
  });
  const ride = await open({ first: 3, end: 47 });
  const delivered = await collect(ride);
  expect(immediate).toBe(false);
  expect(ride.summary).toEqual({ hit: 5, joined: 0, generated: 0 });
  expect(delivered.map(({ means, part }) => [means, part.first, part.end])).toEqual([
    ['memory', 3, 10],
    ['memory', 10, 20],
    ['memory', 20, 30],
    ['memory', 30, 40],
    ['memory', 40, 47],
  ]);
  const { head, get, list } = chunks.calls;
  expect([head, get, list, queue.added.length, delivery.usedBytes]).toEqual([0, 0, 0, 0, 0]);
});

test('stored chunks come from the store, in order, with Redis away', async () => {
  const { queue, chunks, open } = setUp();
  queue.away = true;
  const stored = [1, 2, 3].map((index) => chunks.put(dataset, index));
  const ride = await open({ first: 10, end: 40 });
  const delivered = await collect(ride);
  expect(delivered.map(({ means }) => means)).toEqual(['near', 'near', 'near']);
  expect(delivered.map(({ stored }) => stored)).toEqual(stored);
  expect(ride.summary).toEqual({ hit: 3, joined: 0, generated: 0 });
});

test('missing chunks are generated, and the summary was known before', async () => {
  const { queue, chunks, open, touched } = setUp();
  workOn(queue, chunks);
  chunks.put(dataset, 1);
  const ride = await open({ first: 0, end: 40 });
  expect(ride.summary).toEqual({ hit: 1, joined: 0, generated: 3 });
  const delivered = await collect(ride);
  expect(delivered.map(({ means }) => means)).toEqual(['generate', 'near', 'generate', 'generate']);
  expect(delivered[0]).toMatchObject({ workMs: 40, queueMs: 0 });
  expect(delivered[1]).not.toHaveProperty('workMs');
  expect(touched).toEqual(delivered.map(({ chunk }) => chunkKey(chunk)));
  expect(queue.added[0]).toMatchObject({ requestId: 'r', derivation: dataset.derivation });
});

test('nothing is ordered before the first chunk is asked for, and a delivery that is only looked at leaves nothing', async () => {
  const { time, flights, delivery, open } = setUp();
  const ride = await open(whole);
  await settle();
  expect(ride.summary).toEqual({ hit: 0, joined: 0, generated: 100 });
  expect([flights.size, time.alarms, delivery.usedBytes]).toEqual([0, 0, 0]);
});

test('a short range is looked up chunk by chunk, a long one by a listing', async () => {
  const { chunks, open } = setUp();
  chunks.put(dataset, 2);
  await open({ first: 0, end: 160 });
  expect(chunks.calls).toMatchObject({ head: 16, list: 0 });
  const ride = await open({ first: 0, end: 170 });
  expect(chunks.calls).toMatchObject({ head: 16, list: 1 });
  expect(ride.summary).toEqual({ hit: 1, joined: 0, generated: 16 });
});

test('chunks on order for others are joined, as planned or as it turns out', async () => {
  const { queue, open, land } = setUp();
  const first = await open({ first: 0, end: 20 });
  const firstChunks = collect(first);
  await settle();
  await queue.add(jobOf(dataset, 2), 'interactive');
  const short = await open({ first: 0, end: 30 });
  const long = await open({ first: 0, end: 500 });
  expect(short.summary).toEqual({ hit: 0, joined: 2, generated: 1 });
  expect(long.summary).toEqual({ hit: 0, joined: 2, generated: 48 });
  const shortChunks = collect(short);
  await settle();
  // Another process's order, which only the queue knows of.
  for (const index of [0, 1, 2]) land(index);
  expect((await shortChunks).map(({ means }) => means)).toEqual(['join', 'join', 'join']);
  expect(short.summary).toEqual({ hit: 0, joined: 3, generated: 0 });
  expect((await firstChunks).map(({ means }) => means)).toEqual(['generate', 'generate']);
});

test('ten deliveries of one absent chunk cause one generation, and hold its bytes once', async () => {
  const { queue, delivery, open, land } = setUp();
  const rides = await Promise.all(Array.from({ length: 10 }, () => open({ first: 0, end: 10 })));
  const nexts = rides.map((ride) => ride.next());
  await settle();
  expect(queue.added).toHaveLength(1);
  land(0);
  const values = await Promise.all(nexts.map(chunkIn));
  expect(values.filter(({ means }) => means === 'generate')).toHaveLength(1);
  expect(delivery.usedBytes).toBe(100);
  for (const ride of rides) await ride.return();
  expect(delivery.usedBytes).toBe(0);
});

test('a damaged chunk is simply generated', async () => {
  const { queue, chunks, open } = setUp();
  workOn(queue, chunks);
  for (const index of [0, 1, 2]) chunks.put(dataset, index);
  const damaged = new Set([0, 1, 2].map((index) => jobOf(dataset, index).key));
  chunks.gate = (what, key) => {
    if (what === 'get' && damaged.delete(key)) chunks.stored.delete(key);
  };
  const delivered = await collect(await open({ first: 0, end: 30 }));
  expect(delivered.map(({ means }) => means)).toEqual(['generate', 'generate', 'generate']);
});

test('a chunk evicted between landing and reading is ordered again, twice at most', async () => {
  for (const [evictions, outcome] of [
    [2, 'fulfilled'],
    [3, 'STORE_DISAGREES'],
  ] as const) {
    const { queue, chunks, delivery, flights, open } = setUp();
    workOn(queue, chunks);
    let left = evictions;
    chunks.gate = (what, key) => {
      if (what === 'get' && left-- > 0) chunks.stored.delete(key);
    };
    expect(await codeOf(collect(await open({ first: 0, end: 10 })))).toBe(outcome);
    expect(queue.added).toHaveLength(3);
    expect([delivery.usedBytes, flights.size]).toEqual([0, 0]);
  }
});

test('a store that fails is told before anything is ordered', async () => {
  const { chunks, queue, open } = setUp();
  chunks.gate = () => {
    throw new EvokeError('STORE_UNAVAILABLE');
  };
  expect(await codeOf(open({ first: 0, end: 10 }))).toBe('STORE_UNAVAILABLE');
  expect(queue.added).toEqual([]);
});

test('any range of any grid is delivered whole, in order and within the budget, whatever is stored and however slow', async () => {
  const scenario = fc.record({
    events: fc.integer({ min: 1, max: 600 }),
    chunkEvents: fc.integer({ min: 1, max: 40 }),
    windowBytes: fc.integer({ min: 200, max: 3000 }),
    readers: fc.array(
      fc.record({
        a: fc.nat(),
        b: fc.nat(),
        paceMs: fc.constantFrom(0, 1, 30, 2000),
        leavesAfter: fc.option(fc.nat({ max: 20 })),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    stored: fc.array(fc.nat({ max: 600 }), { maxLength: 100 }),
    inMemory: fc.array(fc.nat({ max: 600 }), { maxLength: 30 }),
    workMs: fc.constantFrom(0, 3, 50, 1500),
  });
  await fc.assert(
    fc.asyncProperty(scenario, async ({ events, chunkEvents, windowBytes, readers, stored, inMemory, workMs }) => {
      const data = datasetOf(events, chunkEvents);
      const { time, queue, chunks, flights, delivery, open } = setUp({ windowBytes });
      const sizeOf = (key: string) => 20 + (Number(key.slice(-16)) % 7) * 25;
      const wait = (ms: number) => new Promise<void>((resolve) => time.after(ms, resolve));
      const { end } = chunksCovering({ first: 0, end: events }, chunkEvents);
      for (const index of stored) if (index < end) chunks.put(data, index, sizeOf(jobOf(data, index).key));
      for (const index of inMemory) if (index < end) chunks.remember(data, index, sizeOf(jobOf(data, index).key));
      workOn(queue, chunks, { bytes: sizeOf, pace: () => wait(workMs) });
      let peak = 0;
      const reading = readers.map(async ({ a, b, paceMs, leavesAfter }) => {
        const [first, last] = [a % events, b % events].sort((x, y) => x - y) as [number, number];
        const range = { first, end: last + 1 };
        const ride = await open(range, undefined, data);
        let at = first;
        let count = 0;
        try {
          for await (const { chunk, part, stored: bytes } of ride) {
            peak = Math.max(peak, delivery.usedBytes);
            expect(part.first).toBe(at);
            expect(part.end).toBe(Math.min(chunk.range.end, range.end));
            expect(bytes.length).toBe(sizeOf(chunkKey(chunk)));
            at = part.end;
            if (count++ === leavesAfter) return;
            await wait(paceMs);
          }
        } catch (error) {
          // Readers of two seconds a chunk may hold a small budget for longer than others wait.
          if (!(error instanceof EvokeError && error.code === 'OVERLOADED')) throw error;
          return;
        }
        expect(at).toBe(range.end);
        expect(ride.summary.hit + ride.summary.joined + ride.summary.generated).toBe(ride.chunks);
      });
      await time.pass(10_000_000);
      await Promise.all(reading);
      await settle();
      expect(peak).toBeLessThanOrEqual(windowBytes);
      expect([delivery.usedBytes, flights.size, time.alarms]).toEqual([0, 0, 0]);
    }),
    { numRuns: 100 },
  );
});
