// What the ledger takes of the process that records: an entry, and a flush of many.
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../core/clock.ts';
import type { Access } from '../core/ledger.ts';
import { silentLog } from '../core/log.ts';
import { Ledger } from '../costs/ledger/ledger.ts';
import { readLedger } from '../costs/ledger/reader.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { type Benchmark, median, type Row, spread } from './bench.ts';

const entries = 100_000;
const rounds = 7;

export const ledger: Benchmark = {
  name: 'ledger',
  how: `${entries.toLocaleString('en')} accesses by as many requests, of 20 datasets, are recorded and flushed to a store in memory. A record; what a flush keeps the main thread busy; the longest time between two turns of its event loop, which a request could have had to wait. ${rounds} rounds.`,
  async run(): Promise<Row[]> {
    const store = new MemoryStore();
    const ledger = new Ledger({
      store,
      process: 'bench',
      flushMs: 1_000_000,
      clock: systemClock,
      log: silentLog,
    });
    const record: number[] = [];
    const flush: number[] = [];
    const longest: number[] = [];
    let next = 0;
    const recordAll = (): number => {
      const accesses = Array.from({ length: entries }, () => access(next++));
      const begun = performance.now();
      for (const entry of accesses) ledger.record(entry);
      return ((performance.now() - begun) * 1e6) / entries;
    };
    // The first round warms up, and starts the thread.
    for (let round = 0; round <= rounds; round++) {
      const recordNs = recordAll();
      const before = performance.eventLoopUtilization();
      await ledger.flush();
      const { active } = performance.eventLoopUtilization(before);
      recordAll();
      const longestMs = await longestTurn(ledger.flush());
      if (round === 0) continue;
      record.push(recordNs);
      flush.push(active);
      longest.push(longestMs);
    }
    const { flushed } = ledger.counters;
    await ledger.close();
    const bytes = (await store.list('ledger/')).reduce((sum, object) => sum + object.bytes, 0);
    const begun = performance.now();
    let read = 0;
    for await (const _ of readLedger(store)) read++;
    const readMicros = ((performance.now() - begun) * 1000) / read;
    return [
      {
        what: 'a record',
        value: `${spread(record, 0)} ns`,
        aim: { text: '≤ 2,000 ns', reached: median(record) <= 2000 },
      },
      { what: 'a flush keeps the main thread busy for', value: `${spread(flush, 0)} ms` },
      {
        what: 'the longest turn of the event loop',
        value: `${spread(longest, 1)} ms`,
        aim: { text: '≤ 10 ms', reached: median(longest) <= 10 },
      },
      { what: 'an entry at rest', value: `${(bytes / flushed).toFixed(1)} bytes` },
      { what: 'reading an entry', value: `${readMicros.toFixed(2)} µs` },
    ];
  },
};

const derivations = Array.from({ length: 20 }, (_, i) => i.toString(16).padStart(64, 'ab'));

function access(i: number): Access {
  const first = (i % 5000) * 1024;
  return {
    kind: 'access',
    atMs: Date.now(),
    dataset: `bench:dataset-${i % 20}`,
    generator: 'minbias',
    derivation: derivations[i % 20] ?? '',
    batchEvents: 256,
    range: { first, end: first + 1024 },
    requestId: `${(i * 2654435761).toString(36)}-bench`,
    means: 'memory',
    events: 100,
    bytesServed: 20_000 + (i % 777),
    waitMicros: i % 97,
  };
}

/** The longest time between two turns of the event loop until the work is done. */
async function longestTurn(work: Promise<void>): Promise<number> {
  let isDone = false;
  void work.then(() => {
    isDone = true;
  });
  let longestMs = 0;
  for (let last = performance.now(); !isDone; ) {
    await setImmediate();
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  }
  return longestMs;
}
