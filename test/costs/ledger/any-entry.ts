// Entries of the ledger for tests: plain ones with fields to choose, and any at all.
import fc from 'fast-check';
import type { Access, Generation, LedgerEntry, Put, Remake, Waste } from '../../../core/ledger.ts';

export const hour = 3_600_000;
/** Ten o'clock on some day. */
export const tenAm = Date.UTC(2031, 4, 5, 10);

const base = {
  atMs: tenAm,
  dataset: 'test:numbers',
  generator: 'counting',
  derivation: 'ab'.repeat(32),
  batchEvents: 32,
  range: { first: 0, end: 64 },
};

export function anAccess(fields: Partial<Access> = {}): Access {
  return {
    kind: 'access',
    ...base,
    requestId: 'r-1',
    means: 'memory',
    events: 64,
    bytesServed: 1000,
    waitMicros: 7,
    ...fields,
  };
}

export function aGeneration(fields: Partial<Generation> = {}): Generation {
  return {
    kind: 'generation',
    ...base,
    cpuMicros: 100_000,
    wallMicros: 120_000,
    attempt: 1,
    requestId: 'r-1',
    batch: '',
    bytes: 4096,
    ...fields,
  };
}

/** Of the very making that `aGeneration` tells of. */
export function aWaste(fields: Partial<Waste> = {}): Waste {
  const { bytes, ...made } = aGeneration();
  return { ...made, kind: 'waste', cause: 'crashed', ...fields };
}

/** On the way to the chunk that `aGeneration` tells of. */
export function aRemake(fields: Partial<Remake> = {}): Remake {
  const { bytes, ...made } = aGeneration();
  return { ...made, kind: 'remake', dataset: 'test:input', derivation: 'cd'.repeat(32), cpuMicros: 40_000, ...fields };
}

export function aPut(fields: Partial<Put> = {}): Put {
  return { kind: 'put', ...base, bytes: 4096, ...fields };
}

const whole = fc.oneof(fc.maxSafeNat(), fc.nat({ max: 1000 }), fc.constantFrom(0, 2 ** 32, Number.MAX_SAFE_INTEGER));
/** Any text that has an encoding, a byte order mark at its beginning among them. */
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', '\uFEFFmark', '0', 'NULL'));
const range = fc
  .tuple(whole, whole)
  .filter(([a, b]) => a !== b)
  .map(([a, b]) => ({ first: Math.min(a, b), end: Math.max(a, b) }));

const anyBase = {
  dataset: text,
  generator: text,
  derivation: text,
  batchEvents: whole,
  range,
};
const anyWork = { cpuMicros: whole, wallMicros: whole, attempt: whole, requestId: text, batch: text };

/** Any entry, at a time that `atMs` gives. */
export function anyEntry(atMs: fc.Arbitrary<number>): fc.Arbitrary<LedgerEntry> {
  return fc.oneof(
    fc.record({ kind: fc.constant('generation' as const), atMs, ...anyBase, ...anyWork, bytes: whole }),
    fc.record({ kind: fc.constant('remake' as const), atMs, ...anyBase, ...anyWork }),
    fc.record({
      kind: fc.constant('waste' as const),
      atMs,
      ...anyBase,
      ...anyWork,
      cause: fc.constantFrom('cancelled', 'failed', 'crashed', 'duplicate', 'unstored'),
    }),
    fc.record({
      kind: fc.constant('access' as const),
      atMs,
      ...anyBase,
      requestId: text,
      means: fc.constantFrom('memory', 'near', 'joined', 'generated'),
      events: whole,
      bytesServed: whole,
      waitMicros: whole,
    }),
    fc.record({ kind: fc.constant('put' as const), atMs, ...anyBase, bytes: whole }),
    fc.record({
      kind: fc.constant('eviction' as const),
      atMs,
      ...anyBase,
      bytes: whole,
      cause: fc.constantFrom('asked', 'room', 'damaged', 'lost'),
    }),
  );
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
