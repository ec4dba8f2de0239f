import { expect, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { chunkOf, type Dataset } from '../../core/dataset.ts';
import type { EventRange } from '../../core/event-range.ts';
import { Catalog } from '../../store/catalog.ts';
import { Chunks } from '../../store/chunks.ts';
import { Evictor } from '../../store/eviction.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { verifying } from '../../store/verifying.ts';
import { aChunk, aDataset, aDerivation } from './a-chunk.ts';
import { unavailable, watched } from './faults.ts';

const dataset = aDataset();

async function setUp(
  options: {
    canRemake?: (dataset: Dataset) => boolean;
    stored?: readonly number[];
    isHeld?: (dataset: Dataset, range: EventRange) => Promise<boolean>;
  } = {},
) {
  const inner = new MemoryStore();
  const { store, calls, state } = watched(inner);
  const clock = { now: () => Date.parse('2030-06-01T00:00:00Z') };
  const chunks = new Chunks(verifying(store));
  const catalog = new Catalog(store, clock);
  const forgotten: string[] = [];
  const different: string[] = [];
  const evictor = new Evictor({
    chunks,
    catalog,
    canRemake: options.canRemake ?? (() => true),
    book: { mark: async () => 'a mark', forget: async (key) => void forgotten.push(key) },
    onDifferent: (chunk) => different.push(chunkKey(chunk)),
    ...(options.isHeld === undefined ? {} : { holds: { isHeld: options.isHeld } }),
  });
  await catalog.declare(dataset);
  for (const index of options.stored ?? [0, 1, 2, 15]) {
    const { chunk, parts } = aChunk({ dataset, index });
    await chunks.put(chunk, parts);
  }
  const pin = (name: string) =>
    catalog.pin({ scope: 'test', name, pinnedAt: '2030-06-01T00:00:00.000Z', expiresAt: '2030-06-02T00:00:00.000Z' });
  const stored = async () => {
    const indices: number[] = [];
    for await (const { chunk } of chunks.list(dataset.derivationId, 32)) indices.push(chunk.range.first / 64);
    return indices;
  };
  return { inner, calls, state, chunks, catalog, evictor, forgotten, different, pin, stored };
}

test('an evicted chunk is gone, its digest is not, and the book has heard of it', async () => {
  const { evictor, chunks, forgotten, stored } = await setUp();
  const { chunk, key, bytes, digest, writer } = aChunk();
  expect(await evictor.evict(chunk)).toBe(bytes.length);
  expect(await chunks.get(chunk)).toBeUndefined();
  expect(await chunks.recordedDigests(chunk)).toMatchObject([{ digest, writer }]);
  expect(forgotten).toEqual([key]);
  expect(await stored()).toEqual([1, 2, 15]);
});

test('the digest is written down before the bytes go', async () => {
  const { evictor, calls } = await setUp();
  const { chunk, key } = aChunk();
  calls.length = 0;
  await evictor.evict(chunk);
  const changes = calls.filter((call) => call.startsWith('put') || call.startsWith('delete'));
  expect(changes).toEqual([`put digests/${key}.ndjson`, `delete chunks/${key}.arrows`]);
});

test('a digest that cannot be written down keeps the chunk', async () => {
  const { evictor, inner, stored } = await setUp();
  const put = inner.put.bind(inner);
  inner.put = async (name, parts, options) => {
    if (name.startsWith('digests/')) throw new Error('no');
    return put(name, parts, options);
  };
  await expect(evictor.evict(chunkOf(dataset, 0))).rejects.toThrow('no');
  expect(await stored()).toEqual([0, 1, 2, 15]);
});

test('a chunk that is gone already counts as nothing, and the book hears of it', async () => {
  const { evictor, chunks, forgotten } = await setUp();
  expect(await evictor.evict(chunkOf(dataset, 7))).toBeUndefined();
  expect(forgotten).toEqual([chunkKey(chunkOf(dataset, 7))]);
  expect(await chunks.recordedDigests(chunkOf(dataset, 7))).toEqual([]);
});

test('a damaged chunk goes into quarantine, and its digest is not believed', async () => {
  const { evictor, inner, chunks } = await setUp();
  const { chunk, name, bytes } = aChunk();
  await inner.put(name, [bytes.subarray(1)]);
  expect(await evictor.evict(chunk)).toBeUndefined();
  expect(await chunks.recordedDigests(chunk)).toEqual([]);
  expect(await inner.list('quarantine/')).toHaveLength(1);
});

test('a chunk whose writer once made other bytes is reported', async () => {
  const { evictor, chunks, different } = await setUp();
  const { chunk, key, writer } = aChunk();
  await chunks.recordDigest(chunk, { digest: 'f'.repeat(64), writer });
  await evictor.evict(chunk);
  expect(different).toEqual([key]);
  expect(await chunks.recordedDigests(chunk)).toHaveLength(2);
});

test('a pinned chunk stays, also when it is another dataset of the derivation that is pinned', async () => {
  const { evictor, catalog, pin, stored } = await setUp();
  await catalog.declare(aDataset({ name: 'short', events: 100 }));
  await pin('short');
  await expect(evictor.evict(chunkOf(dataset, 0))).rejects.toMatchObject({ code: 'PINNED' });
  expect(await evictor.evict(chunkOf(dataset, 1))).toBeGreaterThan(0);
  await pin('numbers');
  await expect(evictor.evict(chunkOf(dataset, 2))).rejects.toMatchObject({ code: 'PINNED' });
  expect(await stored()).toEqual([0, 2, 15]);
});

test('a chunk that no registered generator can make again is a fossil and stays', async () => {
  const { evictor, forgotten, stored } = await setUp({ canRemake: () => false });
  await expect(evictor.evict(chunkOf(dataset, 0))).rejects.toMatchObject({ code: 'FOSSIL' });
  await expect(evictor.evictSpan(dataset)).rejects.toMatchObject({ code: 'FOSSIL' });
  expect(await stored()).toEqual([0, 1, 2, 15]);
  expect(forgotten).toEqual([]);
});

test('a chunk that no dataset knows is a fossil', async () => {
  const { evictor, chunks } = await setUp();
  const { chunk, parts } = aChunk({ dataset: aDataset({ derivation: aDerivation(5) }) });
  await chunks.put(chunk, parts);
  await expect(evictor.evict(chunk)).rejects.toMatchObject({ code: 'FOSSIL' });
  expect(await chunks.get(chunk)).toBeDefined();
});

test('the chunks wholly inside a range are evicted, and what was freed is told', async () => {
  const { evictor, stored } = await setUp();
  const bytes = [1, 2].map((index) => aChunk({ dataset, index }).bytes.length);
  expect(await evictor.evictSpan(dataset, { first: 1, end: 200 })).toEqual({
    chunks: 2,
    bytes: (bytes[0] ?? 0) + (bytes[1] ?? 0),
  });
  expect(await stored()).toEqual([0, 15]);
  expect(await evictor.evictSpan(dataset, { first: 1, end: 63 })).toEqual({ chunks: 0, bytes: 0 });
  expect(await evictor.evictSpan(dataset, { first: 900, end: 1000 })).toMatchObject({ chunks: 1 });
  expect(await evictor.evictSpan(dataset)).toMatchObject({ chunks: 1 });
  expect(await stored()).toEqual([]);
});

test('chunks that another dataset cuts otherwise are left alone', async () => {
  const { evictor, chunks, stored } = await setUp();
  const finer = aDataset({ name: 'finer', chunkEvents: 32 });
  const { chunk, parts } = aChunk({ dataset: finer, index: 4 });
  await chunks.put(chunk, parts);
  expect(await evictor.evictSpan(dataset)).toMatchObject({ chunks: 4 });
  expect(await stored()).toEqual([2]);
  expect(await chunks.get(chunk)).toBeDefined();
});

test('a pinned dataset loses nothing, whichever range is asked for', async () => {
  const { evictor, pin, stored } = await setUp();
  await pin('numbers');
  await expect(evictor.evictSpan(dataset)).rejects.toMatchObject({ code: 'PINNED' });
  await expect(evictor.evictSpan(dataset, { first: 1, end: 3 })).rejects.toMatchObject({ code: 'PINNED' });
  expect(await stored()).toEqual([0, 1, 2, 15]);
});

test('a span with one chunk that another pinned dataset shares loses nothing at all', async () => {
  const { evictor, catalog, pin, stored } = await setUp();
  await catalog.declare(aDataset({ name: 'short', events: 192 }));
  await pin('short');
  await expect(evictor.evictSpan(dataset)).rejects.toMatchObject({ code: 'PINNED' });
  expect(await stored()).toEqual([0, 1, 2, 15]);
  expect(await evictor.evictSpan(dataset, { first: 192, end: 1000 })).toMatchObject({ chunks: 1 });
});

test('a book that cannot be reached does not stop an eviction', async () => {
  const { chunks, catalog, stored } = await setUp();
  const forget = () => Promise.reject(new Error('the book is away'));
  const evictor = new Evictor({ chunks, catalog, canRemake: () => true, book: { mark: forget, forget } });
  expect(await evictor.evictSpan(dataset)).toMatchObject({ chunks: 4 });
  expect(await stored()).toEqual([]);
});

test('a store that fails evicts nothing', async () => {
  const { evictor, state, stored } = await setUp();
  state.down = true;
  await expect(evictor.evict(chunkOf(dataset, 0))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await expect(evictor.evictSpan(dataset)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  state.down = false;
  expect(await stored()).toEqual([0, 1, 2, 15]);
});

test('what a batch holds is not evicted for room, whichever dataset it is asked through; a person may evict it', async () => {
  const { evictor, catalog, stored } = await setUp({
    isHeld: async ({ name }, { first }) => name === 'shared' && first < 128,
  });
  // Nobody holds it through this dataset.
  expect(await evictor.evict(chunkOf(dataset, 0))).toBeGreaterThan(0);
  const sharing = { ...dataset, name: 'shared' };
  await catalog.declare(sharing);
  await expect(evictor.evict(chunkOf(dataset, 1))).rejects.toMatchObject({
    code: 'PINNED',
    message: expect.stringContaining('held by a batch over test:shared'),
  });
  expect(await evictor.evict(chunkOf(dataset, 2))).toBeGreaterThan(0);
  expect(await stored()).toEqual([1, 15]);
  expect(await evictor.evictSpan(dataset)).toMatchObject({ chunks: 2 });
});

test('when nobody can say what is held, nothing is evicted for room', async () => {
  const { evictor, stored } = await setUp({
    isHeld: async () => {
      throw unavailable();
    },
  });
  await expect(evictor.evict(chunkOf(dataset, 0))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(await stored()).toEqual([0, 1, 2, 15]);
});
