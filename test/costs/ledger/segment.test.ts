import fc from 'fast-check';
import { readParquet } from 'nodejs-polars';
import { expect, test } from 'vitest';
import type { LedgerEntry } from '../../../core/ledger.ts';
import { timeMaxMs } from '../../../costs/ledger/names.ts';
import { compareEntries } from '../../../costs/ledger/order.ts';
import { EntryPacker, unpackEntries } from '../../../costs/ledger/pack.ts';
import { ledgerColumns } from '../../../costs/ledger/schema.ts';
import { encodeSegment, openSegment, readParts, SegmentDamaged } from '../../../costs/ledger/segment.ts';
import { aGeneration, anAccess, anyEntry, aPut, aWaste, tenAm } from './any-entry.ts';
import { segmentOfBefore } from './segment-of-before.ts';

const anyEntries = fc.array(anyEntry(fc.nat({ max: timeMaxMs })), { maxLength: 40 });
const here = { process: 'api-1', n: 3 };

function sorted(entries: readonly LedgerEntry[]): LedgerEntry[] {
  return [...entries].sort(compareEntries);
}

test('any entries come back exactly, in the order of the ledger, with their origins', async () => {
  await fc.assert(
    fc.asyncProperty(anyEntries, async (entries) => {
      const rows = await readParts(openSegment(encodeSegment({ entries, origins: here })).parts);
      expect(rows.entries).toEqual(sorted(entries));
      expect(rows.origins).toEqual(entries.map(() => here));
    }),
    { numRuns: 60 },
  );
});

test('the same entries in any order are the same bytes', () => {
  fc.assert(
    fc.property(anyEntries, fc.infiniteStream(fc.double({ noNaN: true })), (entries, random) => {
      const shuffled = entries
        .map((entry) => ({ entry, at: random.next().value }))
        .sort((a, b) => a.at - b.at)
        .map(({ entry }) => entry);
      const file = encodeSegment({ entries: shuffled, origins: here });
      expect(file.equals(encodeSegment({ entries, origins: here }))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('any entries come out of a packer as they went in', () => {
  fc.assert(
    fc.property(anyEntries, (entries) => {
      const packer = new EntryPacker(entries.length);
      const origins = entries.map((_, at) => ({ process: `p${at % 3}`, n: at }));
      for (const [at, entry] of entries.entries()) packer.add(entry, origins[at] ?? here);
      expect(unpackEntries(packer.finish())).toEqual({ entries, origins });
    }),
  );
});

test('the order of the ledger is total: it is 0 for equal entries only, and turns with its arguments', () => {
  const close = fc.array(anyEntry(fc.nat({ max: 2 })), { minLength: 2, maxLength: 12 });
  fc.assert(
    fc.property(close, (entries) => {
      for (const a of entries) {
        for (const b of entries) {
          expect(Math.sign(compareEntries(a, b)) + Math.sign(compareEntries(b, a))).toBe(0);
          if (compareEntries(a, b) === 0) expect(a).toEqual(b);
        }
      }
    }),
  );
});

test('a file of which any one byte was changed, or that was cut anywhere, does not read', () => {
  const file = encodeSegment({
    entries: [aGeneration(), aPut(), anAccess()],
    origins: here,
    covers: '[["api-1",[[1,3]]]]',
  });
  fc.assert(
    fc.property(fc.nat({ max: file.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(file);
      changed[at] = (changed[at] ?? 0) ^ change;
      expect(() => openSegment(changed)).toThrow(SegmentDamaged);
      expect(() => openSegment(file.subarray(0, at))).toThrow(SegmentDamaged);
    }),
    { numRuns: 300 },
  );
});

test('what is no segment at all does not read', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from('PAR1'), Buffer.alloc(5000), Buffer.from('evoke.sha256')]) {
    expect(() => openSegment(bytes)).toThrow(SegmentDamaged);
  }
});

test('another reader finds the columns with their types, times and numbers, and null where a column does not apply', () => {
  const large = Number.MAX_SAFE_INTEGER;
  const entries: LedgerEntry[] = [
    aGeneration({ bytes: large, range: { first: 0, end: 64 } }),
    aPut(),
    anAccess({ atMs: tenAm + 5, dataset: 'τεστ:ñ' }),
  ];
  const frame = readParquet(encodeSegment({ entries, origins: here }));
  expect(frame.columns).toEqual(ledgerColumns.map(({ name }) => name));
  expect(frame.getColumn('time').dtype.toString()).toContain('Datetime(ms');
  expect(frame.getColumn('start_event').dtype.toString()).toContain('Int64');
  const rows = frame.toRecords();
  expect(rows[0]).toMatchObject({
    kind: 'generation',
    bytes: large,
    start_event: 1,
    last_event: 64,
    wait_micros: null,
    process: 'api-1',
    segment: 3,
  });
  expect(rows[1]).toMatchObject({ kind: 'put', bytes: 4096, request_id: null, cpu_micros: null });
  expect(rows[2]).toMatchObject({
    kind: 'access',
    dataset: 'τεστ:ñ',
    bytes: null,
    means: 'memory',
    bytes_served: 1000,
  });
  expect(rows.map((row) => Number(row['time']))).toEqual([tenAm, tenAm, tenAm + 5]);
});

test('another reader finds in many row groups what was written', () => {
  const entries = Array.from({ length: 40_000 }, (_, i) =>
    anAccess({ atMs: tenAm + i, requestId: `r-${i}`, bytesServed: i, dataset: `test:${i % 7}` }),
  );
  const frame = readParquet(encodeSegment({ entries, origins: here }));
  expect(frame.height).toBe(entries.length);
  expect(frame.getColumn('bytes_served').sum()).toBe((entries.length * (entries.length - 1)) / 2);
  expect(frame.getColumn('request_id').nUnique()).toBe(entries.length);
});

test('a large segment is read part by part, and each part says when it begins', async () => {
  const entries = Array.from({ length: 20_000 }, (_, i) => anAccess({ atMs: tenAm + Math.floor(i / 3) }));
  const { parts, rows } = openSegment(encodeSegment({ entries, origins: here }));
  expect(parts).toHaveLength(3);
  for (const { fromMs, read } of parts) expect((await read()).entries[0]?.atMs).toBe(fromMs);
  // In any order, and again.
  const [first, last] = [await parts[0]?.read(), await parts[2]?.read()];
  expect([first?.entries.length, last?.entries.at(-1)]).toEqual([8192, entries.at(-1)]);
  expect((await readParts(parts)).entries).toEqual(entries);
  expect(rows).toBe(20_000);
});

test('times of any year say when a part begins', () => {
  fc.assert(
    fc.property(fc.nat({ max: timeMaxMs }), (atMs) => {
      const { parts } = openSegment(encodeSegment({ entries: [anAccess({ atMs })], origins: here }));
      expect(parts.map(({ fromMs }) => fromMs)).toEqual([atMs]);
    }),
    { numRuns: 50 },
  );
});

test('a segment of an earlier release reads as it was written, and the same entries still make the same bytes', async () => {
  const { entries, origins } = await readParts(openSegment(segmentOfBefore).parts);
  expect(entries).toEqual([
    aGeneration(),
    aPut(),
    anAccess(),
    aWaste({ atMs: tenAm + 5 }),
    { ...aPut({ atMs: tenAm + 9 }), kind: 'eviction', cause: 'room' },
  ]);
  expect(encodeSegment({ entries, origins }).equals(segmentOfBefore)).toBe(true);
});
