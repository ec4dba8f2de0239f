import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LedgerEntry } from '../../../core/ledger.ts';
import { silentLog } from '../../../core/log.ts';
import { type Origin, segmentName } from '../../../costs/ledger/names.ts';
import { compareEntries, tellTheSame } from '../../../costs/ledger/order.ts';
import { readLedger } from '../../../costs/ledger/reader.ts';
import { encodeSegment } from '../../../costs/ledger/segment.ts';
import { MemoryStore } from '../../../store/memory-store.ts';
import { failing, unavailable } from '../../store/faults.ts';
import { aGeneration, anAccess, anyEntry, aPut, aRemake, aWaste, collect, hour, tenAm } from './any-entry.ts';

/** Puts entries of one hour into a segment of their own. */
async function write(store: MemoryStore, origin: Origin, entries: readonly LedgerEntry[]): Promise<string> {
  const hourMs = Math.floor((entries[0]?.atMs ?? 0) / hour) * hour;
  const name = segmentName({ hourMs, ...origin });
  await store.put(name, [encodeSegment({ entries, origins: origin })]);
  return name;
}

test('entries come in the order of the ledger, however they are spread over processes and hours', async () => {
  const atMs = fc.nat({ max: 5 * hour - 1 }).map((ms) => tenAm + ms);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(anyEntry(atMs), fc.constantFrom('api', 'worker', 'x')), { maxLength: 40 }),
      async (spread) => {
        const store = new MemoryStore();
        const groups = Map.groupBy(spread, ([entry, process]) => `${process} ${Math.floor(entry.atMs / hour)}`);
        for (const [n, group] of [...groups.values()].entries()) {
          const process = group[0]?.[1] ?? '';
          await write(
            store,
            { process, n },
            group.map(([entry]) => entry),
          );
        }
        const expected = spread.map(([entry]) => entry).sort(compareEntries);
        expect(await collect(readLedger(store))).toEqual(expected);
      },
    ),
    { numRuns: 25 },
  );
});

test('large segments that overlap in time, and begin in the midst of others, are in the order of the ledger', async () => {
  const store = new MemoryStore();
  // The second begins where the first's second part does, and the third within one millisecond of both.
  const rows = [20_000, 9000, 100, 12_000];
  const begins = [0, 4096, 4096, 2500];
  const all: LedgerEntry[] = [];
  for (const [n, count] of rows.entries()) {
    const entries = Array.from({ length: count }, (_, i) =>
      anAccess({ atMs: tenAm + (begins[n] ?? 0) + Math.floor(i / 2), requestId: `${n}-${i}` }),
    );
    await write(store, { process: 'api', n }, entries);
    all.push(...entries);
  }
  expect(await collect(readLedger(store))).toEqual(all.sort(compareEntries));
});

test('a window takes entries from its beginning on and before its end', async () => {
  const store = new MemoryStore();
  const times = [tenAm, tenAm + 1, tenAm + hour - 1, tenAm + hour, tenAm + 30 * hour];
  for (const [n, atMs] of times.entries()) await write(store, { process: 'api', n }, [anAccess({ atMs })]);
  for (const fromMs of [undefined, ...times, tenAm + 40 * hour]) {
    for (const toMs of [undefined, ...times, tenAm + 40 * hour]) {
      const found = (await collect(readLedger(store, { fromMs, toMs }))).map(({ atMs }) => atMs);
      expect(found).toEqual(times.filter((atMs) => atMs >= (fromMs ?? 0) && atMs < (toMs ?? Infinity)));
    }
  }
});

test('a window reads no segment outside of its hours', async () => {
  const inner = new MemoryStore();
  for (let n = 0; n < 10; n++) await write(inner, { process: 'api', n }, [anAccess({ atMs: tenAm + n * hour })]);
  const read: string[] = [];
  const store = failing(inner, (operation, name) => {
    if (operation === 'get') read.push(name);
  });
  await collect(readLedger(store, { fromMs: tenAm + 3 * hour + 5, toMs: tenAm + 5 * hour }));
  expect(read).toEqual([3, 4].map((n) => segmentName({ hourMs: tenAm + n * hour, process: 'api', n })));
});

test('a generation and a put that were told twice are given once; accesses that look the same are all given', async () => {
  const store = new MemoryStore();
  const told = [aGeneration(), aPut(), anAccess(), anAccess()];
  const again = [aGeneration({ wallMicros: 120_001 }), aPut(), aPut({ atMs: tenAm + 1 })];
  await write(store, { process: 'worker', n: 1 }, told);
  await write(store, { process: 'scheduler', n: 1 }, again);
  const entries = await collect(readLedger(store));
  expect(entries.map(({ kind }) => kind)).toEqual(['generation', 'put', 'access', 'access', 'put']);
  expect(tellTheSame(aGeneration(), aGeneration({ range: { first: 0, end: 32 } }))).toBe(false);
});

test('a remaking that was told twice is given once; one that took something else, or for another request, is another', async () => {
  const store = new MemoryStore();
  const others = [
    aRemake({ requestId: 'r-0' }),
    aRemake({ requestId: 'r-2' }),
    aRemake({ atMs: tenAm + 1 }),
    aRemake({ derivation: 'ef'.repeat(32) }),
    aRemake({ range: { first: 0, end: 32 } }),
    // One list of event ranges may name two datasets that read the same events.
    aRemake({ cpuMicros: 40_001 }),
  ];
  await write(store, { process: 'worker', n: 1 }, [aRemake(), aGeneration(), ...others]);
  // From the trailer.
  await write(store, { process: 'scheduler', n: 1 }, [aRemake(), aGeneration()]);
  await write(store, { process: 'api', n: 1 }, [aRemake(), ...others]);
  const entries = await collect(readLedger(store));
  expect(entries.filter(({ kind }) => kind === 'generation')).toHaveLength(1);
  expect(entries.filter(({ kind }) => kind === 'remake')).toHaveLength(7);
  expect(entries.map(({ atMs }) => atMs).indexOf(tenAm + 1)).toBe(7);
});

test('of a derived chunk that was unstored and turned up after all, what went into its inputs counts once too', async () => {
  const store = new MemoryStore();
  const unstored = aWaste({ cause: 'unstored' });
  const { kind: _, ...remade } = aRemake();
  const ofInput = { ...remade, kind: 'waste', cause: 'unstored' } as const;
  const other = { ...ofInput, cpuMicros: 39_999 };
  await write(store, { process: 'worker', n: 1 }, [unstored, ofInput, other]);
  expect(await collect(readLedger(store))).toHaveLength(3);
  await write(store, { process: 'scheduler', n: 1 }, [aRemake(), aGeneration(), aPut()]);
  expect(await collect(readLedger(store))).toEqual([aGeneration(), aRemake(), other, aPut()]);
});

test('of a chunk that was told unstored, and that the store had taken after all, only the generation is given', async () => {
  const store = new MemoryStore();
  const unstored = aWaste({ cause: 'unstored' });
  const other = { derivation: 'cd'.repeat(32) };
  const wastes = [
    // What else happened to that chunk, or to another at the same moment, was for nothing.
    aWaste({ cause: 'unstored', cpuMicros: 99_999 }),
    aWaste({ cause: 'unstored', atMs: tenAm + 1 }),
    aWaste({ cause: 'unstored', range: { first: 64, end: 128 } }),
    aWaste({ cause: 'duplicate' }),
  ];
  await write(store, { process: 'worker', n: 1 }, [unstored, ...wastes]);
  expect(await collect(readLedger(store))).toHaveLength(5);
  await write(store, { process: 'scheduler', n: 1 }, [aGeneration(), aPut(), aGeneration(other), aPut(other)]);
  const entries = await collect(readLedger(store));
  expect(entries.filter(({ kind }) => kind === 'waste')).toEqual(wastes.toSorted(compareEntries));
  expect(entries).toHaveLength(8);
});

test('damaged segments are passed over and counted, and everything else is given', async () => {
  const store = new MemoryStore();
  const names: string[] = [];
  for (let n = 0; n < 4; n++) {
    names.push(await write(store, { process: 'api', n }, [anAccess({ atMs: tenAm + n, requestId: `r-${n}` })]));
  }
  const file = (await store.get(names[1] ?? '')) as Buffer;
  await store.put(names[1] ?? '', [file.subarray(0, file.length - 10)]);
  await store.put(names[2] ?? '', [Buffer.from('nonsense')]);
  await store.put('ledger/2031-05-05/10-notes.txt', [Buffer.from('of somebody')]);
  const said: object[] = [];
  const reading = readLedger(store, { log: { ...silentLog, warn: (fields) => said.push(fields) } });
  expect((await collect(reading)).map(({ atMs }) => atMs - tenAm)).toEqual([0, 3]);
  expect(reading.unreadable).toBe(2);
  expect(said).toEqual([
    expect.objectContaining({ segment: names[1] }),
    expect.objectContaining({ segment: names[2] }),
  ]);
});

test('a store that fails is not taken for an empty ledger', async () => {
  const inner = new MemoryStore();
  await write(inner, { process: 'api', n: 1 }, [anAccess()]);
  for (const broken of ['list', 'get']) {
    const store = failing(inner, (operation) => {
      if (operation === broken) throw unavailable();
    });
    await expect(collect(readLedger(store))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  }
});

test('more segments than a page lists are all read', { timeout: 20_000 }, async () => {
  const store = new MemoryStore();
  const file = encodeSegment({ entries: [anAccess()], origins: { process: 'api', n: 0 } });
  for (let n = 0; n < 1100; n++) await store.put(segmentName({ hourMs: tenAm, process: 'api', n }), [file]);
  expect((await collect(readLedger(store))).length).toBe(1100);
});

test('a reading that is aborted ends', async () => {
  const store = new MemoryStore();
  await write(store, { process: 'api', n: 1 }, [anAccess()]);
  const stopped = AbortSignal.abort(new Error('enough'));
  await expect(collect(readLedger(store, { signal: stopped }))).rejects.toThrow('enough');
});
