import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { chunkOf, type Dataset } from '../../core/dataset.ts';
import { reservationMs } from '../../core/usage-book.ts';
import { Capacity } from '../../store/capacity.ts';
import { defaultCapacityBytes, rememberedCapacityBytes } from '../../store/capacity-default.ts';
import { Catalog } from '../../store/catalog.ts';
import { Chunks } from '../../store/chunks.ts';
import { Evictor } from '../../store/eviction.ts';
import { FsStore } from '../../store/fs-store.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { MemoryUsageBook } from '../../store/memory-usage-book.ts';
import { verifying } from '../../store/verifying.ts';
import { temporaryFolder } from '../temp.ts';
import { aChunk, aDataset, aDerivation, chunkBytes } from './a-chunk.ts';
import { failing, unavailable, watched } from './faults.ts';

const dataset = aDataset({ events: 1e6 });
/** Several workers over one store and one book, each with its own memory. */
async function setUp(options: { room?: number; workers?: number; canRemake?: (dataset: Dataset) => boolean } = {}) {
  const inner = new MemoryStore({ now: () => clock.ms++ });
  const { store, calls, state } = watched(inner);
  const clock = { ms: Date.parse('2030-06-01T00:00:00Z'), now: () => clock.ms };
  const book = new MemoryUsageBook(clock);
  const chunks = new Chunks(verifying(store));
  const catalog = new Catalog(store, clock);
  const worker = () => {
    const evictor = new Evictor({
      chunks,
      catalog: new Catalog(store, clock),
      canRemake: options.canRemake ?? (() => true),
      book,
    });
    return new Capacity({ book, chunks, evictor, clock, capacityBytes: Math.floor((options.room ?? 4) * chunkBytes) });
  };
  await catalog.declare(dataset);
  const capacities = Array.from({ length: options.workers ?? 1 }, worker);
  const capacity = capacities[0] as Capacity;
  /** As a worker stores a chunk. */
  const storeOne = async (index: number, by = capacity, of = dataset) => {
    const { chunk, parts, bytes } = aChunk({ dataset: of, index: index });
    const reservation = await by.reserve(bytes.length);
    await chunks.put(chunk, parts);
    await reservation.settle(chunk, bytes.length);
    clock.ms += 1000;
    return chunk;
  };
  const stored = async () => {
    const indices: number[] = [];
    for await (const { chunk } of chunks.list(dataset.derivationId, 32)) indices.push(chunk.range.first / 64);
    return indices;
  };
  const pin = (of: Dataset) =>
    catalog.pin({
      scope: of.scope,
      name: of.name,
      pinnedAt: '2030-06-01T00:00:00.000Z',
      expiresAt: '2030-06-02T00:00:00.000Z',
    });
  return {
    inner,
    calls,
    state,
    clock,
    book,
    chunks,
    catalog,
    capacity,
    capacities,
    worker,
    store: storeOne,
    stored,
    pin,
  };
}

const full = { code: 'STORE_UNAVAILABLE', details: { detail: 'The store is full and nothing may be evicted.' } };

test('while there is room nothing is evicted', async () => {
  const { store, stored, book } = await setUp();
  for (const index of [0, 1, 2, 3]) await store(index);
  expect(await stored()).toEqual([0, 1, 2, 3]);
  expect(await book.usage()).toEqual({ usedBytes: 4 * chunkBytes, reservedBytes: 0 });
});

test('at the capacity the least recently used chunk goes first', async () => {
  const { store, stored, book, clock } = await setUp();
  for (const index of [0, 1, 2, 3]) await store(index);
  await book.touch([{ key: aChunk({ dataset, index: 0 }).key, usedAtMs: clock.now() }]);
  await store(4);
  expect(await stored()).toEqual([0, 2, 3, 4]);
  await store(5);
  expect(await stored()).toEqual([0, 3, 4, 5]);
});

test('who may take a share only makes room within it, and leaves the rest to others', async () => {
  const { store, stored, capacity, pin } = await setUp();
  for (const index of [0, 1, 2, 3]) await store(index);
  const half = await capacity.reserve(chunkBytes, 0.5);
  expect(await stored()).toEqual([3]);
  await half.release();
  await store(4);
  await pin(dataset);
  await expect(capacity.reserve(chunkBytes, 0.5)).rejects.toMatchObject(full);
  await store(5);
  expect(await stored()).toEqual([3, 4, 5]);
});

test('an evicted chunk leaves its digest, and comes back with the same', async () => {
  const { store, chunks } = await setUp({ room: 1 });
  const first = await store(0);
  await store(1);
  expect(await chunks.get(first)).toBeUndefined();
  const again = aChunk({ dataset, index: 0 });
  expect(await chunks.recordDigest(first, again)).toBe('same');
});

test('as much goes as is needed, and no more', async () => {
  const { capacity, store, stored } = await setUp({ room: 4.5 });
  for (const index of [0, 1, 2, 3]) await store(index);
  const reservation = await capacity.reserve(2 * chunkBytes);
  expect(await stored()).toEqual([2, 3]);
  await reservation.release();
  await reservation.release();
  await store(9);
  expect(await stored()).toEqual([2, 3, 9]);
});

test('many that reserve at once evict what is needed for all of them, once', async () => {
  const { capacity, store, stored, book, calls } = await setUp({ room: 8 });
  for (let index = 0; index < 8; index++) await store(index);
  calls.length = 0;
  await Promise.all(Array.from({ length: 5 }, () => capacity.reserve(chunkBytes)));
  expect(await stored()).toEqual([5, 6, 7]);
  expect(await book.usage()).toEqual({ usedBytes: 3 * chunkBytes, reservedBytes: 5 * chunkBytes });
  // Nobody has looked at a chunk that another was about to take.
  expect(calls.filter((call) => call.startsWith('get chunks/'))).toHaveLength(5);
});

test('pinned chunks stay, wherever they stand in the line', async () => {
  const { store, stored, catalog, pin } = await setUp();
  const short = aDataset({ name: 'short', events: 2 * 64 });
  await catalog.declare(short);
  await pin(short);
  for (const index of [0, 1, 2, 3, 4, 5, 6]) await store(index);
  expect(await stored()).toEqual([0, 1, 5, 6]);
});

test('room that is only promised to chunks being made is waited for', async () => {
  const { capacity, store, stored, pin } = await setUp();
  const other = aDataset({ name: 'other', derivation: aDerivation(7), events: 1e6 });
  await store(0);
  await store(1);
  await pin(dataset);
  const promised = await capacity.reserve(2 * chunkBytes);
  // More than there ever will be beside what is pinned: refused at once.
  await expect(capacity.reserve(3 * chunkBytes)).rejects.toMatchObject(full);
  const waiting = capacity.reserve(chunkBytes);
  const { chunk, bytes } = aChunk({ dataset: other, index: 0 });
  await promised.settle(chunk, bytes.length);
  await waiting;
  expect(await stored()).toEqual([0, 1]);
});

test('fossils stay', async () => {
  const other = aDataset({ name: 'other', derivation: aDerivation(7), events: 1e6 });
  const { store, stored, catalog, chunks } = await setUp({ canRemake: (of) => of.name !== 'other' });
  await catalog.declare(other);
  const fossil = await store(0, undefined, other);
  for (const index of [0, 1, 2, 3, 4]) await store(index);
  expect(await chunks.get(fossil)).toBeDefined();
  expect(await stored()).toEqual([2, 3, 4]);
});

test('when nothing may be evicted the reservation fails clearly, and holds nothing', async () => {
  const { capacity, store, stored, book, pin } = await setUp();
  for (const index of [0, 1, 2, 3]) await store(index);
  await pin(dataset);
  await expect(capacity.reserve(chunkBytes)).rejects.toMatchObject(full);
  expect(await stored()).toEqual([0, 1, 2, 3]);
  expect(await book.usage()).toEqual({ usedBytes: 4 * chunkBytes, reservedBytes: 0 });
});

test('more than the capacity is refused without evicting anything', async () => {
  const { capacity, store, stored } = await setUp();
  for (const index of [0, 1]) await store(index);
  await expect(capacity.reserve(5 * chunkBytes)).rejects.toMatchObject(full);
  expect(await stored()).toEqual([0, 1]);
});

test('a chunk that may not go is not asked about again for a minute', async () => {
  const { capacity, calls, clock, store, pin, catalog, stored } = await setUp();
  for (const index of [0, 1, 2, 3]) await store(index);
  await pin(dataset);
  await expect(capacity.reserve(chunkBytes)).rejects.toMatchObject(full);
  calls.length = 0;
  await expect(capacity.reserve(chunkBytes)).rejects.toMatchObject(full);
  expect(calls).toEqual([]);
  await catalog.unpin(dataset);
  clock.ms += 60_001;
  await capacity.reserve(chunkBytes);
  expect(await stored()).toHaveLength(3);
});

test('more pinned chunks than one look takes in do not hide one that may go', async () => {
  const { store, stored, catalog, pin, chunks, inner } = await setUp({ room: 301 });
  const short = aDataset({ name: 'short', events: 300 * 64 });
  await catalog.declare(short);
  await pin(short);
  for (let index = 0; index < 301; index++) await store(index);
  expect(await chunks.head(chunkOf(dataset, 300))).toBeDefined();
  await store(400);
  expect(await chunks.head(chunkOf(dataset, 300))).toBeUndefined();
  expect((await stored()).length).toBe(301);
  expect(await inner.list('quarantine/')).toEqual([]);
});

test('a chunk that somebody removed by hand makes room by being noticed', async () => {
  const { store, stored, chunks, capacity } = await setUp();
  for (const index of [0, 1, 2, 3]) await store(index);
  await chunks.delete(chunkOf(dataset, 0));
  await capacity.reserve(chunkBytes);
  expect(await stored()).toEqual([1, 2, 3]);
});

test('a damaged victim is put into quarantine and its room is free', async () => {
  const { store, stored, inner } = await setUp();
  for (const index of [0, 1, 2, 3]) await store(index);
  const { name, bytes } = aChunk({ dataset, index: 0 });
  await inner.put(name, [bytes.subarray(1)]);
  await store(4);
  expect(await stored()).toEqual([1, 2, 3, 4]);
  expect(await inner.list('quarantine/')).toHaveLength(1);
});

test('a lost book is rebuilt from the store, the oldest written first', async () => {
  const { store, stored, chunks, catalog, clock } = await setUp();
  for (const index of [3, 1, 0, 2]) await store(index);
  const book = new MemoryUsageBook(clock);
  const evictor = new Evictor({ chunks, catalog, canRemake: () => true, book });
  const capacity = new Capacity({ book, chunks, evictor, clock, capacityBytes: 4 * chunkBytes });
  await store(9, capacity);
  expect(await stored()).toEqual([0, 1, 2, 9]);
  expect(await book.usage()).toEqual({ usedBytes: 4 * chunkBytes, reservedBytes: 0 });
});

test('the reservation of a killed process lapses', async () => {
  const { capacity, worker, clock, store } = await setUp();
  await capacity.reserve(4 * chunkBytes);
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const refused = expect(worker().reserve(chunkBytes)).rejects.toMatchObject(full);
  await vi.advanceTimersByTimeAsync(20_000);
  await refused;
  clock.ms += reservationMs;
  await store(0, worker());
});

test('a process that lives keeps what was promised to it, however long a chunk takes, and until then only', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const { book, capacity, clock, chunks } = await setUp();
  const [slow, quick] = [await capacity.reserve(3 * chunkBytes), await capacity.reserve(chunkBytes)];
  const minutes = async (count: number) => {
    for (let i = 0; i < 12 * count; i++) {
      clock.ms += 5_000;
      await vi.advanceTimersByTimeAsync(5_000);
    }
  };
  await minutes(5);
  expect(await book.usage()).toEqual({ usedBytes: 0, reservedBytes: 4 * chunkBytes });
  const { chunk, parts, bytes } = aChunk({ dataset });
  await chunks.put(chunk, parts);
  await slow.settle(chunk, bytes.length);
  await minutes(5);
  expect(await book.usage()).toEqual({ usedBytes: chunkBytes, reservedBytes: chunkBytes });
  await quick.release();
  expect(await book.usage()).toEqual({ usedBytes: chunkBytes, reservedBytes: 0 });
  expect(vi.getTimerCount()).toBe(0);
});

test('one chunk that the disk cannot read does not stop the others from making room for ever', async () => {
  const { inner, clock, book, store, stored, catalog } = await setUp();
  for (const index of [0, 1, 2, 3]) await store(index);
  const bad = aChunk({ dataset, index: 0 }).name;
  const chunks = new Chunks(
    verifying(
      failing(inner, (operation, name) => {
        if (operation === 'get' && name === bad) throw unavailable();
      }),
    ),
  );
  const evictor = new Evictor({ chunks, catalog, canRemake: () => true, book });
  const capacity = new Capacity({ book, chunks, evictor, clock, capacityBytes: 4 * chunkBytes });
  await expect(capacity.reserve(chunkBytes)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await capacity.reserve(chunkBytes);
  expect(await stored()).toEqual([0, 2, 3]);
});

test('workers that share a store and a book keep within the capacity whatever they do', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.nat(30), { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 4 }),
      async (plans) => {
        const { capacities, store, book, chunks, inner } = await setUp({ room: 5, workers: plans.length });
        const over: number[] = [];
        const check = async () => {
          const usage = await book.usage();
          const bytes = (await inner.list('chunks/')).reduce((sum, info) => sum + info.bytes, 0);
          if (bytes > 5 * chunkBytes || (usage && usage.usedBytes + usage.reservedBytes > 5 * chunkBytes))
            over.push(bytes);
        };
        await Promise.all(
          plans.map(async (plan, i) => {
            for (const index of plan) {
              await store(index, capacities[i]);
              await check();
            }
          }),
        );
        expect(over).toEqual([]);
        let bytes = 0;
        for await (const chunk of chunks.all()) bytes += chunk.bytes;
        expect(bytes).toBeLessThanOrEqual((await book.usage())?.usedBytes ?? 0);
        expect((await book.usage())?.reservedBytes).toBe(0);
      },
    ),
    { numRuns: 30 },
  );
});

test('the default capacity is most of the free space, and a figure once decided stays', async () => {
  const folder = await temporaryFolder();
  const decided = await defaultCapacityBytes(folder);
  expect(decided).toBeGreaterThan(0);
  expect(decided).toBeLessThan(Number.MAX_SAFE_INTEGER);
  await expect(defaultCapacityBytes(`${folder}/absent`)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  const store = new FsStore(folder);
  const figures = await Promise.all([11, 12, 13].map((figure) => rememberedCapacityBytes(store, async () => figure)));
  expect(new Set(figures).size).toBe(1);
  expect(await rememberedCapacityBytes(store, async () => 99)).toBe(figures[0]);
  await store.put('capacity.json', [Buffer.from('{"capacityBytes": "much"}')]);
  await expect(rememberedCapacityBytes(store, async () => 99)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});
