// Event ranges in PanDA's words, over the wire: found, held, made ahead, and fetched one by one.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { systemClock } from '../../core/clock.ts';
import { chunkOf } from '../../core/dataset.ts';
import { RedisHoldBook } from '../../queue/hold-book.ts';
import { Catalog } from '../../store/catalog.ts';
import { FsStore } from '../../store/fs-store.ts';
import { eventually } from '../eventually.ts';
import { readIndependently } from '../formats/reader.ts';
import { send, TestService } from './harness.ts';

let service: TestService;
let book: RedisHoldBook;
/** As another process sees what is declared. */
let elsewhere: Catalog;
beforeAll(async () => {
  service = await TestService.start();
  book = new RedisHoldBook({ url: service.redis.url, prefix: 'evoke' });
  elsewhere = new Catalog(new FsStore(join(service.dataDir, 'store')), systemClock);
});
afterAll(async () => {
  book.close();
  await service.stop();
});

interface Range {
  readonly eventRangeID: string;
  readonly LFN: string;
  readonly GUID: string;
  readonly scope: string;
  readonly startEvent: number;
  readonly lastEvent: number;
}

const guid = '1141217E-433C-3E47-8898-615B968DA5E5';
let ids = 0;
const range = (LFN: string, startEvent: unknown, lastEvent: unknown, fields: object = {}) => ({
  eventRangeID: `10204500-3123350504-7783643170-${++ids}-10`,
  LFN,
  GUID: guid,
  scope: 'test',
  startEvent,
  lastEvent,
  ...fields,
});

async function post(body: unknown, url = service.url) {
  const call = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
  return url === service.url ? service.call('/v1/event-ranges', call) : send(url, '/v1/event-ranges', call);
}

/** Declares `test:<name>`, with chunks of its own, of 1000 events in files of 300, so that the last one has 100. */
async function declareFiles(name: string, fields: object = {}) {
  await service.declare(name, {
    generator: 'quick',
    seed: ++ids,
    events: 1000,
    chunkEvents: 64,
    files: { eventsPerFile: 300, lfn: `${name}._{n:06}.pool.root.1` },
    ...fields,
  });
  return (n: number) => `${name}._${String(n).padStart(6, '0')}.pool.root.1`;
}

/** A metric of an api; undefined where it is not shown. */
async function metric(name: string, url = service.url): Promise<number | undefined> {
  const line = (await send(url, '/metrics'))
    .text()
    .split('\n')
    .find((each) => each.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

/** Whether the chunk of `test:<name>` that has this event is held. */
async function isHeld(name: string, event: number): Promise<boolean> {
  const dataset = await elsewhere.get({ scope: 'test', name });
  return book.isHeld(chunkKey(chunkOf(dataset, Math.floor((event - 1) / dataset.chunkEvents))));
}

/** Until the chunk that has this event is held no longer. A list tells what was delivered before it, without awaiting the beat. */
const released = (name: string, event: number) =>
  eventually(async () => {
    await post([range(name, 501, 501)]);
    expect(await isHeld(name, event)).toBe(false);
  });

async function eventsAt(url: string): Promise<number[]> {
  const reply = await service.call(url);
  expect(reply.status, reply.text()).toBe(200);
  return readIndependently(reply.body).column('event').map(Number);
}

test('a list comes back in its order, each range with the URL of its events, made ahead, held, and delivered', async () => {
  const file = await declareFiles('job');
  const ranges = [range(file(2), 1, 10), range(file(1), 300, 300), range(file(4), 91, 100), range('job', 999, 1000)];
  const reply = await post(ranges);
  expect(reply.status).toBe(200);
  const answers = reply.json() as (Range & { url: string; state: string; heldUntil: string })[];
  expect(answers).toEqual(
    ranges.map((each) => ({
      ...each,
      url: expect.any(String),
      state: expect.stringMatching(/^(virtual|queued|generating|materialized)$/),
      heldUntil: expect.any(String),
    })),
  );
  const paths = ['301-310', '300-300', '991-1000', '999-1000'];
  expect(answers.map(({ url }) => url)).toEqual(paths.map((path) => `/v1/datasets/test/job/events/${path}.arrows`));
  const leftMs = Date.parse(answers[0]?.heldUntil ?? '') - Date.now();
  expect(leftMs).toBeGreaterThan(7_000_000);
  expect(leftMs).toBeLessThanOrEqual(7_200_000);
  // Nobody asks for the events, and they are made.
  await eventually(async () => {
    const states = (await post(ranges)).json() as { state: string }[];
    expect(states.map(({ state }) => state)).toEqual(Array(4).fill('materialized'));
  });
  expect(await Promise.all([300, 310, 991, 1].map((event) => isHeld('job', event)))).toEqual([true, true, true, false]);
  expect(await metric('evoke_held{what="ranges"}')).toBeGreaterThanOrEqual(4);
  expect(await eventsAt(answers[0]?.url ?? '')).toEqual(Array.from({ length: 10 }, (_, i) => 301 + i));
  expect(await eventsAt(answers[1]?.url ?? '')).toEqual([300]);
  await released('job', 300);
  expect(await isHeld('job', 1000)).toBe(true);
  // More than what is held is as good.
  await eventsAt('/v1/datasets/test/job/events/900-1000.arrows');
  await released('job', 1000);
  expect(await metric('evoke_event_ranges_delivered_total{means="sent"}')).toBeGreaterThanOrEqual(4);
  expect(await metric('evoke_event_ranges_total{outcome="held"}')).toBeGreaterThanOrEqual(4);
});

test('bounds are positions in the file, or event numbers where that is said', async () => {
  const file = await declareFiles('bounds');
  const ask = async (inFilePosEvtNum: boolean | undefined, n: number, first: number, last: number) => {
    const body = {
      eventRanges: [range(file(n), first, last)],
      ...(inFilePosEvtNum === undefined ? {} : { inFilePosEvtNum }),
    };
    const [answer] = (await post(body)).json();
    return answer.url?.split('/').at(-1) ?? answer.error.code;
  };
  expect(await ask(undefined, 3, 2, 5)).toBe('602-605.arrows');
  expect(await ask(true, 3, 1, 300)).toBe('601-900.arrows');
  expect(await ask(false, 3, 602, 605)).toBe('602-605.arrows');
  expect(await ask(true, 4, 1, 101)).toBe('BEYOND_DATASET');
  expect(await ask(true, 3, 602, 605)).toBe('BEYOND_DATASET');
  expect(await ask(false, 3, 600, 605)).toBe('BEYOND_DATASET');
  expect(await ask(false, 4, 901, 1001)).toBe('BEYOND_DATASET');
});

test('each object has its own answer: what is wrong with one is no trouble of the others', async () => {
  const file = await declareFiles('good');
  const bad: [object, string, number][] = [
    [range('nothing.like.it', 1, 1), 'FILE_NOT_FOUND', 404],
    [range(file(5), 1, 1), 'FILE_NOT_FOUND', 404],
    [range(file(0), 1, 1), 'FILE_NOT_FOUND', 404],
    [range('good._1.pool.root.1', 1, 1), 'FILE_NOT_FOUND', 404],
    [range('good._0000001.pool.root.1', 1, 1), 'FILE_NOT_FOUND', 404],
    [range(file(1), 1, 1, { scope: 'elsewhere' }), 'FILE_NOT_FOUND', 404],
    [range('../../good', 1, 1), 'FILE_NOT_FOUND', 404],
    [range('', 1, 1), 'FILE_NOT_FOUND', 404],
    [range(file(1), 1, 1, { scope: '../..' }), 'MALFORMED_NAME', 400],
    [range(file(1), 1, 1, { scope: '' }), 'MALFORMED_NAME', 400],
    [range(file(1), 2, 1), 'MALFORMED_RANGE', 400],
    [range(file(1), 0, 1), 'MALFORMED_RANGE', 400],
    [range(file(1), -1, 1), 'MALFORMED_RANGE', 400],
    [range(file(1), 1.5, 2), 'MALFORMED_RANGE', 400],
    [range(file(1), '1', '2'), 'MALFORMED_RANGE', 400],
    [range(file(1), 1, null), 'MALFORMED_RANGE', 400],
    [range(file(1), 1, 2 ** 53), 'MALFORMED_RANGE', 400],
    [range(file(1), 1, 301), 'BEYOND_DATASET', 416],
    [range(file(1), 1, Number.MAX_SAFE_INTEGER), 'BEYOND_DATASET', 416],
    [range('good', 1, 1001), 'BEYOND_DATASET', 416],
    [range(file(1), 1, 1, { LFN: 7 }), 'INVALID_BODY', 422],
    [range('x'.repeat(251), 1, 1), 'INVALID_BODY', 422],
    [range(file(1), 1, 1, { scope: undefined }), 'INVALID_BODY', 422],
    [range(file(1), 1, 1, { eventRangeID: { a: 1 } }), 'INVALID_BODY', 422],
    [range(file(1), 1, 1, { eventRangeID: 'x'.repeat(1001) }), 'INVALID_BODY', 422],
    [{}, 'INVALID_BODY', 422],
  ];
  const reply = await post(bad.flatMap(([each]) => [each, range(file(1), 1, 2)]));
  const answers = reply.json();
  expect(answers).toHaveLength(2 * bad.length);
  for (const [i, [each, code, status]] of bad.entries()) {
    const { error, ...own } = answers[2 * i];
    expect(own).toEqual(JSON.parse(JSON.stringify(each)));
    expect(error, JSON.stringify(each)).toMatchObject({ code, status, requestId: reply.headers['request-id'] });
    for (const member of ['type', 'title', 'detail']) expect(typeof error[member]).toBe('string');
    expect(answers[2 * i + 1]).toMatchObject({ url: '/v1/datasets/test/good/events/1-2.arrows' });
    expect(answers[2 * i + 1]).not.toHaveProperty('error');
  }
});

test('whatever else an object says is given back as it came, and means nothing', async () => {
  const file = await declareFiles('verbatim');
  const odd = `{"eventRangeID": "", "LFN": "${file(1)}", "scope": "test", "startEvent": 1, "lastEvent": 1,
    "__proto__": {"admin": true}, "constructor": {"prototype": {"polluted": 1}}, "toString": null, "deep": [[[{"__proto__": 1}]]],
    "url": "http://else.where/", "state": "fine", "error": {"code": "OLD"}, "heldUntil": 5, "\\u0000": "\\ud83d\\ude00"}`;
  const reply = await post(`[${odd}, ${odd.replace(file(1), 'absent')}]`);
  expect(reply.status).toBe(200);
  const [good, bad] = reply.json();
  const { url, state, error, heldUntil, ...own } = JSON.parse(odd);
  expect(JSON.stringify({ ...good, url, state, heldUntil, error })).toBe(
    JSON.stringify({ ...own, url, state, heldUntil, error }),
  );
  expect(Object.keys(good)).toContain('__proto__');
  expect(good).toMatchObject({ url: '/v1/datasets/test/verbatim/events/1-1.arrows' });
  expect(good).not.toHaveProperty('error');
  expect(Object.keys(bad).filter((key) => ['url', 'state', 'heldUntil'].includes(key))).toEqual([]);
  expect(bad.error.code).toBe('FILE_NOT_FOUND');
  expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

test('the same events under another id are the same data, and ids may repeat', async () => {
  const file = await declareFiles('twice');
  const ranges = [
    range(file(1), 5, 6, { eventRangeID: 'a' }),
    range('twice', 5, 6, { eventRangeID: 'b' }),
    range(file(1), 5, 6, { eventRangeID: 'a' }),
  ];
  const answers = (await post(ranges)).json() as Range[];
  expect(answers.map(({ eventRangeID }) => eventRangeID)).toEqual(['a', 'b', 'a']);
  expect(new Set((answers as unknown as { url: string }[]).map(({ url }) => url)).size).toBe(1);
  expect(await isHeld('twice', 5)).toBe(true);
  await eventsAt((answers as unknown as { url: string }[])[0]?.url ?? '');
  await released('twice', 5);
});

test('a file that several datasets have is told apart by their names, or by retiring one', async () => {
  const files = { eventsPerFile: 100, lfn: 'shared._{n:06}.root' };
  await declareFiles('shared');
  const dataset = { ...(await elsewhere.get({ scope: 'test', name: 'shared' })), scope: 'shared' };
  // As two processes can declare them in the same moment.
  await elsewhere.declare({ ...dataset, name: 'a', files });
  await elsewhere.declare({ ...dataset, name: 'b', files: { ...files, eventsPerFile: 500 } });
  const ask = async (lfn: string) => (await post([range(lfn, 1, 1, { scope: 'shared' })])).json()[0];
  const { error } = await ask('shared._000002.root');
  expect(error).toMatchObject({ code: 'AMBIGUOUS_FILE', status: 409, datasets: ['shared:a', 'shared:b'] });
  // Only one of them has so many files.
  expect((await ask('shared._000003.root')).url).toContain('/shared/a/events/201-201');
  expect((await ask('b')).url).toContain('/shared/b/events/1-1');
  await service.put('/v1/datasets/shared/a/retired');
  expect((await ask('shared._000002.root')).url).toContain('/shared/b/events/501-501');
  expect((await ask('shared._000003.root')).error).toMatchObject({ code: 'RETIRED', status: 410 });
  expect((await ask('a')).error).toMatchObject({ code: 'RETIRED', status: 410 });
});

test.each<[string, unknown, string | undefined]>([
  ['nothing', undefined, ''],
  ['a text', '"list"', ''],
  ['a number', 7, ''],
  ['null', 'null', ''],
  ['an object without a list', {}, '/eventRanges'],
  ['a list under another name', { ranges: [] }, '/ranges'],
  ['a list that is none', { eventRanges: {} }, '/eventRanges'],
  ['another word for true', { eventRanges: [], inFilePosEvtNum: 'yes' }, '/inFilePosEvtNum'],
  ['one range alone', { eventRangeID: 'x', LFN: 'y' }, '/eventRangeID'],
  ['a prototype', '{"eventRanges": [], "__proto__": 1}', '/__proto__'],
  ['a list in a list', [[]], '/0'],
  ['texts among the ranges', { eventRanges: [{}, 'x', null] }, '/eventRanges/1'],
])('%s is no list, and is refused as a whole', async (_, body, path) => {
  const reply = await post(body ?? 'null');
  expect(reply.status).toBe(422);
  expect(reply.json()).toMatchObject({ code: 'INVALID_BODY', hint: expect.stringContaining('eventRanges') });
  expect(reply.json().errors[0].path).toBe(path);
});

test('an empty list has an empty answer', async () => {
  for (const body of [[], { eventRanges: [] }]) {
    const reply = await post(body);
    expect(reply.status).toBe(200);
    expect(reply.json()).toEqual([]);
  }
});

test('ten thousand ranges are one list, and one more is too many', async () => {
  await service.declare('many', {
    generator: 'quick',
    events: 100_000,
    chunkEvents: 4096,
    files: { eventsPerFile: 1000, lfn: 'many.{n:05}.pool.root' },
  });
  const ranges = Array.from({ length: 10_000 }, (_, i) => {
    const n = String(1 + Math.floor(i / 100)).padStart(5, '0');
    const first = 1 + 10 * (i % 100);
    return range(`many.${n}.pool.root`, first, first + 9);
  });
  const body = JSON.stringify(ranges);
  // More than the setting BODY_BYTES allows other bodies.
  expect(body.length).toBeGreaterThan(1.5 * 1024 * 1024);
  const reply = await post(body);
  expect(reply.status).toBe(200);
  const answers = reply.json() as { url: string; heldUntil?: string; eventRangeID: string }[];
  expect(answers.map(({ eventRangeID }) => eventRangeID)).toEqual(ranges.map(({ eventRangeID }) => eventRangeID));
  answers.forEach(({ url, heldUntil }, i) => {
    expect(url).toBe(`/v1/datasets/test/many/events/${10 * i + 1}-${10 * i + 10}.arrows`);
    expect(heldUntil).toBeDefined();
  });
  const more = await post([...ranges, range('many', 1, 1)]);
  expect(more.status).toBe(413);
  expect(more.json()).toMatchObject({ code: 'BODY_TOO_LARGE', eventRangesMax: 10_000, hint: expect.any(String) });
  const bytes = await post(`[{"x": "${'x'.repeat(11 * 1024 * 1024)}"}]`);
  expect(bytes.status).toBe(413);
  expect(bytes.json()).toMatchObject({ code: 'BODY_TOO_LARGE' });
});

test('a range of a whole huge dataset is accepted, and neither held nor made', async () => {
  await service.declare('huge', { generator: 'quick', events: Number.MAX_SAFE_INTEGER, chunkEvents: 64 });
  const [answer] = (await post([range('huge', 1, Number.MAX_SAFE_INTEGER)])).json();
  expect(answer).toMatchObject({ state: 'virtual' });
  expect(answer).not.toHaveProperty('heldUntil');
  const last = Number.MAX_SAFE_INTEGER;
  const [far] = (await post([range('huge', last, last)])).json();
  expect(far.url).toBe(`/v1/datasets/test/huge/events/${last}-${last}.arrows`);
  expect(await eventsAt(far.url)).toEqual([last]);
});

test('events that cannot be made are no error of the list', async () => {
  await service.declare('broken', { generator: 'failing', parameters: { event: 5 }, events: 256, chunkEvents: 64 });
  const ranges = [range('broken', 5, 5), range('broken', 65, 66)];
  await post(ranges);
  await eventually(async () => {
    const states = (await post(ranges)).json() as { state: string }[];
    expect(states.map(({ state }) => state)).toEqual(['failed', 'materialized']);
  });
});

test('what another api delivers is held no longer', async () => {
  const other = await service.anotherApi();
  onTestFinished(() => other.stop(0));
  const file = 'late._000001.pool.root.1';
  const ask = async (first: number, last: number) => (await post([range(file, first, last)], other.url)).json()[0];
  await declareFiles('late');
  const [one, two, three] = ['1-2', '65-66', '129-130'].map((part) => `/v1/datasets/test/late/events/${part}.arrows`);
  await send(other.url, two as string);
  const { headers } = await send(other.url, three as string);
  for (const first of [1, 65, 129]) expect(await ask(first, first + 1)).toHaveProperty('heldUntil');
  const held = () => Promise.all([1, 65, 129].map((event) => isHeld('late', event)));
  expect(await held()).toEqual([true, true, true]);
  expect((await send(other.url, one as string)).status).toBe(200);
  // Whoever goes on where an answer broke off has all of it, and so has who has it already.
  expect((await send(other.url, two as string, { headers: { range: 'bytes=10-' } })).status).toBe(206);
  const known = { 'if-none-match': headers.etag ?? '' };
  expect((await send(other.url, three as string, { headers: known })).status).toBe(304);
  await eventually(async () => expect(await held()).toEqual([false, false, false]));
});

test('headers alone, other events and a beginning deliver nothing', async () => {
  await declareFiles('undelivered');
  const events = '/v1/datasets/test/undelivered/events';
  const { body } = await service.call(`${events}/1-200.arrows`);
  await post([range('undelivered', 1, 200)]);
  await service.call(`${events}/1-200.arrows`, { method: 'HEAD' });
  await service.call(`${events}/1-200.arrows`, { headers: { range: `bytes=0-${body.length - 2}` } });
  await service.call(`${events}/1-199.arrows`);
  await service.call(`${events}/2-1000.arrows`);
  await service.call(`${events}/1-200.parquet`);
  // What is delivered after all that is told after all that.
  await post([range('undelivered', 300, 300)]);
  await service.call(`${events}/300-300.arrows`);
  await released('undelivered', 300);
  expect(await isHeld('undelivered', 1)).toBe(true);
});

test('with Redis away what is stored is told all the same, and nothing is held', async () => {
  const alone = await TestService.start();
  onTestFinished(() => alone.stop());
  await alone.put('/v1/datasets/test/calm', { generator: 'quick', seed: 1, events: 200, chunkEvents: 64 });
  const ask = () =>
    alone.call('/v1/event-ranges', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([range('calm', 1, 10), range('calm', 100, 101), range('absent', 1, 1)]),
    });
  await alone.call('/v1/datasets/test/calm/events/1-64.arrows');
  await alone.redis.kill();
  const reply = await ask();
  expect(reply.status).toBe(200);
  const [stored, absent, unknown] = reply.json();
  expect(stored).toMatchObject({ state: 'materialized', url: expect.any(String) });
  expect(absent).toMatchObject({ state: 'virtual', url: expect.any(String) });
  expect(unknown.error.code).toBe('FILE_NOT_FOUND');
  for (const answer of [stored, absent]) expect(answer).not.toHaveProperty('heldUntil');
  expect((await alone.call(stored.url)).status).toBe(200);
  // The URL works when Redis is back.
  await alone.redis.restart();
  await eventually(async () => expect((await alone.call(absent.url)).status).toBe(200));
});
