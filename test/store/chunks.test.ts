import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { chunkOf } from '../../core/dataset.ts';
import { Chunks, isOnGrid, type StoredChunk } from '../../store/chunks.ts';
import { HotChunks } from '../../store/hot.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { verifying } from '../../store/verifying.ts';
import { aChunk, aDataset } from './a-chunk.ts';
import { watched } from './faults.ts';

function setUp() {
  const inner = new MemoryStore();
  const { store: watchedStore, calls, state } = watched(inner);
  const store = verifying(watchedStore);
  const hot = new HotChunks(store, { bytesMax: 1_000_000, clock: { now: () => Date.now() } });
  return { inner, calls, state, hot, chunks: new Chunks(store, hot), plain: new Chunks(store) };
}

async function keysOf(list: AsyncIterable<StoredChunk>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { chunk } of list) keys.push(chunkKey(chunk));
  return keys;
}

test('a chunk that was put can be got, peeked at, looked up and deleted', async () => {
  const { chunks } = setUp();
  const { chunk, parts, bytes, name } = aChunk();
  expect(await chunks.get(chunk)).toBeUndefined();
  expect(await chunks.head(chunk)).toBeUndefined();
  await chunks.put(chunk, parts);
  expect(chunks.peek(chunk)).toBeUndefined();
  expect((await chunks.get(chunk))?.equals(bytes)).toBe(true);
  expect(chunks.peek(chunk)?.equals(bytes)).toBe(true);
  expect(await chunks.head(chunk)).toMatchObject({ name, bytes: bytes.length });
  expect(await chunks.delete(chunk)).toBe(true);
  expect(await chunks.delete(chunk)).toBe(false);
  expect(chunks.peek(chunk)).toBeUndefined();
  expect(await chunks.get(chunk)).toBeUndefined();
});

test('without a memory of hot chunks nothing can be peeked at', async () => {
  const { plain } = setUp();
  const { chunk, parts } = aChunk();
  await plain.put(chunk, parts);
  await plain.get(chunk);
  expect(plain.peek(chunk)).toBeUndefined();
});

test('a damaged chunk is absent, with and without a memory', async () => {
  const { chunks, plain, inner } = setUp();
  for (const view of [chunks, plain]) {
    const { chunk, name, bytes } = aChunk();
    await inner.put(name, [bytes.subarray(1)]);
    expect(await view.get(chunk)).toBeUndefined();
    expect(await view.head(chunk)).toBeUndefined();
  }
});

test('a store that fails is not taken for an absent chunk', async () => {
  const { chunks, state } = setUp();
  state.down = true;
  await expect(chunks.get(aChunk().chunk)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

test('inspecting a chunk tells its provenance and leaves the memory alone', async () => {
  const { chunks } = setUp();
  const { chunk, parts, bytes, digest } = aChunk();
  await chunks.put(chunk, parts);
  expect(await chunks.inspect(chunk)).toMatchObject({ bytes: bytes.length, provenance: { digest, startEvent: 1 } });
  expect(chunks.peek(chunk)).toBeUndefined();
  expect(await chunks.inspect(aChunk({ index: 3 }).chunk)).toBeUndefined();
});

test('a listing gives the chunks that begin within the range, in the order of their events', async () => {
  const { chunks } = setUp();
  const dataset = aDataset();
  for (const index of [5, 0, 15, 2, 3]) {
    const { chunk, parts } = aChunk({ dataset, index });
    await chunks.put(chunk, parts);
  }
  const other = aChunk({ dataset: aDataset({ batchEvents: 16 }) });
  await chunks.put(other.chunk, other.parts);
  const keys = (indices: number[]) => indices.map((index) => chunkKey(chunkOf(dataset, index)));
  const list = (range?: { first: number; end: number }) => keysOf(chunks.list(dataset.derivationId, 32, range));
  expect(await list()).toEqual(keys([0, 2, 3, 5, 15]));
  expect(await list({ first: 128, end: 320 })).toEqual(keys([2, 3]));
  expect(await list({ first: 129, end: 321 })).toEqual(keys([3, 5]));
  expect(await list({ first: 0, end: 1 })).toEqual(keys([0]));
  expect(await list({ first: 400, end: 900 })).toEqual([]);
  expect(await keysOf(chunks.list(dataset.derivationId, 64))).toEqual([]);
  expect(await keysOf(chunks.all())).toEqual([chunkKey(other.chunk), ...keys([0, 2, 3, 5, 15])]);
});

test('a listing of more than one page is whole, and what is no chunk is passed over', async () => {
  const { chunks, inner } = setUp();
  const dataset = aDataset({ events: 1e6 });
  for (let index = 0; index < 1203; index++) {
    await inner.put(`chunks/${chunkKey(chunkOf(dataset, index))}.arrows`, []);
  }
  await inner.put(`chunks/${dataset.derivationId}/32/notes.txt`, []);
  expect(await keysOf(chunks.list(dataset.derivationId, 32))).toHaveLength(1203);
  expect(await keysOf(chunks.list(dataset.derivationId, 32, { first: 64 * 3, end: 64 * 1150 }))).toHaveLength(1147);
});

test('a chunk is on the grid of exactly those datasets that have it', () => {
  const grid = fc.record({ events: fc.integer({ min: 1, max: 500 }), chunkEvents: fc.integer({ min: 1, max: 60 }) });
  fc.assert(
    fc.property(grid, fc.nat(520), fc.integer({ min: 1, max: 70 }), (of, first, length) => {
      const range = { first, end: first + length };
      const all = Array.from({ length: Math.ceil(of.events / of.chunkEvents) }, (_, i) => ({
        first: i * of.chunkEvents,
        end: Math.min((i + 1) * of.chunkEvents, of.events),
      }));
      const has = all.some((chunk) => chunk.first === range.first && chunk.end === range.end);
      expect(isOnGrid(range, { ...of, batchEvents: 1 })).toBe(has);
      for (const chunk of all) expect(isOnGrid(chunk, { ...of, batchEvents: 1 })).toBe(true);
    }),
  );
});

test('the first digest of a writer is new, the same again is the same, another is different and both are kept', async () => {
  const { chunks } = setUp();
  const { chunk } = aChunk();
  const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];
  expect(await chunks.recordedDigests(chunk)).toEqual([]);
  expect(await chunks.recordDigest(chunk, { digest: a, writer: 'w/1' })).toBe('new');
  expect(await chunks.recordDigest(chunk, { digest: a, writer: 'w/1' })).toBe('same');
  expect(await chunks.recordDigest(chunk, { digest: b, writer: 'w/2' })).toBe('new');
  expect(await chunks.recordDigest(chunk, { digest: b, writer: 'w/1' })).toBe('different');
  expect(await chunks.recordDigest(chunk, { digest: a, writer: 'w/1' })).toBe('different');
  const lines = (await chunks.recordedDigests(chunk)).map(({ writer, digest }) => `${writer} ${digest[0]}`);
  expect(lines).toEqual(['w/1 a', 'w/2 b', 'w/1 b']);
});

test('a digest log that was cut or emptied takes new lines, and what still reads is believed', async () => {
  const { chunks, inner } = setUp();
  const { chunk, key } = aChunk();
  const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];
  await chunks.recordDigest(chunk, { digest: a, writer: 'w/1' });
  const log = (await inner.get(`digests/${key}.ndjson`)) as Buffer;
  await inner.put(`digests/${key}.ndjson`, [log, log.subarray(0, 20)]);
  expect(await chunks.recordDigest(chunk, { digest: b, writer: 'w/2' })).toBe('new');
  expect(await chunks.recordedDigests(chunk)).toHaveLength(2);
  await inner.put(`digests/${key}.ndjson`, []);
  expect(await chunks.recordDigest(chunk, { digest: b, writer: 'w/1' })).toBe('new');
  expect(await chunks.recordedDigests(chunk)).toHaveLength(1);
});

test('two writers that record at one moment are both in the log', async () => {
  const { chunks } = setUp();
  const { chunk } = aChunk();
  await Promise.all(['w/1', 'w/2'].map((writer) => chunks.recordDigest(chunk, { digest: 'a'.repeat(64), writer })));
  expect((await chunks.recordedDigests(chunk)).map((line) => line.writer).sort()).toEqual(['w/1', 'w/2']);
});

test('a writer that never gives the same digest does not fill the store', async () => {
  const { chunks } = setUp();
  const { chunk } = aChunk();
  for (let i = 0; i < 130; i++) {
    await chunks.recordDigest(chunk, { digest: String(i).padStart(64, '0'), writer: 'w/1' });
  }
  expect(await chunks.recordedDigests(chunk)).toHaveLength(100);
  expect(await chunks.recordDigest(chunk, { digest: 'f'.repeat(64), writer: 'w/1' })).toBe('different');
});
