import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LedgerEntry } from '../../../core/ledger.ts';
import { silentLog } from '../../../core/log.ts';
import { compact } from '../../../costs/ledger/compaction.ts';
import { mergedProcess, type Origin, segmentName } from '../../../costs/ledger/names.ts';
import { readLedger } from '../../../costs/ledger/reader.ts';
import { encodeSegment, type SegmentContent } from '../../../costs/ledger/segment.ts';
import { SegmentSet } from '../../../costs/ledger/segment-set.ts';
import { MemoryStore } from '../../../store/memory-store.ts';
import type { Store } from '../../../store/store.ts';
import { failing, unavailable } from '../../store/faults.ts';
import { anAccess, collect, hour, tenAm } from './any-entry.ts';

const encoder = { encode: async (content: SegmentContent) => encodeSegment(content) };
const later = tenAm + 2 * hour;

function round(store: Store, options: { nowMs?: number; bytesMax?: number } = {}, signal?: AbortSignal) {
  return compact(store, { nowMs: later, encoder, log: silentLog, ...options }, signal);
}

/** Writes one access of its own: `<process>-<n>` is its request. */
async function write(store: Store, { process, n }: Origin, atMs = tenAm): Promise<void> {
  const entries = [anAccess({ atMs: atMs + n, requestId: `${process}-${n}` })];
  const hourMs = Math.floor(atMs / hour) * hour;
  await store.put(segmentName({ hourMs, process, n }), [encodeSegment({ entries, origins: { process, n } })]);
}

async function requests(store: Store): Promise<string[]> {
  const entries: LedgerEntry[] = await collect(readLedger(store));
  return entries.map((entry) => (entry.kind === 'access' ? entry.requestId : entry.kind)).sort();
}

async function names(store: Store): Promise<string[]> {
  return (await store.list('ledger/')).map(({ name }) => name);
}

test('the segments of an hour that is over become one that has all they had', async () => {
  const store = new MemoryStore();
  for (let n = 1; n <= 5; n++) for (const process of ['api', 'worker']) await write(store, { process, n });
  const before = await requests(store);
  expect(await round(store)).toEqual({ merged: 1, deleted: 10, damaged: 0, isComplete: true });
  expect(await names(store)).toEqual([expect.stringMatching(/\/10-merged\.[0-9a-f]{32}-00000001\.parquet$/)]);
  expect(await requests(store)).toEqual(before);
  expect(await round(store)).toEqual({ merged: 0, deleted: 0, damaged: 0, isComplete: true });
});

test('an hour that is not over for five minutes is left alone', async () => {
  const store = new MemoryStore();
  for (let n = 1; n <= 3; n++) await write(store, { process: 'api', n });
  expect(await round(store, { nowMs: tenAm + hour + 299_999 })).toMatchObject({ merged: 0, deleted: 0 });
  expect(await round(store, { nowMs: tenAm + hour + 300_000 })).toMatchObject({ merged: 1, deleted: 3 });
});

test('what comes late for an hour that was merged is merged later, and the whole keeps its order', async () => {
  const store = new MemoryStore();
  for (let n = 1; n <= 3; n++) await write(store, { process: 'api', n });
  await round(store);
  await write(store, { process: 'late', n: 1 });
  expect(await requests(store)).toEqual(['api-1', 'api-2', 'api-3', 'late-1']);
  expect(await round(store)).toMatchObject({ merged: 1, deleted: 2 });
  expect(await requests(store)).toEqual(['api-1', 'api-2', 'api-3', 'late-1']);
  expect((await names(store)).length).toBe(1);
});

test('a segment that comes back after it was merged, from a put repeated late, does not count twice and goes', async () => {
  const store = new MemoryStore();
  for (let n = 1; n <= 3; n++) await write(store, { process: 'api', n });
  await round(store);
  await write(store, { process: 'late', n: 1 });
  await round(store);
  await write(store, { process: 'api', n: 2 });
  expect(await requests(store)).toEqual(['api-1', 'api-2', 'api-3', 'late-1']);
  expect(await round(store)).toMatchObject({ merged: 0, deleted: 1 });
  expect(await requests(store)).toEqual(['api-1', 'api-2', 'api-3', 'late-1']);
});

test('wherever a round is cut short, no entry is lost or counted twice, and the next round finishes', async () => {
  const fill = async () => {
    const store = new MemoryStore();
    for (let n = 1; n <= 3; n++) await write(store, { process: 'api', n });
    await round(store);
    for (let n = 4; n <= 6; n++) await write(store, { process: 'api', n });
    for (let n = 1; n <= 2; n++) await write(store, { process: 'api', n }, tenAm - hour);
    // One that was merged and not deleted.
    await write(store, { process: 'api', n: 1 });
    return store;
  };
  const expected = await requests(await fill());
  expect(expected.length).toBe(8);
  let cutAt = 0;
  for (let wasCut = true; wasCut; cutAt++) {
    for (const isDone of [false, true]) {
      const inner = await fill();
      let steps = 0;
      wasCut = false;
      // The step fails before it is done, or after: its answer is lost.
      const cut = () => {
        if (steps++ < cutAt) return false;
        wasCut = true;
        return true;
      };
      const store: Store = {
        ...failing(inner, () => undefined),
        get: async (name) => {
          if (cut()) throw unavailable();
          return inner.get(name);
        },
        put: async (name, parts, options) => {
          const isCut = cut();
          if (isCut && !isDone) throw unavailable();
          const result = await inner.put(name, parts, options);
          if (isCut) throw unavailable();
          return result;
        },
        delete: async (name) => {
          const isCut = cut();
          if (isCut && !isDone) throw unavailable();
          const result = await inner.delete(name);
          if (isCut) throw unavailable();
          return result;
        },
      };
      if (!wasCut) await round(store).catch(() => undefined);
      expect(await requests(inner), `cut at step ${cutAt}`).toEqual(expected);
      await round(inner);
      expect(await requests(inner), `finished after step ${cutAt}`).toEqual(expected);
      expect((await names(inner)).length).toBe(2);
    }
  }
  expect(cutAt).toBeGreaterThan(10);
});

test('a reader that listed before a merging and reads after it finds every entry once', async () => {
  const inner = new MemoryStore();
  for (let n = 1; n <= 12; n++) await write(inner, { process: 'api', n });
  const expected = await requests(inner);
  let gets = 0;
  const store = failing(inner, async (operation) => {
    if (operation === 'get' && ++gets === 9) await round(inner);
  });
  expect(await requests(store)).toEqual(expected);
});

test('mergings that overlap in any way, by whoever, count every entry once, and one more round mends them', async () => {
  const origins = Array.from({ length: 6 }, (_, n) => ({ process: 'api', n }));
  const overlap = fc.array(fc.subarray(origins, { minLength: 1 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(overlap, fc.subarray(origins), async (groups, left) => {
      const store = new MemoryStore();
      const there = new Set<string>();
      for (const group of [...groups, ...left.map((origin) => [origin])]) {
        for (const { process, n } of group) there.add(`${process}-${n}`);
      }
      for (const origin of left) await write(store, origin);
      for (const [at, group] of groups.entries()) {
        const covers = new SegmentSet();
        for (const origin of group) covers.add(origin);
        const entries = group.map(({ process, n }) => anAccess({ atMs: tenAm + n, requestId: `${process}-${n}` }));
        const id = { hourMs: tenAm, process: mergedProcess(`${at}`), n: 1 };
        await store.put(segmentName(id), [encodeSegment({ entries, origins: group, covers: covers.toText() })]);
      }
      const expected = [...there].sort();
      expect(await requests(store)).toEqual(expected);
      await round(store);
      expect(await requests(store)).toEqual(expected);
      await round(store);
      expect((await names(store)).length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 60 },
  );
});

test('a damaged segment is left where it is and counted; the others are merged', async () => {
  const store = new MemoryStore();
  for (let n = 1; n <= 4; n++) await write(store, { process: 'api', n });
  const [first = ''] = await names(store);
  await store.put(first, [Buffer.from('nonsense')]);
  expect(await round(store)).toEqual({ merged: 1, deleted: 3, damaged: 1, isComplete: true });
  expect(await names(store)).toContain(first);
  expect(await requests(store)).toEqual(['api-2', 'api-3', 'api-4']);
});

test('nothing is deleted when what was merged does not read back', async () => {
  const inner = new MemoryStore();
  for (let n = 1; n <= 3; n++) await write(inner, { process: 'api', n });
  const store: Store = {
    ...failing(inner, () => undefined),
    put: (name, parts, options) => inner.put(name, [Buffer.concat(parts).subarray(1)], options),
  };
  expect(await round(store)).toMatchObject({ merged: 0, deleted: 0 });
  expect(await requests(inner)).toEqual(['api-1', 'api-2', 'api-3']);
});

test('merged segments stay below their size, and those that are large enough are not read again', async () => {
  const inner = new MemoryStore();
  for (let n = 1; n <= 40; n++) {
    // What does not compress.
    const entries = [anAccess({ atMs: tenAm + n, requestId: randomBytes(5000).toString('base64') })];
    const name = segmentName({ hourMs: tenAm, process: 'api', n });
    await inner.put(name, [encodeSegment({ entries, origins: { process: 'api', n } })]);
  }
  const before = await requests(inner);
  const bytesMax = 100_000;
  for (let i = 0; i < 5; i++) await round(inner, { bytesMax });
  expect(await requests(inner)).toEqual(before);
  const sizes = (await inner.list('ledger/')).map(({ bytes }) => bytes);
  expect(sizes.length).toBeGreaterThan(2);
  expect(sizes.length).toBeLessThan(9);
  expect(Math.max(...sizes)).toBeLessThan(bytesMax);
  const calls: string[] = [];
  await round(
    failing(inner, (operation) => void calls.push(operation)),
    { bytesMax },
  );
  expect(calls).toEqual(['list']);
});

test('a round that has had its time ends, and says that there is more', async () => {
  const store = new MemoryStore();
  for (let n = 1; n <= 3; n++) await write(store, { process: 'api', n });
  const options = { nowMs: later, encoder, log: silentLog, roundMs: -1 };
  expect(await compact(store, options)).toEqual({ merged: 0, deleted: 0, damaged: 0, isComplete: false });
});

test('a round that is aborted ends', async () => {
  const store = new MemoryStore();
  for (let n = 1; n <= 3; n++) await write(store, { process: 'api', n });
  await expect(round(store, {}, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  expect((await names(store)).length).toBe(3);
});
