// Reports out of the thread, on a folder: the same bytes as without it, and a thread that dies, or is too large, or is not
// wanted any more, takes nothing with it.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Log, silentLog } from '../../../core/log.ts';
import { segmentName } from '../../../costs/ledger/names.ts';
import { readLedger } from '../../../costs/ledger/reader.ts';
import { encodeSegment } from '../../../costs/ledger/segment.ts';
import { formsOf } from '../../../costs/report/forms.ts';
import { costReport } from '../../../costs/report/report.ts';
import { ThreadedReports } from '../../../costs/report/threaded.ts';
import { FsStore } from '../../../store/fs-store.ts';
import type { Store } from '../../../store/store.ts';
import { bucket, faultyS3 } from '../../store/s3-faults.ts';
import { temporaryFolder } from '../../temp.ts';
import { aPut } from '../ledger/any-entry.ts';
import { dayMs, plainPrices } from './ledgers.ts';
import { scriptedWeek } from './week.ts';

// The thread stands back for everything else on the machine.
vi.setConfig({ testTimeout: 240_000 });

const fromMs = Date.parse('2025-03-03');
const week = { fromMs, toMs: fromMs + 7 * dayMs, by: 'day' } as const;
const patient = new AbortController().signal;
const hourMs = 3_600_000;

async function threaded({ heapMbMax, log = silentLog }: { heapMbMax?: number; log?: Log } = {}) {
  const folder = await temporaryFolder();
  const store = new FsStore(folder);
  const options = { store: { kind: 'file', folder }, prices: plainPrices, log } as const;
  const reports = new ThreadedReports(heapMbMax === undefined ? options : { ...options, heapMbMax });
  onTestFinished(() => reports.close());
  return { folder, store, reports };
}

async function tell(store: Pick<Store, 'put'>): Promise<void> {
  const byHour = Map.groupBy(scriptedWeek(fromMs, 2), ({ atMs }) => Math.floor(atMs / hourMs) * hourMs);
  for (const [hour, entries] of byHour) {
    const origin = { process: 'test', n: 1 };
    await store.put(segmentName({ hourMs: hour, ...origin }), [encodeSegment({ entries, origins: origin })]);
  }
}

test('a report is the same out of the thread, to the byte', async () => {
  const { store, reports } = await threaded();
  await tell(store);
  const read = (span: object) => readLedger(store, span);
  for (const query of [week, { ...week, by: 'dataset', dataset: 'mc:rare' } as const]) {
    const expected = formsOf(await costReport({ ...query, read, prices: plainPrices }));
    const forms = await reports.compute(query, patient);
    expect(Buffer.from(forms.json).toString()).toBe(Buffer.from(expected.json).toString());
    expect(Buffer.from(forms.csv).equals(expected.csv)).toBe(true);
  }
});

test('the thread reads a ledger in a bucket too, with the credentials of the environment', async () => {
  const { store, port, lines } = await faultyS3();
  await tell(store);
  const location = {
    kind: 's3',
    bucket,
    prefix: 'p/',
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
  } as const;
  const reports = new ThreadedReports({ store: location, prices: plainPrices, log: silentLog });
  onTestFinished(() => reports.close());
  const before = lines.length;
  const read = (span: object) => readLedger(store, span);
  const { json } = await reports.compute(week, patient);
  expect(lines.length).toBeGreaterThan(before);
  expect(Buffer.from(json).equals(formsOf(await costReport({ ...week, read, prices: plainPrices })).json)).toBe(true);
});

test('what cannot be read is logged once, and a report that is refused says why', async () => {
  const said: object[] = [];
  const { store, reports } = await threaded({ log: { ...silentLog, warn: (fields) => said.push(fields) } });
  await tell(store);
  const name = segmentName({ hourMs: fromMs, process: 'broken', n: 1 });
  await store.put(name, [Buffer.from('no Parquet')]);
  const { json } = await reports.compute(week, patient);
  expect(JSON.parse(Buffer.from(json).toString())).toMatchObject({ unreadableSegments: 1 });
  expect(said).toEqual([expect.objectContaining({ segment: name })]);
  const tooMany = { fromMs: 0, toMs: Date.parse('9999-01-01'), by: 'day' } as const;
  await expect(reports.compute(tooMany, patient)).rejects.toMatchObject({ code: 'MALFORMED_REQUEST', status: 400 });
});

test('a store that cannot be opened is told as such, and tried again', async () => {
  const { folder, reports } = await threaded();
  const place = join(folder, 'no-folder');
  await writeFile(place, '');
  const elsewhere = new ThreadedReports({
    store: { kind: 'file', folder: join(place, 'store') },
    prices: plainPrices,
    log: silentLog,
  });
  onTestFinished(() => elsewhere.close());
  for (let i = 0; i < 2; i++) {
    await expect(elsewhere.compute(week, patient)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', status: 503 });
  }
  expect((await reports.compute(week, patient)).json.length).toBeGreaterThan(0);
});

test('a report that takes too much memory is refused with what to do, and others are reckoned', async () => {
  const { store, reports } = await threaded({ heapMbMax: 20 });
  const chunks = 50_000;
  for (let n = 0; n < 3; n++) {
    const entries = Array.from({ length: chunks }, (_, i) => {
      const first = (n * chunks + i) * 64;
      return aPut({ atMs: fromMs + n * chunks + i, range: { first, end: first + 64 } });
    });
    const origin = { process: 'test', n };
    await store.put(segmentName({ hourMs: fromMs, ...origin }), [encodeSegment({ entries, origins: origin })]);
  }
  // Of before anything was told.
  const small = { ...week, fromMs: fromMs - dayMs, toMs: fromMs };
  await reports.compute(small, patient);
  await expect(reports.compute(week, patient)).rejects.toMatchObject({
    code: 'OVERLOADED',
    details: { hint: expect.stringContaining('earlier `to`') },
  });
  expect((await reports.compute(small, patient)).csv.length).toBeGreaterThan(0);
});

test('a report that is not wanted any more ends at once, wherever it is, and the next one is reckoned', async () => {
  const { store, reports } = await threaded();
  await tell(store);
  await expect(reports.compute(week, AbortSignal.abort(new Error('gone before')))).rejects.toThrow('gone before');
  for (const ms of [0, 20, 150, 400]) {
    const gone = new AbortController();
    const report = reports.compute(week, gone.signal);
    setTimeout(() => gone.abort(new Error('gone')), ms);
    // Unless it was faster.
    await report.catch((error) => expect(error).toMatchObject({ message: 'gone' }));
  }
  expect((await reports.compute(week, patient)).json.length).toBeGreaterThan(0);
});

test('to close ends what is being reckoned', async () => {
  const { store, reports } = await threaded();
  await tell(store);
  const report = expect(reports.compute(week, patient)).rejects.toMatchObject({ code: 'INTERNAL' });
  await reports.close();
  await report;
});
