// What is held for event ranges stays when room is needed, and goes like everything else once it was delivered.
import { expect, test } from 'vitest';
import { Capacity } from '../../store/capacity.ts';
import { Catalog } from '../../store/catalog.ts';
import { Chunks } from '../../store/chunks.ts';
import { Evictor } from '../../store/eviction.ts';
import { MemoryHoldBook } from '../../store/memory-hold-book.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { MemoryUsageBook } from '../../store/memory-usage-book.ts';
import { verifying } from '../../store/verifying.ts';
import { aChunk, aDataset, chunkBytes } from './a-chunk.ts';

const dataset = aDataset({ events: 1e6 });
const limits = { bytesMax: 1e9, chunksMax: 1000, rangesMax: 1000 };
const hourMs = 3600_000;

async function setUp(options: { room?: number; isHeld?: (key: string) => Promise<boolean> } = {}) {
  const clock = { ms: Date.parse('2030-06-01T00:00:00Z'), now: () => clock.ms };
  const inner = new MemoryStore(clock);
  const chunks = new Chunks(verifying(inner));
  const catalog = new Catalog(inner, clock);
  await catalog.declare(dataset);
  const book = new MemoryUsageBook(clock);
  const holds = new MemoryHoldBook(clock);
  let asked = 0;
  const evictor = new Evictor({
    chunks,
    catalog,
    canRemake: () => true,
    book,
    rangeHolds: {
      isHeld: (key) => {
        asked++;
        return options.isHeld?.(key) ?? holds.isHeld(key);
      },
    },
  });
  const capacityBytes = (options.room ?? 4) * chunkBytes;
  const capacity = new Capacity({ book, chunks, evictor, clock, capacityBytes });
  const store = async (index: number) => {
    const { chunk, parts, bytes } = aChunk({ dataset, index });
    const reservation = await capacity.reserve(bytes.length);
    await chunks.put(chunk, parts);
    await reservation.settle(chunk, bytes.length);
    clock.ms += 1000;
  };
  const stored = async () => {
    const indices: number[] = [];
    for await (const { chunk } of chunks.list(dataset.derivationId, 32)) indices.push(chunk.range.first / 64);
    return indices;
  };
  const { events, chunkEvents, batchEvents, derivationId: derivation } = dataset;
  /** All events of these chunks. */
  const range = (first: number, end: number) => ({ first: first * chunkEvents, end: end * chunkEvents });
  const hold = (first: number, end: number) =>
    holds.hold(
      [{ derivation, range: range(first, end), grid: { events, chunkEvents, batchEvents }, chunkBytes }],
      hourMs,
      limits,
    );
  const deliver = (first: number, end: number) => holds.delivered(derivation, range(first, end));
  return { clock, evictor, store, stored, hold, deliver, asked: () => asked };
}

test('held chunks stay until they are delivered, however long they were not used', async () => {
  const { clock, store, stored, hold, deliver } = await setUp();
  await hold(0, 2);
  for (const index of [0, 1, 2, 3, 4, 5, 6]) await store(index);
  expect(await stored()).toEqual([0, 1, 5, 6]);
  await deliver(0, 2);
  // Asked about again after two seconds.
  clock.ms += 2_000;
  for (const index of [7, 8, 9, 10]) await store(index);
  expect(await stored()).toEqual([7, 8, 9, 10]);
});

test('a chunk may be held before it is made, and what is never delivered goes when its time is up', async () => {
  const { clock, store, stored, hold } = await setUp();
  await hold(2, 3);
  for (const index of [2, 3, 4, 5, 6]) await store(index);
  expect(await stored()).toEqual([2, 4, 5, 6]);
  clock.ms += hourMs;
  for (const index of [7, 8, 9, 10]) await store(index);
  expect(await stored()).not.toContain(2);
});

test('a store full of held chunks says so, without asking about each again and again, and has room once they are delivered', async () => {
  const { clock, store, stored, hold, deliver, asked } = await setUp({ room: 8 });
  await hold(0, 8);
  for (let index = 0; index < 8; index++) await store(index);
  for (let i = 0; i < 3; i++) {
    await expect(store(20)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      details: { hint: expect.stringContaining('event ranges') },
    });
  }
  expect(asked()).toBe(8);
  expect(await stored()).toHaveLength(8);
  await deliver(0, 8);
  clock.ms += 2_000;
  await store(20);
  expect(await stored()).toContain(20);
});

test('a person may evict what is held, and so may who needs room while nobody can read what is', async () => {
  const { evictor, store, stored, hold } = await setUp();
  await hold(0, 4);
  for (const index of [0, 1]) await store(index);
  await expect(evictor.evict(aChunk({ dataset, index: 0 }).chunk)).rejects.toMatchObject({ code: 'PINNED' });
  expect(await evictor.evictSpan(dataset)).toMatchObject({ chunks: 2 });
  expect(await stored()).toEqual([]);
  const away = await setUp({ isHeld: () => Promise.reject(new Error('Redis is away')) });
  for (const index of [0, 1, 2, 3, 4]) await away.store(index);
  expect(await away.stored()).toEqual([1, 2, 3, 4]);
});
