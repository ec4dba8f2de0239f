// The cost report over HTTP: what is asked strictly, what is answered in two forms, and always of what the ledger holds.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { costReportShown } from '../../api/report-schemas.ts';
import { systemClock } from '../../core/clock.ts';
import type { LedgerEntry } from '../../core/ledger.ts';
import { silentLog } from '../../core/log.ts';
import { Ledger } from '../../costs/ledger/ledger.ts';
import { FsStore } from '../../store/fs-store.ts';
import { scriptedWeek } from '../costs/report/week.ts';
import { TestService } from './harness.ts';

/** Long before anything that the service itself writes down. */
const week = { from: '2025-03-03', to: '2025-03-10' };
const told = scriptedWeek(Date.parse(week.from), 7);
const inWeek = `from=${week.from}&to=${week.to}`;

async function tell(dataDir: string, entries: readonly LedgerEntry[]): Promise<void> {
  const store = new FsStore(join(dataDir, 'store'));
  const ledger = new Ledger({ store, process: 'test', flushMs: 60_000, clock: systemClock, log: silentLog });
  for (const entry of entries) ledger.record(entry);
  // Closing waits for so long and no longer, which a busy machine may take for the writing.
  await ledger.flush();
  await ledger.close();
  expect(ledger.counters.lost).toBe(0);
}

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ worker: false, env: { EVOKE_CPU_CORE_HOUR: '0.05', EVOKE_CURRENCY: 'CHF' } });
  await tell(service.dataDir, told);
  await service.declare('unused', { generator: 'minbias', events: 10 });
  await service.put('/v1/datasets/mc/rare', { generator: 'minbias', events: 10, seed: 1 });
});
afterAll(() => service.stop());

const cost = (query: string, accept?: string) =>
  service.call(`/v1/reports/cost${query}`, accept === undefined ? {} : { headers: { accept } });

test('the bill of a week is as the document says, and adds up to the ledger', async () => {
  const reply = await cost(`?${inWeek}`);
  expect(reply.status, reply.text()).toBe(200);
  expect(reply.headers).toMatchObject({
    'content-type': 'application/json',
    vary: 'Accept',
    'cache-control': 'no-cache',
  });
  const report = costReportShown.parse(reply.json());
  expect(report).toMatchObject({
    from: '2025-03-03T00:00:00.000Z',
    to: '2025-03-10T00:00:00.000Z',
    currency: 'CHF',
    by: 'dataset',
  });
  expect(report.rows.map(({ key }) => key)).toEqual(['mc:pileup', 'mc:rare', 'mc:zmumu', 'mc:zmumu-sim', 'user:mine']);
  const cpuMicros = told.reduce((sum, entry) => sum + ('cpuMicros' in entry ? entry.cpuMicros : 0), 0);
  const { actual } = report.total;
  expect(actual.cpuSeconds).toBe(cpuMicros / 1e6);
  expect(actual.costs.cpu).toBeCloseTo((cpuMicros / 3.6e9) * 0.05, 7);
  expect(actual.accesses).toBe(told.filter(({ kind }) => kind === 'access').length);
  expect(actual.waste.cpuSeconds).toBeGreaterThan(0);
  expect(report.rows.reduce((sum, row) => sum + row.actual.cost, 0)).toBeCloseTo(actual.cost, 9);
});

test('days and generators are rows too, with the same total, and a dataset can be asked about alone', async () => {
  const days = (await cost(`?${inWeek}&by=day`)).json();
  expect(days.rows.map(({ key }: { key: string }) => key)).toEqual(
    [3, 4, 5, 6, 7, 8, 9].map((day) => `2025-03-0${day}`),
  );
  const generators = (await cost(`?${inWeek}&by=generator`)).json();
  expect(generators.rows.map(({ key }: { key: string }) => key)).toEqual(['detsim', 'ee_mumu', 'minbias']);
  const datasets = (await cost(`?${inWeek}`)).json();
  for (const world of ['actual', 'never', 'always', 'optimum']) {
    const costs = [datasets, days, generators].map(({ total }) => total[world].cost);
    expect(new Set(costs).size, world).toBe(1);
  }
  const one = (await cost(`?${inWeek}&by=day&dataset=mc:rare`)).json();
  expect(one.total).toMatchObject({ actual: { cost: datasets.rows[1].actual.cost } });
});

test('times with an offset are the times they are, and the end may lie in the future: it is now', async () => {
  const utc = (await cost('?from=2025-03-04T02:00:00Z&to=2025-03-05T02:00:00.5Z')).json();
  const offset = (await cost('?from=2025-03-04T04:30:00%2B02:30&to=2025-03-05T02:00:00.5Z')).json();
  expect(utc).toMatchObject({ from: '2025-03-04T02:00:00.000Z', to: '2025-03-05T02:00:00.500Z' });
  expect(offset.total.never).toEqual(
    (await cost('?from=2025-03-04T02:00:00Z&to=2025-03-05T02:00:00.5Z')).json().total.never,
  );
  expect(offset.from).toBe('2025-03-04T02:00:00.000Z');
  const open = (await cost('?from=2025-03-03&to=9999-12-31')).json();
  expect(Math.abs(Date.parse(open.to) - Date.now())).toBeLessThan(60_000);
});

test('the last thirty days are meant unless said, and nothing told of them is an empty report', async () => {
  const { from, to, rows } = (await cost('')).json();
  expect(Date.parse(to) - Date.parse(from)).toBe(30 * 86_400_000);
  expect(Math.abs(Date.parse(to) - Date.now())).toBeLessThan(60_000);
  // What was stored then is stored still.
  expect(rows.every((row: { actual: { accesses: number } }) => row.actual.accesses === 0)).toBe(true);
  expect((await cost('?from=0000-01-01&to=0001-01-01')).json().rows).toEqual([]);
});

test('CSV comes where it is asked for: a header, and a line for every row and world', async () => {
  const reply = await cost(`?${inWeek}`, 'text/csv');
  expect(reply.status).toBe(200);
  expect(reply.headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
  const lines = reply.text().split('\r\n');
  expect(lines[0]).toMatch(/^dataset,world,cpuSeconds,byteSeconds,bytesServed,hitRatio,energyKwh,gramsCo2e,cost,/);
  expect(lines).toHaveLength(1 + 5 * 4 + 1);
  const report = (await cost(`?${inWeek}`)).json();
  expect(lines[1]?.split(',').slice(0, 3)).toEqual(['mc:pileup', 'actual', String(report.rows[0].actual.cpuSeconds)]);
});

test.each([
  [undefined, 'application/json'],
  ['*/*', 'application/json'],
  ['text/*', 'text/csv; charset=utf-8; header=present'],
  ['application/json;q=0.5, text/csv', 'text/csv; charset=utf-8; header=present'],
  ['text/csv;q=0.5, application/json', 'application/json'],
  ['text/csv;q=0, */*', 'application/json'],
])('Accept: %s gets %s', async (accept, type) => {
  expect((await cost('?from=2020-01-01&to=2020-01-02', accept)).headers['content-type']).toBe(type);
});

test.each(['text/html', 'application/xml, image/*', 'text/csv;q=0'])('Accept: %s is 406', async (accept) => {
  const reply = await cost(`?${inWeek}`, accept);
  expect(reply.status).toBe(406);
  expect(reply.json()).toMatchObject({ code: 'NOT_ACCEPTABLE' });
});

test.each([
  ['from=yesterday', 'from'],
  ['from=2025-13-01', 'from'],
  ['from=2025-02-29', 'from'],
  ['from=2025-02-28T25:00:00Z', 'from'],
  ['from=2025-02-28T12:00:00', 'from'],
  ['from=1740700800000', 'from'],
  ['from=-000001-01-01', 'from'],
  ['from=12025-01-01', 'from'],
  ['from=', 'from'],
  ['to=2025-3-1', 'to'],
  ['to=%00', 'to'],
  ['by=week', 'by'],
  ['by=', 'by'],
  ['by=Dataset', 'by'],
  ['dataset=mc', 'dataset'],
  ['dataset=mc:a:b', 'dataset'],
  ['dataset=../x:y', 'dataset'],
  ['dataset=', 'dataset'],
  ['from=2025-03-03&from=2025-03-04', 'from'],
  ['currency=EUR', 'currency'],
  ['__proto__=1', '__proto__'],
  ['from=2025-03-10&to=2025-03-03', 'from'],
  ['from=2025-03-03&to=2025-03-03', 'from'],
  ['from=9999-01-01', 'from'],
])('%s is refused, and the answer says what of it', async (query, what) => {
  const reply = await cost(`?${query}`);
  expect(reply.status).toBe(400);
  expect(reply.json()).toMatchObject({ code: 'MALFORMED_REQUEST' });
  expect(reply.json().detail).toContain(what);
});

test('a dataset that is not declared is 404, and one of which the ledger tells nothing has no rows', async () => {
  const absent = await cost(`?${inWeek}&dataset=test:absent`);
  expect(absent.status).toBe(404);
  expect(absent.json()).toMatchObject({ code: 'DATASET_NOT_FOUND' });
  expect((await cost(`?${inWeek}&dataset=test:unused`)).json()).toMatchObject({ rows: [], dataset: 'test:unused' });
});

test('a segment that cannot be read is passed over, and the report says so', async () => {
  const own = await TestService.start({ worker: false });
  try {
    await tell(own.dataDir, told.slice(0, 50));
    const store = new FsStore(join(own.dataDir, 'store'));
    await store.put('ledger/2025-03-04/05-broken-00000001.parquet', [Buffer.from('no Parquet')]);
    const report = (await own.call(`/v1/reports/cost?${inWeek}`)).json();
    expect(report.unreadableSegments).toBe(1);
    expect(report.rows).not.toEqual([]);
  } finally {
    await own.stop();
  }
});

test('others are served while reports are reckoned, and too many questions at once are told to come later', async () => {
  const many = 24;
  const replies = await Promise.all([
    ...Array.from({ length: many }, (_, n) => cost(`?from=2025-03-04T00:00:${10 + n}Z&to=${week.to}`)),
    ...Array.from({ length: 3 }, () => service.call('/v1/datasets/test/unused')),
  ]);
  const statuses = replies.slice(0, many).map(({ status }) => status);
  const count = (status: number) => statuses.filter((other) => other === status).length;
  expect(count(200)).toBeGreaterThanOrEqual(5);
  expect(count(503)).toBeGreaterThan(0);
  expect(count(200) + count(503)).toBe(many);
  const refused = replies.find(({ status }) => status === 503);
  expect(refused?.json()).toMatchObject({ code: 'OVERLOADED' });
  expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(0);
  expect(replies.slice(many).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await cost(`?${inWeek}&by=generator&dataset=mc:rare`)).status).toBe(200);
});

test('however many ask the same at the same time get the same report, and none is refused', async () => {
  const replies = await Promise.all(Array.from({ length: 24 }, () => cost('')));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(replies.map((reply) => reply.text())).size).toBe(1);
});

test('a report that is asked for again is remembered, says its age, and until when it reckons', async () => {
  // As long as it is remembered at the least, and what is asked here takes a fraction of it.
  const query = '?from=2025-03-05T01:02:03Z&by=day';
  const first = await cost(query);
  expect(first.headers['age']).toBeUndefined();
  const same = await Promise.all([
    cost('?by=day&from=2025-03-05T01:02:03.000%2B00:00'),
    cost(`${query}&to=9999-01-01`),
    service.call(`/v1/reports/cost${query}`, { method: 'HEAD' }),
  ]);
  for (const reply of same) {
    expect(reply.headers['age']).toMatch(/^\d+$/);
    expect(reply.headers['content-length']).toBe(String(first.body.length));
  }
  expect(same.slice(0, 2).map((reply) => reply.text())).toEqual([first.text(), first.text()]);
  const csv = await cost(query, 'text/csv');
  expect(csv.headers['age']).toBeDefined();
  expect(Date.parse(first.json().to)).toBeLessThanOrEqual(Date.now());
});

test.each([
  'from=2025-03-05T01:02:04Z&by=day',
  'from=2025-03-05T01:02:03Z&by=generator',
  'from=2025-03-05T01:02:03Z&by=day&dataset=mc:rare',
  'from=2025-03-05T01:02:03Z&by=day&to=2025-03-09',
  'by=day',
  'by=day&to=2025-03-09',
])('another question is not answered from memory: %s', async (query) => {
  await cost('?from=2025-03-05T01:02:03Z&by=day');
  expect((await cost(`?${query}`)).headers['age']).toBeUndefined();
});

test('the trade-off is not built yet, and says so', async () => {
  expect((await service.call('/v1/reports/tradeoff')).status).toBe(501);
});
