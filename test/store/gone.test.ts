// What the ledger is told of chunks that go: by whom, how large they were, and for what they were made.
import { expect, test } from 'vitest';
import type { Provenance } from '../../core/provenance.ts';
import { openChunk, sealChunk } from '../../formats/chunk-file.ts';
import { Catalog } from '../../store/catalog.ts';
import { Chunks } from '../../store/chunks.ts';
import { Evictor } from '../../store/eviction.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { verifying } from '../../store/verifying.ts';
import { KeepingLedger } from '../fixtures/keeping-ledger.ts';
import { aChunk, aDataset, anInputUse } from './a-chunk.ts';
import { failing } from './faults.ts';

const dataset = aDataset();
const now = Date.parse('2030-06-01T00:00:00Z');
const clock = { now: () => now };

async function setUp() {
  const inner = new MemoryStore();
  const ledger = new KeepingLedger();
  const chunks = new Chunks(verifying(inner, undefined, ledger));
  const catalog = new Catalog(inner, clock);
  await catalog.declare(dataset);
  const book = { mark: async () => undefined, forget: async () => undefined };
  const evictor = new Evictor({ chunks, catalog, canRemake: () => true, book, ledger, clock });
  return { inner, ledger, chunks, evictor };
}

/** The chunk as it is made through a dataset of this name. */
function madeFor(name: string, index = 0): { bytes: Buffer; name: string } {
  const { key, bytes, name: object } = aChunk({ dataset, index });
  const { stream, provenance } = openChunk(key, bytes);
  const named: Provenance = { ...provenance, dataset: name };
  return { name: object, bytes: Buffer.concat(sealChunk(stream, named)) };
}

const aboutChunk = { generator: 'counting', derivation: dataset.derivationId, batchEvents: 32 };

test('an eviction is told with its cause, its bytes, and the dataset that the chunk was made for', async () => {
  const { inner, ledger, evictor } = await setUp();
  const [first, second] = [madeFor('test:numbers', 0), madeFor('test:others', 1)];
  for (const { name, bytes } of [first, second]) await inner.put(name, [bytes]);
  await evictor.evict(aChunk({ dataset, index: 0 }).chunk);
  await evictor.evictSpan(dataset);
  const entry = { kind: 'eviction', atMs: now, ...aboutChunk };
  const range = (index: number) => ({ first: 64 * index, end: 64 * (index + 1) });
  expect(ledger.entries).toEqual([
    { ...entry, dataset: 'test:numbers', range: range(0), bytes: first.bytes.length, cause: 'room' },
    { ...entry, dataset: 'test:others', range: range(1), bytes: second.bytes.length, cause: 'asked' },
  ]);
});

test('what is gone already, or may not go, is not told', async () => {
  const { ledger, evictor, chunks, inner } = await setUp();
  const { chunk, name, bytes } = aChunk({ dataset, index: 0 });
  expect(await evictor.evict(chunk)).toBeUndefined();
  await inner.put(name, [bytes]);
  const fossils = new Evictor({
    chunks,
    catalog: new Catalog(inner, clock),
    canRemake: () => false,
    book: { mark: async () => undefined, forget: async () => undefined },
    ledger,
  });
  await expect(fossils.evict(chunk)).rejects.toMatchObject({ code: 'FOSSIL' });
  await expect(fossils.evictSpan(dataset)).rejects.toMatchObject({ code: 'FOSSIL' });
  expect(ledger.entries).toEqual([]);
});

test('a damaged chunk is told once, however many ask, by the process that put it away', async () => {
  const { inner, ledger, chunks } = await setUp();
  const others = new KeepingLedger();
  const elsewhere = new Chunks(verifying(inner, undefined, others));
  const { chunk } = aChunk({ dataset, index: 0 });
  const { name, bytes } = madeFor('test:numbers');
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  await inner.put(name, [bytes]);
  await Promise.all([chunks.get(chunk), chunks.get(chunk), elsewhere.get(chunk), elsewhere.get(chunk)]);
  const told = [...ledger.entries, ...others.entries];
  // Its trailer is whole, and still says what it was.
  expect(told).toMatchObject([
    { kind: 'eviction', cause: 'damaged', dataset: 'test:numbers', ...aboutChunk, bytes: bytes.length },
  ]);
});

test('of a chunk cut short nobody knows any more what it was made for', async () => {
  const { inner, ledger, chunks, evictor } = await setUp();
  const { chunk, name, bytes } = aChunk({ dataset, index: 0 });
  await inner.put(name, [bytes.subarray(0, 700)]);
  // Met on the way to being evicted: it is gone as damaged, once.
  expect(await evictor.evict(chunk)).toBeUndefined();
  expect(await chunks.get(chunk)).toBeUndefined();
  expect(ledger.entries).toMatchObject([{ cause: 'damaged', dataset: '', generator: '', bytes: 700, ...chunk }]);
});

test('an eviction counts from before the chunk went: who makes it again at once has made it later', async () => {
  let nowMs = now;
  const inner = new MemoryStore();
  const ledger = new KeepingLedger();
  const slow = failing(inner, (operation) => {
    // The store takes its time, in which somebody else finds the chunk absent and makes it.
    if (operation === 'delete') nowMs += 500;
  });
  const catalog = new Catalog(inner, clock);
  await catalog.declare(dataset);
  const book = { mark: async () => undefined, forget: async () => undefined };
  const parts = { chunks: new Chunks(slow), catalog, canRemake: () => true, book, ledger };
  const evictor = new Evictor({ ...parts, clock: { now: () => nowMs } });
  const { chunk, name, bytes } = aChunk({ dataset, index: 0 });
  await inner.put(name, [bytes]);
  await evictor.evict(chunk);
  expect(ledger.entries).toMatchObject([{ kind: 'eviction', atMs: now }]);
});

test('with a young chunk goes the last that knows of its making, so that is told too', async () => {
  const { inner, ledger, chunks } = await setUp();
  const { chunk } = aChunk({ dataset, index: 0 });
  const { name, bytes } = madeFor('test:numbers');
  const { generatedAt } = openChunk(aChunk({ dataset, index: 0 }).key, bytes).provenance;
  const madeAtMs = Date.parse(generatedAt);
  const catalog = new Catalog(inner, clock);
  const book = { mark: async () => undefined, forget: async () => undefined };
  const evictor = (nowMs: number) =>
    new Evictor({ chunks, catalog, canRemake: () => true, book, ledger, clock: { now: () => nowMs } });
  await inner.put(name, [bytes]);
  await evictor(madeAtMs + 3_599_999).evict(chunk);
  const about = { dataset: 'test:numbers', ...aboutChunk, range: chunk.range, bytes: bytes.length };
  expect(ledger.entries).toEqual([
    expect.objectContaining({ kind: 'generation', atMs: madeAtMs, ...about, cpuMicros: 100_000, attempt: 1 }),
    { kind: 'put', atMs: madeAtMs, ...about },
    { kind: 'eviction', atMs: madeAtMs + 3_599_999, ...about, cause: 'room' },
  ]);
  await inner.put(name, [bytes]);
  await evictor(madeAtMs + 3_600_000).evict(chunk);
  expect(ledger.entries).toHaveLength(4);
});

test('with the making of a young derived chunk goes what remaking its inputs took', async () => {
  const { inner, ledger, chunks } = await setUp();
  const catalog = new Catalog(inner, clock);
  const inputs = [anInputUse(5, 0.25), anInputUse(6, 0), anInputUse(7, 0.000_001)];
  const { chunk, name, bytes } = aChunk({ dataset, inputs });
  const book = { mark: async () => undefined, forget: async () => undefined };
  const madeAtMs = Date.UTC(2030, 0, 1);
  const parts = { chunks, catalog, canRemake: () => true, book, ledger };
  const evictor = new Evictor({ ...parts, clock: { now: () => madeAtMs + 1 } });
  await inner.put(name, [bytes]);
  await evictor.evict(chunk);
  const remake = { kind: 'remake', atMs: madeAtMs, generator: 'counting', batchEvents: 16, range: chunk.range };
  expect(ledger.entries).toMatchObject([
    // Of one that was only read there is nothing to tell.
    {
      ...remake,
      dataset: 'test:input-5',
      derivation: inputs[0]?.derivationId,
      cpuMicros: 250_000,
      wallMicros: 500_000,
    },
    { ...remake, dataset: 'test:input-7', derivation: inputs[2]?.derivationId, cpuMicros: 1, wallMicros: 2 },
    { kind: 'generation', cpuMicros: 100_000, derivation: dataset.derivationId },
    { kind: 'put' },
    { kind: 'eviction' },
  ]);
});
