import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import type { LedgerEntry } from '../../../core/ledger.ts';
import { type Log, silentLog } from '../../../core/log.ts';
import { Ledger, type LedgerOptions } from '../../../costs/ledger/ledger.ts';
import { segmentOfName } from '../../../costs/ledger/names.ts';
import { compareEntries } from '../../../costs/ledger/order.ts';
import { readLedger } from '../../../costs/ledger/reader.ts';
import { MemoryStore } from '../../../store/memory-store.ts';
import { eventually } from '../../eventually.ts';
import { failing, unavailable, watched } from '../../store/faults.ts';
import { anAccess, anyEntry, collect, hour, tenAm } from './any-entry.ts';

const never = 1_000_000;

function aLedger(options: Partial<LedgerOptions> = {}): Ledger {
  const clock = { now: () => tenAm };
  return new Ledger({ store: new MemoryStore(), process: 'api', flushMs: never, clock, log: silentLog, ...options });
}

async function entriesOf(store: MemoryStore): Promise<LedgerEntry[]> {
  return collect(readLedger(store));
}

async function namesOf(store: MemoryStore): Promise<string[]> {
  return (await store.list('ledger/')).map(({ name }) => name);
}

/** Accesses that differ. */
function accesses(count: number, fields: Partial<LedgerEntry> = {}): LedgerEntry[] {
  return Array.from({ length: count }, (_, i) => anAccess({ requestId: `r-${i}`, ...(fields as object) }));
}

afterEach(() => {
  vi.useRealTimers();
});

test('what is recorded is in the store after a flush, and counted', async () => {
  const store = new MemoryStore();
  const ledger = aLedger({ store });
  for (const entry of accesses(10)) ledger.record(entry);
  expect(ledger.counters).toEqual({ recorded: 10, flushed: 0, segments: 0, lost: 0 });
  expect(ledger.isSettled).toBe(false);
  await ledger.flush();
  expect(await entriesOf(store)).toEqual(accesses(10).sort(compareEntries));
  expect(ledger.counters).toEqual({ recorded: 10, flushed: 10, segments: 1, lost: 0 });
  expect(ledger.isSettled).toBe(true);
});

test('a flush of nothing writes nothing', async () => {
  const store = new MemoryStore();
  const ledger = aLedger({ store });
  await ledger.flush();
  await ledger.close();
  expect(await namesOf(store)).toEqual([]);
});

test('entries are flushed by themselves when they have been gathered long enough', async () => {
  const store = new MemoryStore();
  const ledger = aLedger({ store, flushMs: 20 });
  ledger.record(anAccess());
  await eventually(() => expect(ledger.isSettled).toBe(true));
  ledger.record(anAccess());
  await eventually(() => expect(ledger.counters.segments).toBe(2));
  await ledger.close();
});

test('so many entries as a segment holds are written without waiting for the time', async () => {
  const ledger = aLedger({ rowsMax: 5 });
  for (const entry of accesses(5)) ledger.record(entry);
  await eventually(() => expect(ledger.counters).toMatchObject({ flushed: 5, segments: 1 }));
});

test('a flush that spans an hour writes a segment for each, named by the hour of its entries', async () => {
  const store = new MemoryStore();
  const ledger = aLedger({ store, process: 'api.7/é' });
  ledger.record(anAccess({ atMs: tenAm + hour }));
  ledger.record(anAccess({ atMs: tenAm + hour - 1 }));
  ledger.record(anAccess({ atMs: Date.UTC(1970, 0) }));
  await ledger.flush();
  const names = await namesOf(store);
  expect(names).toEqual([
    expect.stringMatching(/^ledger\/1970-01-01\/00-api_7__-20310505T100000-[0-9a-f]{8}-00000003\.parquet$/),
    expect.stringMatching(/^ledger\/2031-05-05\/10-api_7__-20310505T100000-[0-9a-f]{8}-00000002\.parquet$/),
    expect.stringMatching(/^ledger\/2031-05-05\/11-api_7__-20310505T100000-[0-9a-f]{8}-00000001\.parquet$/),
  ]);
  expect(names.map((name) => segmentOfName(name)?.hourMs)).toEqual([0, tenAm, tenAm + hour]);
});

test('two ledgers of one process name, begun in the same second, never take each other for themselves', async () => {
  const store = new MemoryStore();
  for (const requestId of ['first', 'second']) {
    const ledger = aLedger({ store });
    ledger.record(anAccess({ requestId }));
    await ledger.close();
  }
  expect((await entriesOf(store)).length).toBe(2);
});

test('many entries are encoded in a thread and come back as they were', async () => {
  const store = new MemoryStore();
  const ledger = aLedger({ store });
  const entries = fc.sample(anyEntry(fc.nat({ max: hour - 1 }).map((ms) => tenAm + ms)), { numRuns: 3000, seed: 7 });
  const made = entries.filter(({ kind }) => kind !== 'generation' && kind !== 'put');
  for (const entry of made) ledger.record(entry);
  await ledger.flush();
  expect(ledger.counters.segments).toBe(1);
  expect(await entriesOf(store)).toEqual(made.sort(compareEntries));
  await ledger.close();
});

test('a store that fails is tried again with the same name and bytes, until it has all, once', async () => {
  vi.useFakeTimers();
  const inner = new MemoryStore();
  const puts: string[] = [];
  let failures = 3;
  const store = failing(inner, (operation, name) => {
    if (operation === 'put') puts.push(name);
    if (operation === 'put' && failures-- > 0) throw unavailable();
  });
  const ledger = aLedger({ store, flushMs: 100 });
  ledger.record(anAccess());
  await vi.advanceTimersByTimeAsync(60_000);
  expect(ledger.isSettled).toBe(true);
  expect(puts.length).toBe(4);
  expect(new Set(puts).size).toBe(1);
  expect(ledger.counters).toEqual({ recorded: 1, flushed: 1, segments: 1, lost: 0 });
});

test('a put whose answer was lost is found done the next time', async () => {
  const inner = new MemoryStore();
  const store = {
    get: (name: string) => inner.get(name),
    put: async (...args: Parameters<MemoryStore['put']>) => {
      const isFirst = (await namesOf(inner)).length === 0;
      const result = await inner.put(...args);
      if (isFirst) throw unavailable();
      return result;
    },
  };
  const ledger = aLedger({ store });
  ledger.record(anAccess());
  await ledger.flush();
  expect(ledger.counters.flushed).toBe(0);
  await ledger.flush();
  expect(ledger.counters).toEqual({ recorded: 1, flushed: 1, segments: 1, lost: 0 });
  expect((await entriesOf(inner)).length).toBe(1);
});

test('entries that come while a flush is under way are not in it, and not lost', async () => {
  const inner = new MemoryStore();
  let ledger: Ledger | undefined;
  const store = failing(inner, (operation) => {
    if (operation === 'put' && ledger?.counters.recorded === 1) ledger.record(anAccess({ requestId: 'meanwhile' }));
  });
  ledger = aLedger({ store, flushMs: 10 });
  ledger.record(anAccess());
  await ledger.flush();
  await eventually(() => expect(ledger?.counters).toMatchObject({ recorded: 2, flushed: 2, segments: 2 }));
});

test('only one flush is under way at a time, and who asks meanwhile waits for one that has its entries', async () => {
  const inner = new MemoryStore();
  let underWay = 0;
  const store = failing(inner, async (operation) => {
    if (operation !== 'put') return;
    underWay++;
    expect(underWay).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    underWay--;
  });
  const ledger = aLedger({ store });
  const flushes = accesses(10).map((entry) => {
    ledger.record(entry);
    return ledger.flush();
  });
  await Promise.all(flushes);
  expect(ledger.isSettled).toBe(true);
});

test('what is more than may wait is lost, counted, and said sparingly; the rest is written', async () => {
  const errors: string[] = [];
  const log: Log = { ...silentLog, error: (_, message) => errors.push(message) };
  const { store, state } = watched(new MemoryStore());
  const ledger = aLedger({ store, rowsMax: 10, log });
  state.down = true;
  for (const entry of accesses(100)) ledger.record(entry);
  expect(ledger.counters).toMatchObject({ recorded: 100, lost: 20 });
  await ledger.flush();
  expect(errors.length).toBe(1);
  state.down = false;
  await ledger.flush();
  expect(ledger.counters).toEqual({ recorded: 100, flushed: 80, segments: 8, lost: 20 });
});

test('segments that the store does not take are kept up to a bound, and what comes then is lost and counted', async () => {
  const { store, state } = watched(new MemoryStore());
  const ledger = aLedger({ store, waitingBytesMax: 10_000 });
  state.down = true;
  for (const entry of accesses(10)) {
    ledger.record(entry);
    await ledger.flush();
  }
  const { lost } = ledger.counters;
  expect(lost).toBeGreaterThan(0);
  state.down = false;
  await ledger.flush();
  expect(ledger.counters).toEqual({ recorded: 10, flushed: 10 - lost, segments: 10 - lost, lost });
  ledger.record(anAccess());
  await ledger.flush();
  expect(ledger.counters.lost).toBe(lost);
});

test('while the store keeps a flush waiting, entries go on being encoded and kept', async () => {
  const store = new MemoryStore();
  const gate = Promise.withResolvers<void>();
  const slow = failing(store, (operation) => (operation === 'put' ? gate.promise : undefined));
  const ledger = aLedger({ store: slow, rowsMax: 10 });
  const given = accesses(500);
  for (const [i, entry] of given.entries()) {
    ledger.record(entry);
    if (i % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(ledger.counters).toMatchObject({ recorded: 500, flushed: 0, lost: 0 });
  gate.resolve();
  await ledger.close();
  expect(ledger.counters).toMatchObject({ flushed: 500, lost: 0 });
  expect(await entriesOf(store)).toEqual(given.sort(compareEntries));
});

test('what cannot be encoded is lost and counted, and the rest is written', async () => {
  const store = new MemoryStore();
  const ledger = aLedger({ store });
  const changed = { ...anAccess() };
  ledger.record(changed);
  ledger.record(anAccess({ atMs: tenAm + hour }));
  // No longer what it was when it was taken.
  changed.bytesServed = 0.5;
  await ledger.flush();
  expect(ledger.counters).toEqual({ recorded: 2, flushed: 1, segments: 1, lost: 1 });
  expect(ledger.isSettled).toBe(true);
});

test('what is no entry is lost and counted, and does no harm to the others', async () => {
  const store = new MemoryStore();
  const ledger = aLedger({ store });
  const wrong: unknown[] = [
    undefined,
    null,
    {},
    'access',
    { ...anAccess(), kind: 'acces' },
    anAccess({ atMs: Number.NaN }),
    anAccess({ atMs: tenAm + 0.5 }),
    anAccess({ atMs: -1 }),
    anAccess({ atMs: Date.UTC(10_000, 0) }),
    anAccess({ bytesServed: -1 }),
    anAccess({ bytesServed: 2 ** 53 }),
    anAccess({ events: Number.POSITIVE_INFINITY }),
    anAccess({ means: 'far' as never }),
    anAccess({ requestId: undefined as never }),
    anAccess({ range: { first: 5, end: 5 } }),
    anAccess({ range: undefined as never }),
    anAccess({ dataset: 7 as never }),
  ];
  for (const entry of wrong) ledger.record(entry as LedgerEntry);
  ledger.record(anAccess());
  await ledger.flush();
  expect(ledger.counters).toEqual({ recorded: wrong.length + 1, flushed: 1, segments: 1, lost: wrong.length });
});

test('a ledger that closes writes what is left, and takes no more', async () => {
  const store = new MemoryStore();
  const ledger = aLedger({ store });
  for (const entry of accesses(1000)) ledger.record(entry);
  await ledger.close();
  ledger.record(anAccess());
  await ledger.close();
  expect(ledger.counters).toEqual({ recorded: 1001, flushed: 1000, segments: 1, lost: 1 });
  expect((await entriesOf(store)).length).toBe(1000);
});

test('a ledger that closes tries again while there is time', async () => {
  const { store, state } = watched(new MemoryStore());
  state.down = true;
  const ledger = aLedger({ store, closeMs: 30_000 });
  ledger.record(anAccess());
  await ledger.flush();
  const closed = ledger.close();
  state.down = false;
  await closed;
  expect(ledger.counters).toMatchObject({ flushed: 1, lost: 0 });
});

test('a ledger closes in bounded time however the store behaves, and counts what it could not write', async () => {
  const { store: down, state } = watched(new MemoryStore());
  state.down = true;
  const silent = failing(new MemoryStore(), () => new Promise<void>(() => undefined));
  for (const store of [down, silent]) {
    const ledger = aLedger({ store, closeMs: 50 });
    for (const entry of accesses(3)) ledger.record(entry);
    const from = performance.now();
    await ledger.close();
    expect(performance.now() - from).toBeLessThan(2000);
    expect(ledger.counters).toEqual({ recorded: 3, flushed: 0, segments: 0, lost: 3 });
  }
});

test('whatever the store does, every entry is written once or counted as lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('record', 'flush', 'fail', 'lose', 'mend'), { maxLength: 40 }),
      async (steps) => {
        const inner = new MemoryStore();
        let mode = 'mend';
        const store = {
          get: (name: string) => inner.get(name),
          put: async (...args: Parameters<MemoryStore['put']>) => {
            if (mode === 'fail') throw unavailable();
            const result = await inner.put(...args);
            if (mode === 'lose') throw unavailable();
            return result;
          },
        };
        const ledger = aLedger({ store, rowsMax: 3 });
        let next = 0;
        for (const step of steps) {
          if (step === 'record') for (let i = 0; i < 4; i++) ledger.record(anAccess({ requestId: `r-${next++}` }));
          else if (step === 'flush') await ledger.flush();
          else mode = step;
        }
        mode = 'mend';
        await ledger.close();
        const ids = (await entriesOf(inner)).map((entry) => entry.kind === 'access' && entry.requestId);
        expect(new Set(ids).size).toBe(ids.length);
        expect(ledger.counters.recorded).toBe(next);
        expect(ids.length).toBe(ledger.counters.flushed);
        expect(ledger.counters.flushed + ledger.counters.lost).toBe(next);
      },
    ),
    { numRuns: 40 },
  );
});
