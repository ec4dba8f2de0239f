// Events over HTTP: formats, columns, headers, preconditions, byte ranges.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lines, type Reply, TestService } from './harness.ts';

let service: TestService;
/** minbias, 400 events in chunks of 100. */
let path: string;
beforeAll(async () => {
  service = await TestService.start();
  path = await service.declare('mb', { generator: 'minbias', events: 400, chunkEvents: 100 });
});
afterAll(() => service.stop());

const arrow = 'application/vnd.apache.arrow.stream';
const ndjson = 'application/x-ndjson';

function sha256(bytes: Buffer): string {
  return `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;
}

test('a miss is generated, the next request is a hit, with the same bytes and tag', async () => {
  const miss = await service.call(`${path}/events/1-100`);
  expect(miss.status).toBe(200);
  expect(miss.headers).toMatchObject({
    'content-type': ndjson,
    'cache-status': 'evoke; fwd=miss; detail="hit=0 joined=0 generated=1"',
    'cache-control': 'public, max-age=31536000, immutable',
    vary: 'Accept, Authorization',
    etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
    'server-timing': expect.stringMatching(/^plan;dur=[\d.]+, queue;dur=[\d.]+, generate;dur=[\d.]+$/),
    link: `<${path}>; rel="describedby", <${path}/provenance/0>; rel="http://www.w3.org/ns/prov#has_provenance"`,
  });
  expect(miss.headers['content-length']).toBeUndefined();
  expect(miss.headers['repr-digest']).toBeUndefined();
  expect(lines(miss.text())).toHaveLength(100);

  const hit = await service.call(`${path}/events/1-100`);
  expect(hit.headers).toMatchObject({
    'cache-status': 'evoke; hit',
    etag: miss.headers.etag,
    'content-length': String(miss.body.length),
    'accept-ranges': 'bytes',
    'repr-digest': sha256(miss.body),
  });
  expect(hit.body.equals(miss.body)).toBe(true);
});

test('partly stored ranges say what they are made of', async () => {
  const reply = await service.call(`${path}/events/51-250.arrows`);
  expect(reply.headers['cache-status']).toBe('evoke; fwd=miss; detail="hit=1 joined=0 generated=2"');
  expect((await service.call(`${path}/events/51-250.arrows`)).headers['cache-status']).toBe('evoke; hit');
});

test('requests that only join others say collapsed', async () => {
  const slow = await service.declare('collapsed', {
    generator: 'slow',
    parameters: { batchMs: 300 },
    events: 4,
    chunkEvents: 4,
  });
  const replies = await Promise.all(Array.from({ length: 5 }, () => service.call(`${slow}/events/1-4`)));
  const statuses = replies.map((reply) => reply.headers['cache-status']).sort();
  expect(statuses).toEqual([
    'evoke; fwd=miss; detail="hit=0 joined=0 generated=1"',
    ...Array(4).fill('evoke; fwd=miss; detail="hit=0 joined=1 generated=0"; collapsed'),
  ]);
});

test('events 1-200 are byte-equal to 1-100 followed by 101-200, whatever the cuts', async () => {
  const get = async (range: string) => (await service.call(`${path}/events/${range}`)).body;
  const whole = await get('1-200');
  for (const cuts of [[100], [1, 2, 3], [99, 101], [64, 128, 199]]) {
    const bounds = [0, ...cuts, 200];
    const parts: Buffer[] = [];
    for (let i = 1; i < bounds.length; i++) parts.push(await get(`${(bounds[i - 1] ?? 0) + 1}-${bounds[i]}`));
    expect(Buffer.concat(parts).equals(whole), String(cuts)).toBe(true);
  }
  const numbers = lines(whole.toString()).map((line) => (line as { event: number }).event);
  expect(numbers).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
});

test.each<[string, string, Record<string, string>, string]>([
  ['nothing said', '', {}, ndjson],
  ['anything', '', { accept: '*/*' }, ndjson],
  ['a list of nothing', '', { accept: ' , ' }, ndjson],
  ['any application', '', { accept: 'application/*' }, ndjson],
  ['Arrow by Accept', '', { accept: arrow }, arrow],
  ['Arrow preferred by weight', '', { accept: `${ndjson};q=0.5, ${arrow};q=0.9` }, arrow],
  ['parquet first, but Arrow acceptable', '', { accept: `application/vnd.apache.parquet, ${arrow};q=0.1` }, arrow],
  ['NDJSON excluded', '', { accept: `*/*, ${ndjson};q=0` }, arrow],
  ['the query over Accept', '?format=arrow', { accept: ndjson }, arrow],
  ['the suffix over the query', '.ndjson?format=arrow', { accept: arrow }, ndjson],
])('%s chooses the format', async (_, suffix, headers, type) => {
  expect((await service.call(`${path}/events/1-2${suffix}`, { headers })).headers['content-type']).toBe(type);
});

test.each<[string, Record<string, string>]>([
  ['.parquet', {}],
  ['.hepmc3', {}],
  ['?format=parquet', {}],
  ['?format=exe', {}],
  ['', { accept: 'text/html' }],
  ['', { accept: 'application/vnd.apache.parquet' }],
  ['', { accept: '*/*;q=0' }],
  ['', { accept: 'rubbish' }],
])('a format that is not written is not acceptable: %s %o', async (suffix, headers) => {
  const reply = await service.call(`${path}/events/1-2${suffix}`, { headers });
  expect(reply.status).toBe(406);
  expect(reply.json()).toMatchObject({ code: 'NOT_ACCEPTABLE' });
});

test('columns come in the order of the dataset, without duplicates, and make one tag however they are written', async () => {
  const a = await service.call(`${path}/events/1-3?columns=GenPart_pt,event`);
  const b = await service.call(`${path}/events/1-3?columns=event,GenPart_pt,event`);
  expect(Object.keys(lines(a.text())[0] as object)).toEqual(['event', 'GenPart_pt']);
  expect(a.headers.etag).toBe(b.headers.etag);
  expect(b.body.equals(a.body)).toBe(true);
  const every = (await service.call(path)).json().columns.map((column: { name: string }) => column.name);
  const all = await service.call(`${path}/events/1-3?columns=${every.reverse().join(',')}`);
  expect(all.headers.etag).toBe((await service.call(`${path}/events/1-3`)).headers.etag);
});

test.each([
  ['?columns=', 400, 'MALFORMED_REQUEST'],
  ['?columns', 400, 'MALFORMED_REQUEST'],
  ['?columns=event,', 400, 'MALFORMED_REQUEST'],
  ['?columns=,', 400, 'MALFORMED_REQUEST'],
  ['?columns=event&columns=event', 400, 'MALFORMED_REQUEST'],
  ['?columns=event,nope', 422, 'UNKNOWN_COLUMN'],
  ['?columns=__proto__', 422, 'UNKNOWN_COLUMN'],
  ['?columns=Event', 422, 'UNKNOWN_COLUMN'],
  ['?colums=event', 400, 'MALFORMED_REQUEST'],
  ['?format=', 400, 'MALFORMED_REQUEST'],
  ['?columns=%zz', 400, 'MALFORMED_REQUEST'],
])('%s is refused', async (query, status, code) => {
  const reply = await service.call(`${path}/events/1-2${query}`);
  expect(reply.status).toBe(status);
  expect(reply.json()).toMatchObject({ code });
});

test('events beyond the dataset are 416, and the answer says how many there are', async () => {
  for (const range of ['1-401', '401-401', '9999999999999999-9999999999999999']) {
    const reply = await service.call(`${path}/events/${range}`);
    expect(reply.status).toBe(416);
    expect(reply.json()).toMatchObject({ code: 'BEYOND_DATASET', events: 400 });
  }
});

test('a known tag is answered 304 without generating; after the checks of what is asked for', async () => {
  const untouched = await service.declare('untouched', { generator: 'minbias', seed: 5, events: 100 });
  const head = await service.call(`${untouched}/events/1-100`, { method: 'HEAD' });
  expect(head.status).toBe(200);
  expect(head.headers['cache-status']).toBe('evoke; fwd=miss; detail="hit=0 joined=0 generated=1"');
  const tag = head.headers.etag ?? '';
  for (const list of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
    const reply = await service.call(`${untouched}/events/1-100`, { headers: { 'if-none-match': list } });
    expect(reply.status).toBe(304);
    expect(reply.body.length).toBe(0);
    expect(reply.headers.etag).toBe(tag);
  }
  const headers = { 'if-none-match': '*' };
  expect((await service.call(`${untouched}/events/1-101`, { headers })).status).toBe(416);
  expect((await service.call(`${untouched}/events/1-100?columns=x`, { headers })).status).toBe(422);
  expect((await service.call(`${untouched}/events/1-100.parquet`, { headers })).status).toBe(406);
  expect((await service.call('/v1/datasets/test/absent/events/1-100', { headers })).status).toBe(404);
  expect((await service.call(untouched)).json()).toMatchObject({ materializedChunks: 0 });
});

test('If-Match holds for the tag and *, and fails for others, weak ones and nonsense', async () => {
  const { etag = '' } = (await service.call(`${path}/events/1-10`)).headers;
  const status = async (list: string) =>
    (await service.call(`${path}/events/1-10`, { headers: { 'if-match': list } })).status;
  expect(await status(etag)).toBe(200);
  expect(await status('*')).toBe(200);
  expect(await status('"other"')).toBe(412);
  expect(await status(`W/${etag}`)).toBe(412);
  expect(await status('nonsense')).toBe(400);
});

test('bytes of a representation of known length can be asked for', async () => {
  const whole = await service.call(`${path}/events/1-150.arrows`);
  const length = whole.body.length;
  const get = (range: string, more: Record<string, string> = {}): Promise<Reply> =>
    service.call(`${path}/events/1-150.arrows`, { headers: { range, ...more } });
  const middle = await get('bytes=100-4999');
  expect(middle.status).toBe(206);
  expect(middle.headers).toMatchObject({
    'content-range': `bytes 100-4999/${length}`,
    'content-length': '4900',
    'repr-digest': sha256(whole.body),
  });
  expect(middle.body.equals(whole.body.subarray(100, 5000))).toBe(true);
  for (const [range, first] of [
    ['bytes=-10', length - 10],
    [`bytes=${length - 10}-`, length - 10],
    [`bytes=${length - 10}-${length * 2}`, length - 10],
    ['bytes=0-', 0],
    [`bytes=-${length * 2}`, 0],
  ] as const) {
    const reply = await get(range);
    expect(reply.status, range).toBe(206);
    expect(reply.body.equals(whole.body.subarray(first)), range).toBe(true);
  }
  for (const range of ['bytes=0-1,5-6', 'lines=1-2', 'bytes=5-2', 'bytes=x']) {
    expect((await get(range)).status, range).toBe(200);
  }
  for (const range of [`bytes=${length}-`, 'bytes=-0']) {
    const reply = await get(range);
    expect(reply.status, range).toBe(416);
    expect(reply.json()).toMatchObject({ code: 'RANGE_NOT_SATISFIABLE', length });
    expect(reply.headers['content-range']).toBe(`bytes */${length}`);
  }
  const { etag = '' } = whole.headers;
  expect((await get('bytes=0-9', { 'if-range': etag })).status).toBe(206);
  expect((await get('bytes=0-9', { 'if-range': '"other"' })).status).toBe(200);
});

test('below exact reproducibility nothing is immutable; statistical events have a weak tag, and no length is remembered', async () => {
  const platform = await service.declare('platform', { generator: 'platform', events: 8 });
  const once = await service.call(`${platform}/events/1-8`);
  expect(once.headers).toMatchObject({
    etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
    'cache-control': 'public, max-age=31536000',
  });
  expect((await service.call(`${platform}/events/1-8`)).headers['repr-digest']).toBe(sha256(once.body));

  const statistical = await service.declare('statistical', { generator: 'statistical', events: 8 });
  const get = (headers: Record<string, string> = {}) => service.call(`${statistical}/events/1-8`, { headers });
  const miss = await get();
  const { etag = '' } = miss.headers;
  expect(etag).toMatch(/^W\/"[0-9a-f]{64}"$/);
  expect(miss.headers['cache-control']).toBe('public, max-age=31536000');
  const hit = await get({ te: 'trailers', range: 'bytes=0-9', 'if-range': etag });
  expect(hit.status).toBe(200);
  expect(hit.headers).toMatchObject({ etag, 'cache-status': 'evoke; hit' });
  for (const name of ['content-length', 'accept-ranges', 'repr-digest']) expect(hit.headers[name]).toBeUndefined();
  expect(hit.trailers['repr-digest']).toBe(sha256(hit.body));
  expect(hit.body.equals(miss.body)).toBe(true);
  for (const tag of [etag, etag.slice(2), '*']) expect((await get({ 'if-none-match': tag })).status, tag).toBe(304);
  for (const tag of [etag, etag.slice(2)]) expect((await get({ 'if-match': tag })).status, tag).toBe(412);
  expect((await get({ 'if-match': '*' })).status).toBe(200);
});

test('what cannot be made again bit for bit is a fossil once it is stored, and is not evicted', async () => {
  for (const generator of ['platform', 'statistical']) {
    const fossil = await service.declare(`fossil-${generator}`, { generator, seed: 12, events: 8 });
    await service.call(`${fossil}/events/1-8`);
    expect((await service.call(`${fossil}/materialization`)).json().items).toEqual([
      { firstChunk: 0, lastChunk: 0, state: 'fossil' },
    ]);
    expect((await service.call(`${fossil}/provenance/0`)).json()).toMatchObject({ state: 'fossil' });
    const refused = await service.call(`${fossil}/materialization`, { method: 'DELETE' });
    expect(refused.status).toBe(409);
    expect(refused.json()).toMatchObject({ code: 'FOSSIL' });
  }
});

test('without a known length Range is answered in full', async () => {
  const fresh = await service.declare('fresh', { generator: 'minbias', seed: 6, events: 100 });
  const reply = await service.call(`${fresh}/events/1-100`, { headers: { range: 'bytes=0-9' } });
  expect(reply.status).toBe(200);
  expect(reply.headers['accept-ranges']).toBeUndefined();
  expect(lines(reply.text())).toHaveLength(100);
});

test('of a long range the length is remembered, and its digest where somebody asked for it', async () => {
  const long = await service.declare('long', { generator: 'quick', events: 200, chunkEvents: 10 });
  const get = (headers = {}) => service.call(`${long}/events/1-200`, { headers });
  const whole = await get();
  expect(whole.headers['content-length']).toBeUndefined();
  const known = await get({ range: 'bytes=5-9' });
  expect(known.status).toBe(206);
  expect(known.body).toEqual(whole.body.subarray(5, 10));
  expect(known.headers['repr-digest']).toBeUndefined();
  const head = await service.call(`${long}/events/1-200`, { method: 'HEAD', headers: { te: 'trailers' } });
  expect(head.headers['content-length']).toBe(String(whole.body.length));
  const asked = await get({ te: 'trailers' });
  expect(asked.trailers['repr-digest']).toBe(sha256(whole.body));
  expect((await get()).headers).toMatchObject({
    'content-length': String(whole.body.length),
    'repr-digest': sha256(whole.body),
  });
});

test('the digest is a trailer for those who take trailers, while it is not known beforehand', async () => {
  const fresh = await service.declare('trailer', { generator: 'minbias', seed: 7, events: 100 });
  const first = await service.call(`${fresh}/events/1-50`, { headers: { te: 'trailers' } });
  expect(first.headers.trailer).toBe('Repr-Digest');
  expect(first.trailers['repr-digest']).toBe(sha256(first.body));
  const second = await service.call(`${fresh}/events/1-50`, { headers: { te: 'trailers' } });
  expect(second.headers.trailer).toBeUndefined();
  expect(second.headers['repr-digest']).toBe(sha256(first.body));
});

test('only-if-cached is 504 unless all is stored, and orders nothing', async () => {
  const fresh = await service.declare('cached', { generator: 'minbias', seed: 8, events: 200, chunkEvents: 100 });
  const headers = { 'cache-control': 'only-if-cached' };
  await service.call(`${fresh}/events/1-100`);
  expect((await service.call(`${fresh}/events/1-100`, { headers })).status).toBe(200);
  const reply = await service.call(`${fresh}/events/1-200`, { headers });
  expect(reply.status).toBe(504);
  expect(reply.json()).toMatchObject({ code: 'NOT_MATERIALIZED' });
  expect((await service.call(fresh)).json()).toMatchObject({ materializedChunks: 1 });
});

test('preferences that are not honoured are passed over, and not said to be', async () => {
  for (const prefer of ['return=minimal', 'wait=10', 'respond-sync, "']) {
    const reply = await service.call(`${path}/events/1-2`, { headers: { prefer } });
    expect(reply.status, prefer).toBe(200);
    expect(reply.headers['preference-applied']).toBeUndefined();
  }
});

test('HEAD gives what GET gives, without body and without generating', async () => {
  const fresh = await service.declare('head', { generator: 'minbias', seed: 9, events: 100 });
  const before = await service.call(`${fresh}/events/1-10`, { method: 'HEAD' });
  expect(before.headers['content-length']).toBeUndefined();
  const get = await service.call(`${fresh}/events/1-10`);
  const after = await service.call(`${fresh}/events/1-10`, { method: 'HEAD' });
  expect(after.headers).toMatchObject({
    etag: get.headers.etag,
    'content-length': String(get.body.length),
    'cache-status': 'evoke; hit',
  });
});

test('a generation that fails before the first byte is 502 with the event, the tries and the last words', async () => {
  const bad = await service.declare('bad', {
    generator: 'failing',
    parameters: { event: 3 },
    events: 8,
    chunkEvents: 4,
  });
  for (let i = 0; i < 2; i++) {
    const reply = await service.call(`${bad}/events/1-8`);
    expect(reply.status).toBe(502);
    expect(reply.json()).toMatchObject({
      code: 'GENERATION_FAILED',
      event: 3,
      attempts: 1,
      lastWords: expect.stringContaining('Event 3 cannot be made'),
    });
  }
  expect((await service.call(`${bad}/events/5-8`)).status).toBe(200);
});

test('a client over its quota is told to come back, and others of its requests are not harmed', async () => {
  const api = await service.anotherApi({ EVOKE_CLIENT_REQUESTS: '2' });
  try {
    const slow = await service.declare('quota', {
      generator: 'slow',
      parameters: { batchMs: 400 },
      events: 12,
      chunkEvents: 4,
    });
    const held = ['1-4', '5-8'].map((range) => fetch(`${api.url}${slow}/events/${range}`));
    // Both are in flight before the third is sent.
    await expect.poll(async () => (await fetch(`${api.url}/v1/version`)).status, { interval: 10 }).toBe(429);
    const refused = await fetch(`${api.url}${slow}/events/9-12`);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
    expect((await fetch(`${api.url}/healthz`)).status).toBe(200);
    for (const reply of await Promise.all(held)) expect(lines(await reply.text())).toHaveLength(4);
    await expect.poll(async () => (await fetch(`${api.url}/v1/version`)).status).toBe(200);
  } finally {
    await api.stop(0);
  }
});
