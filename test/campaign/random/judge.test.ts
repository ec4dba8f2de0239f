// A campaign that could not fail would prove nothing: every way of being wrong that there is a check for is shown to it.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Answered, Outcome } from './client.ts';
import { breach } from './contract.ts';
import { type Expectation, judgeEvents, type Standing } from './judge.ts';
import { Model, Switch, WorkModel } from './model.ts';
import type { PlannedDataset } from './operations.ts';
import { Prng } from './prng.ts';
import { gaugesNotZero } from './quiet.ts';
import { Sequence } from './sequence.ts';
import { StoredChunks } from './stored.ts';

const planned: PlannedDataset = {
  index: 0,
  scope: 'random',
  name: 'd0',
  generator: 'ee_mumu',
  parameters: {},
  seed: 7,
  events: 250,
  chunkEvents: 100,
};
const model = new Model(() => [planned]);
const dataset = model.dataset(0);
const selection = {
  dataset: dataset.truth,
  range: { first: 50, end: 250 },
  format: 'ndjson' as const,
  columns: dataset.truth.columns,
};
const whole = model.truth.body(selection);
const expected: Expectation = {
  etag: model.truth.tag(selection),
  mediaType: 'application/x-ndjson',
  body: () => whole,
  isHopeless: false,
  may: {},
};
const calm: Standing = { declared: 'yes', retired: 'no', troubles: { api: false, redis: false, any: false } };

function answer(over: Partial<Answered> = {}): Answered {
  const headers = { etag: expected.etag, 'content-type': expected.mediaType, ...over.headers };
  return { kind: 'answered', status: 200, body: whole, trailers: {}, ...over, headers };
}

function problem(status: number, code: string): Answered {
  const headers = { 'content-type': 'application/problem+json' };
  return answer({ status, headers, body: Buffer.from(JSON.stringify({ code, status })) });
}

test('an answer that is whole and right passes', () => {
  expect(judgeEvents(expected, answer(), calm)).toBeUndefined();
});

const flipped = Buffer.from(whole);
flipped[1000] = (flipped[1000] ?? 0) ^ 1;

const wrongs: [string, Outcome, Standing?, Partial<Expectation>?][] = [
  ['a body that ends early and looks whole', answer({ body: whole.subarray(0, -1) })],
  ['an empty body', answer({ body: Buffer.alloc(0) })],
  ['a wrong byte', answer({ body: flipped })],
  ['a byte too many', answer({ body: Buffer.concat([whole, Buffer.from('\n')]) })],
  ['another entity tag', answer({ headers: { etag: '"another"' } })],
  ['another type', answer({ headers: { 'content-type': 'text/plain' } })],
  ['the digest of something else', answer({ headers: { 'repr-digest': 'sha-256=:AAAA:' } })],
  ['a dataset that is lost', problem(404, 'DATASET_NOT_FOUND')],
  ['a dataset that nobody retired', problem(410, 'RETIRED')],
  ['a dataset that is retired, served', answer(), { ...calm, retired: 'yes' }],
  ['a dataset that was never declared, served', answer(), { ...calm, declared: 'no' }],
  ['a mistake inside', problem(500, 'INTERNAL')],
  ['events that can be made, and are said not to be', problem(502, 'GENERATION_FAILED')],
  ['events that cannot be made, served', answer(), calm, { isHopeless: true }],
  ['Redis blamed for nothing', problem(503, 'QUEUE_UNAVAILABLE')],
  ['504 for a request that may generate', problem(504, 'NOT_MATERIALIZED')],
  ['202 for a request that waits', answer({ status: 202 })],
  ['206 without a range', answer({ status: 206 })],
  ['304 without the tag', answer({ status: 304 })],
  ['all of it for a client that has it', answer(), calm, { may: { unchanged: true } }],
  [
    'other bytes than the range asked for',
    answer({
      status: 206,
      headers: { 'content-range': `bytes 10-19/${whole.length}` },
      body: whole.subarray(11, 21),
    }),
    calm,
    { may: { bytes: { first: 10, last: 19 } } },
  ],
  ['a connection that breaks for no reason', { kind: 'cut', status: 200, headers: {}, body: whole.subarray(0, 100) }],
  [
    'wrong bytes before the connection broke',
    { kind: 'cut', status: 200, headers: {}, body: flipped.subarray(0, 1100) },
    { ...calm, troubles: { api: true, redis: false, any: true } },
  ],
  ['wrong bytes before the client left', { kind: 'left', status: 200, headers: {}, body: flipped.subarray(0, 1100) }],
  ['a connection refused by an api that lives', { kind: 'unanswered', code: 'ECONNREFUSED' }],
  ['an answer without an end', { kind: 'overdue', head: undefined, bytes: 0 }],
];

test.each(wrongs)('it is noticed: %s', (_, outcome, standing = calm, other = {}) => {
  expect(judgeEvents({ ...expected, ...other }, outcome, standing)).toBeTypeOf('string');
});

const requestId = '00000000-0000-4000-8000-000000000000';
const path = '/v1/datasets/random/d0/events/1-2.ndjson';
const unavailable = JSON.stringify({ code: 'STORE_UNAVAILABLE', status: 503 });
const problemHeaders = {
  'request-id': requestId,
  'content-type': 'application/problem+json',
  'cache-control': 'no-store',
  'retry-after': '2',
};

test('a documented problem keeps the contract', () => {
  const outcome = { ...answer({ status: 503, body: Buffer.from(unavailable) }), headers: problemHeaders };
  expect(breach('GET', path, outcome)).toBeUndefined();
});

const breaches: [string, Partial<Answered>][] = [
  ['an undocumented status', { status: 418 }],
  ['a code of another status', { body: Buffer.from('{"code":"RETIRED"}') }],
  ['a code that is none', { body: Buffer.from('{"code":"SOMETHING"}') }],
  ['no problem document', { body: Buffer.from('sorry') }],
  ['no Retry-After', { headers: { ...problemHeaders, 'retry-after': '' } }],
  ['no Request-Id', { headers: { ...problemHeaders, 'request-id': '' } }],
  ['a problem that caches may keep', { headers: { ...problemHeaders, 'cache-control': 'public' } }],
  ['a body of another length than was said', { headers: { ...problemHeaders, 'content-length': '1' } }],
];

test.each(breaches)('it is noticed: %s', (_, wrong) => {
  const good = { ...answer({ status: 503, body: Buffer.from(unavailable) }), headers: problemHeaders };
  expect(breach('GET', path, { ...good, ...wrong })).toBeTypeOf('string');
});

test('what was acknowledged is certain, what was not is possible, and what nobody asked for is not so', () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 0 });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const at = (ms: number) => vi.setSystemTime(ms);
  const declared = new Switch();
  expect(declared.during(0)).toBe('no');
  const lost = declared.begin(true);
  expect(declared.during(0)).toBe('maybe');
  at(10);
  lost.end(false);
  expect(declared.during(20)).toBe('maybe');
  at(20);
  const kept = declared.begin(true);
  at(30);
  kept.end(true);
  expect([declared.during(25), declared.during(30), declared.during(31, 10), declared.during(40, 10)]).toEqual([
    'maybe',
    'yes',
    'maybe',
    'yes',
  ]);
  at(50);
  const undone = declared.begin(false);
  expect(declared.during(45)).toBe('maybe');
  const redone = declared.begin(true);
  at(60);
  undone.end(true);
  redone.end(true);
  // Nobody knows which of the two was the last.
  expect(declared.during(70)).toBe('maybe');
});

test('a batch that comes back to life, settles too much or completes too little is noticed', () => {
  const work = () => new WorkModel(dataset, { startEvent: 1, lastEvent: 250 });
  const shown = { state: 'running', chunks: 3, done: 1, skipped: 0, failed: 0 };
  const now = Date.now();
  expect(work().shown(shown, now)).toBeUndefined();
  expect(work().shown({ ...shown, chunks: 4 }, now)).toContain('4 chunks');
  expect(work().shown({ ...shown, done: 4 }, now)).toContain('4 of 3');
  expect(work().shown({ ...shown, state: 'completed' }, now)).toContain('completed with 1');
  expect(work().shown({ ...shown, state: 'lost' }, now)).toContain('which nothing is');
  const ended = work();
  expect(ended.shown({ ...shown, state: 'cancelled' }, now)).toBeUndefined();
  expect(ended.shown(shown, now)).toContain('It was cancelled');
  const cancelled = work();
  cancelled.cancelledAtMs = now - 1;
  expect(cancelled.shown(shown, now)).toContain('It was cancelled');
});

test('a chunk of a pinned dataset that goes is noticed, unless it was spoilt', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'evoke-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { derivationId, grid } = dataset.truth;
  const file = (first: string, last: string) =>
    join(
      folder,
      'chunks',
      derivationId,
      String(grid.batchEvents),
      `${first.padStart(16, '0')}-${last.padStart(16, '0')}.arrows`,
    );
  const [one, two] = [file('1', '100'), file('101', '200')];
  await mkdir(dirname(one), { recursive: true });
  for (const path of [one, two]) await writeFile(path, 'a chunk');
  const settled = new Model(() => [planned]);
  settled.dataset(0).pinned.during = () => 'yes';
  const stored = new StoredChunks(folder);
  expect(await stored.missingFromPinned(settled)).toEqual([]);
  expect(await stored.damage({ kind: 'damage', how: 'delete', which: 0, where: 0 })).toContain('delete');
  expect(await stored.missingFromPinned(settled)).toEqual([]);
  await rm(two);
  expect(await stored.missingFromPinned(settled)).toEqual([expect.stringContaining('0000000000000101')]);
});

test('an api that keeps something of what it was asked is noticed', () => {
  const names = ['flights', 'window_bytes', 'marshal_tasks', 'async_requests', 'ahead_lists', 'streams'];
  const metrics = [...names.map((name) => `evoke_${name} 0`), 'evoke_queue_chunks{state="queued"} 0', ''].join('\n');
  expect(gaugesNotZero(metrics)).toEqual([]);
  expect(gaugesNotZero(metrics.replace('window_bytes 0', 'window_bytes 100'))).toEqual(['evoke_window_bytes 100']);
  expect(gaugesNotZero(metrics.replace('"queued"} 0', '"queued"} 10'))).toHaveLength(1);
  expect(gaugesNotZero(metrics.replace('evoke_flights 0\n', ''))).toEqual(['evoke_flights is not told']);
});

test('a seed fixes the operations, whatever becomes of them, and another seed gives others', () => {
  const operations = (seed: number) => {
    const sequence = new Sequence(seed);
    return Array.from({ length: 2000 }, () => sequence.next());
  };
  expect(operations(5)).toEqual(operations(5));
  expect(operations(6)).not.toEqual(operations(5));
});

test('random numbers are the same for ever, spread evenly, and weighted as asked', () => {
  const random = new Prng(1);
  expect(Array.from({ length: 4 }, () => random.next())).toMatchInlineSnapshot(`
    [
      2308299391,
      1950625580,
      354034397,
      661219729,
    ]
  `);
  const counts = { seldom: 0, often: 0 };
  for (let i = 0; i < 10_000; i++) counts[random.weighted({ seldom: 1, often: 9 })]++;
  expect(counts.seldom).toBeGreaterThan(850);
  expect(counts.seldom).toBeLessThan(1150);
});
