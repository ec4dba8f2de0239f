import { expect, test } from 'vitest';
import type { ChunkRef } from '../../../core/chunk.ts';
import { derivationId } from '../../../core/derivation.ts';
import type { Generation, LedgerEntry, Put } from '../../../core/ledger.ts';
import { silentLog } from '../../../core/log.ts';
import { Ledger } from '../../../costs/ledger/ledger.ts';
import { readLedger } from '../../../costs/ledger/reader.ts';
import { type ReconcileOptions, Reconciler, type ReconcilerParts } from '../../../costs/ledger/reconcile.ts';
import { chunkName } from '../../../store/chunk-names.ts';
import { Chunks } from '../../../store/chunks.ts';
import { MemoryStore } from '../../../store/memory-store.ts';
import type { Store } from '../../../store/store.ts';
import { aChunk, aDataset, aDerivation, anInputUse, chunkBytes } from '../../store/a-chunk.ts';
import { failing, unavailable } from '../../store/faults.ts';
import { aGeneration, aPut, aRemake, collect, hour } from './any-entry.ts';

/** When all chunks of a-chunk.ts were generated. */
const madeAtMs = Date.UTC(2030, 0, 1);

function setUp(options: { marginMs?: number; wrap?: (store: Store) => Store } = {}) {
  const clock = { nowMs: madeAtMs + 1000, now: () => clock.nowMs };
  const inner = new MemoryStore(clock);
  const store = options.wrap?.(inner) ?? inner;
  const chunks = new Chunks(store);
  const ledger = new Ledger({ store, process: 'test', flushMs: 1_000_000, clock, log: silentLog });
  const { marginMs = 60_000 } = options;
  const parts: ReconcilerParts = { store, chunks, ledger, clock, log: silentLog, marginMs };
  const reconciler = new Reconciler(parts);
  return {
    clock,
    store: inner,
    ledger,
    reconciler,
    parts,
    reconcile: (wanted?: ReconcileOptions, signal?: AbortSignal) => reconciler.reconcile(wanted, signal),
    entries: () => collect(readLedger(inner)),
    /** Stores a chunk and says nothing. */
    make: async (index: number, dataset = aDataset()) => {
      const made = aChunk({ dataset, index });
      await inner.put(made.name, made.parts);
      return made;
    },
  };
}

/** What a worker tells of such a chunk. */
function told({ derivation, batchEvents, range }: ChunkRef): LedgerEntry[] {
  const fields = { atMs: madeAtMs, derivation, batchEvents, range, bytes: chunkBytes };
  return [aGeneration(fields), aPut(fields)];
}

test('a chunk that nobody told of is told from its trailer, and telling it again adds nothing', async () => {
  const { reconcile, make, entries, reconciler } = setUp();
  const { chunk } = await make(2);
  const found = { added: 1, cpuSeconds: 0.1, lost: 0, illegible: 0 };
  expect(await reconcile({ all: true })).toEqual(found);
  const expected = {
    atMs: madeAtMs,
    dataset: '',
    generator: 'counting',
    derivation: chunk.derivation,
    batchEvents: chunk.batchEvents,
    range: chunk.range,
    bytes: chunkBytes,
  };
  const all = await entries();
  expect(all).toEqual([
    {
      kind: 'generation',
      ...expected,
      cpuMicros: 100_000,
      wallMicros: 100_000,
      attempt: 1,
      batch: '',
      requestId: expect.stringMatching(/^x+$/),
    },
    { kind: 'put', ...expected },
  ]);
  for (const again of [{ all: true }, {}, { sinceMs: 0 }, { derivation: chunk.derivation }]) {
    expect(await reconcile(again)).toMatchObject({ added: 0, lost: 0 });
  }
  expect(await entries()).toEqual(all);
  expect(reconciler.counters).toEqual(found);
});

test('of a derived chunk that nobody told of, what remaking its inputs took is told too, once', async () => {
  const { reconcile, entries, store, ledger } = setUp();
  const inputs = [anInputUse(5, 0.25), anInputUse(6, 0.5)];
  const made = aChunk({ inputs });
  await store.put(made.name, made.parts);
  // All that its worker could write before it was killed.
  const half = aRemake({ atMs: madeAtMs, range: made.chunk.range, requestId: 'x' });
  ledger.record(half);
  expect(await reconcile({ all: true })).toEqual({ added: 1, cpuSeconds: 0.85, lost: 0, illegible: 0 });
  const all = await entries();
  const remake = { kind: 'remake', atMs: madeAtMs, batchEvents: 16, range: made.chunk.range };
  expect(all.filter((entry) => entry.kind === 'remake' && entry.requestId !== 'x')).toMatchObject(
    [
      { ...remake, dataset: 'test:input-5', derivation: inputs[0]?.derivationId, cpuMicros: 250_000 },
      { ...remake, dataset: 'test:input-6', derivation: inputs[1]?.derivationId, cpuMicros: 500_000 },
    ].toSorted((a, b) => ((a.derivation ?? '') < (b.derivation ?? '') ? -1 : 1)),
  );
  expect(all).toHaveLength(5);
  for (const again of [{ all: true }, { sinceMs: 0 }, { derivation: made.chunk.derivation }]) {
    expect(await reconcile(again)).toMatchObject({ added: 0, lost: 0 });
  }
  // A remaking stores nothing: of the inputs nothing is missed.
  for (const { derivationId } of inputs)
    expect(await reconcile({ derivation: derivationId })).toMatchObject({ lost: 0 });
  expect(await entries()).toEqual(all);
});

test('a chunk that was told is left alone, and its trailer is not even read', async () => {
  const read: string[] = [];
  const { reconcile, make, entries, ledger } = setUp({
    wrap: (store) =>
      failing(store, (operation, name) => {
        if (operation === 'get' && name.startsWith('chunks/')) read.push(name);
      }),
  });
  for (const entry of told((await make(0)).chunk)) ledger.record(entry);
  await ledger.flush();
  expect(await reconcile({ all: true })).toMatchObject({ added: 0, lost: 0 });
  expect(read).toEqual([]);
  expect((await entries()).length).toBe(2);
});

test('a chunk of which only the put, or only the generation, was written gets the other', async () => {
  for (const missing of [0, 1]) {
    const { reconcile, make, entries, ledger } = setUp();
    const { chunk } = await make(0);
    ledger.record(told(chunk)[1 - missing] as LedgerEntry);
    await ledger.flush();
    expect(await reconcile({ all: true })).toMatchObject({ added: 1 });
    expect((await entries()).map(({ kind }) => kind)).toEqual(['generation', 'put']);
  }
});

test('a chunk made again after an eviction, and not told, is told again', async () => {
  const { reconcile, make, entries, ledger, clock } = setUp();
  const { chunk } = await make(0);
  const before = madeAtMs - 5 * hour;
  const fields = { atMs: before, derivation: chunk.derivation, batchEvents: chunk.batchEvents, range: chunk.range };
  ledger.record(aGeneration(fields));
  ledger.record(aPut(fields));
  await ledger.flush();
  clock.nowMs += hour;
  // Whether the eviction was told or not.
  expect(await reconcile({ all: true })).toMatchObject({ added: 1, lost: 0 });
  expect((await entries()).map(({ atMs }) => atMs)).toEqual([before, before, madeAtMs, madeAtMs]);
});

test('a chunk made again soon, of whose end and new making nobody told, is told again', async () => {
  // Damaged, put away and made again in a minute, by processes that were killed; or in a second, of another size.
  for (const other of [{ atMs: madeAtMs - 60_000 }, { atMs: madeAtMs - 1000, bytes: chunkBytes + 1 }]) {
    const { reconcile, make, entries, ledger, clock } = setUp();
    for (const entry of told((await make(0)).chunk)) ledger.record({ ...entry, ...other });
    await ledger.flush();
    clock.nowMs += hour;
    expect(await reconcile({ all: true })).toMatchObject({ added: 1, lost: 0 });
    expect((await entries()).map(({ atMs }) => atMs)).toEqual([other.atMs, other.atMs, madeAtMs, madeAtMs]);
    expect(await reconcile({ all: true })).toMatchObject({ added: 0, lost: 0 });
  }
});

test('a chunk that a late put brought back after its eviction is told stored again, and made once', async () => {
  for (const isMakingTold of [true, false]) {
    const { reconcile, make, entries, ledger, clock } = setUp();
    const { chunk } = await make(0);
    const [generation, put] = told(chunk) as [Generation, Put];
    if (isMakingTold) {
      ledger.record(generation);
      ledger.record(put);
    }
    const goneAtMs = madeAtMs + 60_000;
    ledger.record({ ...put, kind: 'eviction', cause: 'room', atMs: goneAtMs });
    await ledger.flush();
    clock.nowMs += hour;
    const cpuSeconds = isMakingTold ? 0 : 0.1;
    expect(await reconcile({ all: true })).toEqual({ added: 1, cpuSeconds, lost: 0, illegible: 0 });
    const all = await entries();
    expect(all.filter(({ kind }) => kind === 'generation')).toHaveLength(1);
    expect(all.at(-1)).toMatchObject({ kind: 'put', atMs: goneAtMs + 1, bytes: chunkBytes });
    expect(await reconcile({ all: true })).toMatchObject({ added: 0, lost: 0 });
    expect(await entries()).toEqual(all);
  }
});

test('a late put of an earlier making than the last one told is told once', async () => {
  const { reconcile, make, entries, ledger, clock } = setUp();
  const { chunk } = await make(0);
  for (const entry of told(chunk)) ledger.record({ ...entry, atMs: madeAtMs + 5_000 });
  const { atMs: _, ...put } = told(chunk)[1] as Put;
  ledger.record({ ...put, kind: 'eviction', cause: 'room', atMs: madeAtMs + 60_000 });
  await ledger.flush();
  clock.nowMs += hour;
  expect(await reconcile({ all: true })).toMatchObject({ added: 1, cpuSeconds: 0.1 });
  expect(await reconcile({ all: true })).toMatchObject({ added: 0, lost: 0 });
  expect((await entries()).map(({ kind }) => kind)).toEqual(['generation', 'generation', 'put', 'eviction', 'put']);
});

test('what was stored within the margin is left for the next time: its worker may be about to tell it', async () => {
  const { reconcile, make, clock } = setUp();
  await make(0);
  clock.nowMs += 30_000;
  expect(await reconcile()).toMatchObject({ added: 0 });
  clock.nowMs += 31_000;
  expect(await reconcile()).toMatchObject({ added: 1 });
});

test('a chunk that is gone without a word is told lost, once', async () => {
  const { reconcile, make, entries, ledger, store, clock } = setUp();
  const { chunk, name } = await make(0);
  for (const entry of told(chunk)) ledger.record(entry);
  await ledger.flush();
  await store.delete(name);
  clock.nowMs += hour;
  expect(await reconcile({ all: true })).toMatchObject({ added: 0, lost: 1 });
  expect((await entries()).at(-1)).toEqual({
    kind: 'eviction',
    cause: 'lost',
    atMs: clock.nowMs,
    dataset: 'test:numbers',
    generator: 'counting',
    derivation: chunk.derivation,
    batchEvents: chunk.batchEvents,
    range: chunk.range,
    bytes: chunkBytes,
  });
  expect(await reconcile({ all: true })).toMatchObject({ added: 0, lost: 0 });
});

test('a chunk whose eviction is told while it is being looked for is not told lost', async () => {
  let evict: (() => Promise<void>) | undefined;
  const parts = setUp({
    marginMs: 20,
    // After the ledger was read, before the chunks are listed.
    wrap: (store) =>
      failing(store, (operation, name) => (operation === 'list' && name === 'chunks/' ? evict?.() : undefined)),
  });
  const { chunk, name } = await parts.make(0);
  for (const entry of told(chunk)) parts.ledger.record(entry);
  await parts.ledger.flush();
  parts.clock.nowMs += hour;
  evict = async () => {
    const { store, clock } = parts;
    await store.delete(name);
    const api = new Ledger({ store, process: 'api', flushMs: 1000, clock, log: silentLog });
    api.record({ ...aPut(), ...chunk, kind: 'eviction', cause: 'asked', atMs: clock.nowMs });
    await api.close();
  };
  expect(await parts.reconcile()).toMatchObject({ lost: 0 });
  expect((await parts.entries()).at(-1)).toMatchObject({ kind: 'eviction', cause: 'asked' });
});

test('a chunk that is there after all when it is looked for again is not told lost', async () => {
  const parts = setUp();
  const made = aChunk();
  for (const entry of told(made.chunk)) parts.ledger.record(entry);
  await parts.ledger.flush();
  const chunks = new Chunks(parts.store);
  const head = async (chunk: ChunkRef) => {
    await parts.store.put(made.name, made.parts);
    return chunks.head(chunk);
  };
  const reconciler = new Reconciler({ ...parts.parts, chunks: { trailer: (chunk) => chunks.trailer(chunk), head } });
  expect(await reconciler.reconcile({ all: true })).toMatchObject({ lost: 0 });
});

test('it goes on from where it was: an old chunk is not looked at again, one stored since is', async () => {
  const parts = setUp();
  await parts.make(0);
  parts.clock.nowMs += 10 * hour;
  await parts.reconcile();
  const trailers: ChunkRef[] = [];
  const chunks = new Chunks(parts.store);
  const watching = new Reconciler({
    ...parts.parts,
    chunks: {
      head: (chunk) => chunks.head(chunk),
      trailer: (chunk) => {
        trailers.push(chunk);
        return chunks.trailer(chunk);
      },
    },
  });
  const { chunk } = await parts.make(1);
  parts.clock.nowMs += 61_000;
  expect(await watching.reconcile()).toMatchObject({ added: 1, lost: 0 });
  expect(trailers).toEqual([chunk]);
});

test('wherever it goes on from, a chunk that was told is not told again', async () => {
  const { reconcile, make, entries, ledger } = setUp({ marginMs: -1_000_000 });
  for (const entry of told((await make(0)).chunk)) ledger.record(entry);
  await ledger.flush();
  for (const hours of [0, 1, 2, 3]) {
    for (const sinceMs of [madeAtMs - 1, madeAtMs + 500, madeAtMs + 1000, madeAtMs + 1001]) {
      expect(await reconcile({ sinceMs: sinceMs + hours * hour })).toMatchObject({ added: 0, lost: 0 });
    }
  }
  expect((await entries()).length).toBe(2);
});

test('one derivation can be reconciled alone, and the others wait for their turn', async () => {
  const { reconcile, make, entries } = setUp();
  const derivation = aDerivation(2);
  const other = aDataset({ name: 'other', derivation, derivationId: derivationId(derivation) });
  await make(0);
  const { chunk } = await make(0, other);
  expect(await reconcile({ derivation: chunk.derivation, all: true })).toMatchObject({ added: 1 });
  expect((await entries()).every(({ derivation }) => derivation === chunk.derivation)).toBe(true);
  expect(await reconcile({ all: true })).toMatchObject({ added: 1 });
});

test('a chunk that does not say where it comes from is counted, and tells nothing', async () => {
  const { reconcile, store, entries } = setUp();
  const made = aChunk();
  await store.put(made.name, [Buffer.from('no chunk at all')]);
  // Another chunk's bytes under this one's name.
  await store.put(aChunk({ index: 1 }).name, aChunk({ index: 2 }).parts);
  expect(await reconcile({ all: true })).toEqual({ added: 0, cpuSeconds: 0, lost: 0, illegible: 2 });
  expect(await entries()).toEqual([]);
});

test('when the ledger cannot be written it says so, and the next time starts from the same place', async () => {
  const state = { isDown: false };
  const { reconcile, make, entries, clock } = setUp({
    wrap: (store) =>
      failing(store, (operation, name) => {
        if (state.isDown && operation === 'put' && name.endsWith('.parquet')) throw unavailable();
      }),
  });
  await make(0);
  clock.nowMs += 10 * hour;
  state.isDown = true;
  await expect(reconcile()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  state.isDown = false;
  expect(await reconcile()).toMatchObject({ added: 1 });
  expect((await entries()).length).toBe(2);
});

test('a record of the last time that does not read makes it start from the beginning', async () => {
  const { reconcile, make, store, clock } = setUp();
  await make(0);
  clock.nowMs += 10 * hour;
  await store.put('ledger/reconciled.json', [Buffer.from('{"until": "2999')]);
  expect(await reconcile()).toMatchObject({ added: 1 });
});

test('a record of the last time that is in the future, by a clock that was wrong, makes it start from the beginning', async () => {
  const { reconcile, make, store, clock } = setUp();
  await make(0);
  clock.nowMs += 10 * hour;
  await store.put('ledger/reconciled.json', [Buffer.from(JSON.stringify({ until: '2031-01-01T00:00:00.000Z' }))]);
  expect(await reconcile()).toMatchObject({ added: 1 });
  expect(JSON.parse(String(await store.get('ledger/reconciled.json')))).toEqual({
    until: new Date(clock.nowMs - 60_000).toISOString(),
  });
});

test('a lost chunk was lost when it was found missing: made again while it is looked after, it is there', async () => {
  const parts = setUp({ marginMs: 20 });
  const { chunk, name } = await parts.make(0);
  for (const entry of told(chunk)) parts.ledger.record(entry);
  await parts.ledger.flush();
  await parts.store.delete(name);
  parts.clock.nowMs += hour;
  const foundMs = parts.clock.nowMs;
  const chunks = new Chunks(parts.store);
  const head = async (missing: ChunkRef) => {
    const found = await chunks.head(missing);
    // Somebody is making it: it is stored a moment after this look.
    parts.clock.nowMs += 5000;
    return found;
  };
  const reconciler = new Reconciler({ ...parts.parts, chunks: { trailer: (one) => chunks.trailer(one), head } });
  expect(await reconciler.reconcile()).toMatchObject({ lost: 1 });
  expect((await parts.entries()).at(-1)).toMatchObject({ cause: 'lost', atMs: foundMs });
});

test('it ends when it is aborted', async () => {
  const { reconcile, make } = setUp();
  await make(0);
  await expect(reconcile({ all: true }, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});

test('more chunks than a ledger can hold at once are all told', async () => {
  const { parts, store, clock } = setUp();
  const count = 6000;
  const { provenance } = (await new Chunks(await storeWith(aChunk())).inspect(aChunk().chunk)) ?? {};
  const { chunk } = aChunk();
  for (let first = 0; first < count; first++) {
    await store.put(chunkName({ ...chunk, range: { first, end: first + 1 } }), [Buffer.from('x')]);
  }
  const ledger = new Ledger({ store, process: 'test', flushMs: 1_000_000, clock, log: silentLog, rowsMax: 5000 });
  const chunks = {
    head: async () => undefined,
    trailer: async ({ range }: ChunkRef) =>
      provenance && { ...provenance, startEvent: range.first + 1, lastEvent: range.end },
  };
  const reconciler = new Reconciler({ ...parts, ledger, chunks });
  expect(await reconciler.reconcile({ all: true })).toMatchObject({ added: count, lost: 0 });
  expect(ledger.counters).toMatchObject({ recorded: 2 * count, flushed: 2 * count, lost: 0 });
  await ledger.close();
});

async function storeWith({ name, parts }: ReturnType<typeof aChunk>): Promise<Store> {
  const store = new MemoryStore();
  await store.put(name, parts);
  return store;
}
