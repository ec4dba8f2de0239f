// What the page says of health, batches and money: the pure parts of its sections.
import { afterEach, expect, test, vi } from 'vitest';
import { factsOf } from '../../dashboard/batches.js';
import { policyRows } from '../../dashboard/bill.js';
import { definitionLine, tagsOf } from '../../dashboard/datasets.js';
import { bannerOf } from '../../dashboard/health.js';
import { sparkOf } from '../../dashboard/now.js';
import { ask, askJson, askReadiness, messageOf, Refusal } from '../../dashboard/service.js';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

afterEach(() => vi.unstubAllGlobals());

test('nothing is said while nothing is wrong', () => {
  expect(bannerOf({ awaySince: undefined, missing: [] })).toBe('');
});

test('without the queue nobody knows who is alive, so only the queue is named', () => {
  expect(bannerOf({ awaySince: undefined, missing: ['queue', 'worker', 'scheduler'] })).toMatch(/^Redis cannot/);
  expect(bannerOf({ awaySince: undefined, missing: ['queue', 'worker', 'scheduler'] })).not.toContain('worker');
  expect(bannerOf({ awaySince: undefined, missing: ['worker', 'scheduler'] })).toMatch(/worker.*scheduler/);
  expect(bannerOf({ awaySince: undefined, missing: ['moon'] })).toBe('Missing: moon.');
});

test('a service that does not answer is said to be away since when it was', () => {
  const awaySince = new Date(2026, 2, 1, 14, 3, 22).getTime();
  expect(bannerOf({ awaySince, missing: ['queue'] })).toContain('since 14:03:22');
});

test('a batch under way tells what is left, one that ended does not', () => {
  const batch = { state: 'running', chunks: 400, done: 100, skipped: 20, failed: 1, cpuSeconds: 90, cost: 0.0003 };
  const said = plain(factsOf({ ...batch, estimatedSecondsLeft: 240 }, 'EUR'));
  expect(said).toBe('121 of 400 chunks · 20 stored already · 1 failed · 4 min left · 90 s CPU · €0.000300');
  expect(factsOf({ ...batch, state: 'completed', estimatedSecondsLeft: 0 }, 'EUR')).not.toContain('left');
  expect(factsOf({ ...batch, estimatedSecondsLeft: null }, undefined)).not.toMatch(/left|€/);
});

test('a dataset says how it is made, and what it is derived from where it is', () => {
  const dataset = { generator: 'minbias', version: '1', events: 1_000_000, chunkEvents: 2048, chunks: 489 };
  expect(plain(definitionLine(dataset))).toBe('minbias 1 · 1,000,000 events in 489 chunks of 2,048');
  expect(plain(definitionLine({ ...dataset, generator: 'detsim', input: 'demo:minbias' }))).toMatch(
    /^detsim 1, derived from demo:minbias · 1,000,000 events/,
  );
});

test('a dataset is tagged with what should be known before it is read', () => {
  expect(tagsOf({ pinned: false, retired: false })).toBe('');
  expect(tagsOf({ pinned: true, retired: false, inputs: [{ dataset: 'a:b' }] })).toBe('pinned');
  expect(tagsOf({ pinned: true, retired: true, inputs: [{}, { retired: true }] })).toBe(
    'pinned, retired, input retired',
  );
});

test('a deadline is told while it matters: before the end, and after it where it was missed', () => {
  const batch = { state: 'running', chunks: 4, deadline: '2026-03-01T12:00:00Z', late: false };
  expect(factsOf(batch, 'EUR')).toMatch(/ · due /);
  expect(factsOf({ ...batch, late: true }, 'EUR')).toMatch(/ · late: due /);
  expect(factsOf({ ...batch, state: 'completed' }, 'EUR')).not.toContain('due');
  expect(factsOf({ ...batch, state: 'completed', late: true }, 'EUR')).toContain('late: due');
});

test('a batch of which nothing is known yet is shown without fault', () => {
  expect(plain(factsOf({ state: 'pending' }, undefined))).toBe('0 of 0 chunks · 0 s CPU');
});

const policy = { cpuSeconds: 60, byteSeconds: 0, bytesServed: 1000, hitRatio: 0.5, energyKwh: 1, gramsCo2e: 250 };

test('the bars of the bill are shares of the dearest policy', () => {
  const total = {
    actual: { ...policy, cost: 1 },
    never: { ...policy, cost: 4 },
    always: { ...policy, cost: 2 },
    optimum: { ...policy, cost: 0 },
  };
  const rows = policyRows(total, 'EUR');
  expect(rows.map(({ share }) => share)).toEqual([0.25, 1, 0.5, 0]);
  expect(rows[0]?.cells.map(plain)).toEqual(['€1.00', '60 s', '0 B·d', '1 kB', '50%', '1 kWh', '250 g']);
});

test('a bill of nothing has no bars, and no share of nothing is shown', () => {
  const none = { ...policy, hitRatio: null, cost: 0 };
  const rows = policyRows({ actual: none, never: none, always: none, optimum: none }, 'EUR');
  expect(rows.map(({ share }) => share)).toEqual([0, 0, 0, 0]);
  expect(rows[0]?.cells[4]).toBe('–');
});

test('a spark is as high as its highest sample, and nothing is drawn for nothing', () => {
  expect(sparkOf([])).toBe('');
  expect(sparkOf([0, 0])).toBe('');
  expect(sparkOf([2, 4])).toBe('M88 28v-14h0.8v14zM89 28v-28h0.8v28z');
});

const answering = (status: number, body: string) =>
  vi.stubGlobal('fetch', async () => new Response(status === 204 ? null : body, { status }));

test('a refusal carries the detail of its problem document, or says at least its status', async () => {
  answering(409, '{"detail":"It is pinned.","title":"Pinned"}');
  await expect(ask('x')).rejects.toMatchObject({ status: 409, message: 'It is pinned.' });
  answering(502, '<html>bad gateway</html>');
  await expect(ask('x')).rejects.toMatchObject({ status: 502, message: 'The service answered 502.' });
  answering(500, '{"detail":{"a":1}}');
  await expect(ask('x')).rejects.toBeInstanceOf(Refusal);
  answering(204, '');
  await expect(askJson('x')).resolves.toBeUndefined();
});

test('503 of /readyz is an answer, and something else under its name is none', async () => {
  answering(503, '{"status":"degraded","missing":["store"]}');
  await expect(askReadiness()).resolves.toEqual({ status: 'unready', missing: ['store'] });
  answering(200, '{"status":"degraded","missing":["queue"]}');
  await expect(askReadiness()).resolves.toEqual({ status: 'degraded', missing: ['queue'] });
  answering(200, '[]');
  await expect(askReadiness()).rejects.toBeInstanceOf(Refusal);
});

test('what fetch throws is said without its words', () => {
  expect(messageOf(new TypeError('NetworkError at 10.0.0.1'))).toBe('the service did not answer.');
  expect(messageOf(new Refusal(409, 'It has ended.'))).toBe('It has ended.');
});
