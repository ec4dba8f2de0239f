import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Catalog } from '../../store/catalog.ts';
import { takeCensus } from '../../store/census.ts';
import { Chunks } from '../../store/chunks.ts';
import { FsStore } from '../../store/fs-store.ts';
import { type Finding, Inspection } from '../../store/inspection.ts';
import { placeOf } from '../../store/layout.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import type { StoreBackend } from '../../store/store.ts';
import { KeepingLedger } from '../fixtures/keeping-ledger.ts';
import { temporaryFolder } from '../temp.ts';
import { aChunk, aDataset, aDerivation } from './a-chunk.ts';
import { failing, unavailable } from './faults.ts';

const clock = { now: () => Date.parse('2030-06-01T00:00:00Z') };
const dataset = aDataset();
const id = '20300601T000000000-1a2b3c4d';

const records: Record<string, object> = {
  'capacity.json': { capacityBytes: 1000 },
  'retired/test/old.json': { scope: 'test', name: 'old', retiredAt: '2030-01-01T00:00:00.000Z' },
  'pins/test/numbers.json': {
    scope: 'test',
    name: 'numbers',
    pinnedAt: '2030-01-01T00:00:00.000Z',
    expiresAt: '2031-01-01T00:00:00.000Z',
  },
  [`batches/${id}.json`]: {
    id,
    dataset: 'test:numbers',
    range: { first: 0, end: 10 },
    chunks: 1,
    priority: 5,
    holdSeconds: 0,
    pin: false,
    createdAt: '2030-01-01T00:00:00.000Z',
    requestId: 'r',
  },
  [`batches/${id}.wish.json`]: { state: 'paused', at: '2030-01-01T00:00:00.000Z' },
  [`batches/${id}.progress.json`]: {
    state: 'running',
    cursor: 0,
    done: 0,
    skipped: 0,
    failed: 0,
    cpuMicros: 0,
    at: '2030-01-01T00:00:00.000Z',
  },
  'ledger/reconciled.json': { until: '2030-01-01T00:00:00.000Z' },
};

/** A store with something of everything, and nothing wrong. */
async function aStore<S extends StoreBackend>(store: S): Promise<S> {
  const catalog = new Catalog(store, clock);
  await catalog.identity();
  await catalog.declare(dataset);
  const chunks = new Chunks(store);
  for (const index of [0, 1, 15]) {
    const made = aChunk({ dataset, index });
    await chunks.put(made.chunk, made.parts);
    await chunks.recordDigest(made.chunk, made);
  }
  for (const [name, value] of Object.entries(records)) await store.put(name, [Buffer.from(JSON.stringify(value))]);
  await store.put('ledger/2030-06-01/12-a-process-00000001.parquet', [Buffer.from('PAR1')]);
  await store.put('quarantine/1900000000000-x.chunk', [Buffer.from('damaged')]);
  return store;
}

async function inspected(store: StoreBackend, options: { repair?: boolean; leftoverAgeMs?: number } = {}) {
  const ledger = new KeepingLedger();
  const catalog = new Catalog(store, clock);
  const { repair = false, leftoverAgeMs = -1000 } = options;
  const inspection = new Inspection({ store, catalog, clock, ledger, repair, leftoverAgeMs });
  const findings: Finding[] = [];
  for await (const finding of inspection.findings(new AbortController().signal)) findings.push(finding);
  return { findings, ledger, seen: inspection.seen };
}

test('in a store that is as it should be nothing is found, and all of it was looked at', async () => {
  const store = await aStore(new MemoryStore());
  const { findings, seen } = await inspected(store);
  expect(findings).toEqual([]);
  const all = await store.list('');
  expect(seen).toMatchObject({ objects: all.length, chunks: 3, bytes: 3 * 4096, quarantined: 1 });
});

test('a damaged chunk is found whatever is wrong with it; a repair puts it into quarantine and tells the ledger', async () => {
  const { name, bytes } = aChunk({ dataset, index: 1 });
  const flipped = Buffer.from(bytes);
  flipped[100] = (flipped[100] ?? 0) ^ 1;
  for (const wrong of [flipped, bytes.subarray(0, 1000), Buffer.alloc(0), aChunk({ dataset, index: 0 }).bytes]) {
    const store = await aStore(new MemoryStore());
    await store.put(name, [wrong]);
    expect((await inspected(store)).findings).toMatchObject([{ kind: 'damaged', name, repaired: false }]);
    expect((await store.get(name))?.equals(wrong)).toBe(true);
    const { findings, ledger } = await inspected(store, { repair: true });
    expect(findings).toMatchObject([{ kind: 'damaged', name, repaired: true }]);
    expect(await store.get(name)).toBeUndefined();
    expect(await store.list('quarantine/')).toHaveLength(2);
    expect(ledger.entries).toMatchObject([{ kind: 'eviction', cause: 'damaged', bytes: wrong.length }]);
    expect((await inspected(store)).findings).toEqual([]);
  }
});

test('a chunk of no dataset, or off every grid, is found and left alone', async () => {
  const store = await aStore(new MemoryStore());
  const foreign = aChunk({ dataset: aDataset({ derivation: aDerivation(2) }), index: 0 });
  const offGrid = aChunk({ dataset: aDataset({ chunkEvents: 128 }), index: 0 });
  for (const { name, bytes } of [foreign, offGrid]) await store.put(name, [bytes]);
  const { findings } = await inspected(store, { repair: true });
  expect(findings.map(({ kind, name, repaired }) => [kind, name, repaired])).toEqual(
    [foreign.name, offGrid.name].sort().map((name) => ['orphan', name, false]),
  );
  expect(await store.head(foreign.name)).toBeDefined();
});

test('a whole chunk that differs from the one recorded for the same writer is found and left alone', async () => {
  const store = await aStore(new MemoryStore());
  const { chunk, name, writer } = aChunk({ dataset, index: 0 });
  await new Chunks(store).recordDigest(chunk, { writer: 'another/1', digest: 'a'.repeat(64) });
  expect((await inspected(store)).findings).toEqual([]);
  await new Chunks(store).recordDigest(chunk, { writer, digest: 'b'.repeat(64) });
  const { findings } = await inspected(store, { repair: true });
  expect(findings).toMatchObject([{ kind: 'different', name, repair: null, repaired: false }]);
  expect(findings[0]?.problem).toContain('b'.repeat(64));
  expect(await store.head(name)).toBeDefined();
});

test.each([...Object.keys(records), 'store.json', 'datasets/test/numbers.json'])(
  'a damaged %s is found and left alone',
  async (name) => {
    const store = await aStore(new MemoryStore());
    for (const wrong of ['{', '{}', '']) {
      await store.put(name, [Buffer.from(wrong)]);
      const { findings } = await inspected(store, { repair: true });
      const found = findings.filter(({ kind }) => kind !== 'orphan');
      expect(found).toMatchObject([{ kind: 'record', name, repair: null, repaired: false }]);
      expect(found[0]?.problem).not.toContain(name);
      expect((await store.get(name))?.toString()).toBe(wrong);
    }
  },
);

test('a record under the name of another is found', async () => {
  const store = await aStore(new MemoryStore());
  for (const name of ['pins/test/numbers.json', `batches/${id}.json`]) {
    const moved = name.replace('numbers', 'letters').replace('1a2b3c4d', '00000000');
    await store.put(moved, [(await store.get(name)) ?? Buffer.alloc(0)]);
    const { findings } = await inspected(store);
    expect(findings).toMatchObject([{ kind: 'record', name: moved, problem: `The record is the one of ${name}.` }]);
    await store.delete(moved);
  }
});

test.each([
  'notes.txt',
  'chunks/abc/1/2.arrows',
  'chunks/x.part',
  'datasets/numbers.json',
  'datasets/a/b/c.json',
  'batches/mine.json',
  `batches/${id}.hope.json`,
  'digests/all.ndjson',
  'ledger/2030-06-01/12.csv',
  'requests/mine.json',
  'quarantine/a/b',
  'constructor',
  '__proto__',
])('%s is no object of the service: found, and never deleted', async (name) => {
  expect(placeOf(name)).toBeUndefined();
  const store = await aStore(new MemoryStore());
  await store.put(name, [Buffer.from('x')]);
  const { findings } = await inspected(store, { repair: true });
  expect(findings).toMatchObject([{ kind: 'unknown', name, repair: null, repaired: false }]);
  expect(await store.head(name)).toBeDefined();
});

test('interrupted writes are found by name, and removed by a repair when they are old enough', async () => {
  const folder = await temporaryFolder();
  const store = await aStore(new FsStore(folder));
  const name = 'digests/.11111111-2222-3333-4444-555555555555.part';
  await writeFile(join(folder, name), 'half');
  expect((await inspected(store)).findings).toMatchObject([{ kind: 'leftover', name, repaired: false }]);
  expect((await inspected(store, { repair: true, leftoverAgeMs: 60_000 })).findings).toEqual([]);
  expect((await inspected(store, { repair: true })).findings).toMatchObject([{ kind: 'leftover', repaired: true }]);
  expect((await inspected(store)).findings).toEqual([]);
});

test('an object that cannot be read is a finding, and the others are looked at all the same', async () => {
  const store = await aStore(new MemoryStore());
  const { name } = aChunk({ dataset, index: 0 });
  const broken = failing(store, (operation, asked) => {
    if (operation === 'get' && asked === name) throw unavailable();
  });
  const { findings, seen } = await inspected({ ...broken, removeLeftovers: async () => 0 }, { repair: true });
  expect(findings).toMatchObject([{ kind: 'unreadable', name, repaired: false }]);
  expect(seen.chunks).toBe(3);
});

test('a folder with things in it and no store.json is said to be no store; an empty one is well', async () => {
  expect((await inspected(new MemoryStore())).findings).toEqual([]);
  const folder = await temporaryFolder();
  await mkdir(dirname(join(folder, 'photos/cat.jpg')), { recursive: true });
  await writeFile(join(folder, 'photos/cat.jpg'), 'miaow');
  const { findings } = await inspected(new FsStore(folder));
  expect(findings.map(({ kind, name }) => [kind, name])).toEqual([
    ['unknown', 'photos/cat.jpg'],
    ['record', 'store.json'],
  ]);
});

test('an inspection can be broken off', async () => {
  const store = await aStore(new MemoryStore());
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  stop.abort(new Error('enough'));
  const parts = { store, catalog: new Catalog(store, clock), clock, repair: false, leftoverAgeMs: 0 };
  const walk = new Inspection(parts).findings(stop.signal);
  await expect(walk.next()).rejects.toThrow('enough');
});

test('a census counts chunks by the datasets that have them, shared ones for each, and those that none has', async () => {
  const store = await aStore(new MemoryStore());
  const catalog = new Catalog(store, clock);
  await catalog.declare(aDataset({ name: 'shorter', events: 128 }));
  const foreign = aDataset({ derivation: aDerivation(2) });
  for (const index of [0, 3])
    await store.put(aChunk({ dataset: foreign, index }).name, aChunk({ dataset: foreign, index }).parts);
  const chunks = new Chunks(store);
  const census = await takeCensus({ chunks, catalog, signal: new AbortController().signal, step: () => undefined });
  expect(census.total).toEqual({ chunks: 5, bytes: 5 * 4096 });
  expect(Object.fromEntries(census.byDataset)).toEqual({
    'test:numbers': { chunks: 3, bytes: 3 * 4096 },
    'test:shorter': { chunks: 2, bytes: 2 * 4096 },
  });
  expect(census.orphans).toMatchObject([{ chunks: 2, bytes: 2 * 4096, chunkEvents: 64, lastEvent: 256 }]);
});
