// Requests that are wrong in every way one could think of: each gets an answer that says so, and nothing else happens.
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestService } from './harness.ts';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ worker: false, env: { EVOKE_BODY_BYTES: '4096' } });
  await service.declare('d', { generator: 'minbias', events: 1000 });
});
afterAll(() => service.stop());

const d = '/v1/datasets/test/d';

test.each([
  [`${d}/events/1--2`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/+1-2`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/0-2`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/01-2`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/2-1`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1-`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/-1`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1-2-3`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1-2x`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1-2.`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1-2.exe`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1-2.arrows.ndjson`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1-2.ARROWS`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1e3-2e3`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1-10000000000000000`, 400, 'MALFORMED_RANGE'],
  [`${d}/events/1-2;x=1`, 400, 'MALFORMED_RANGE'],
  [`${d}/plan/1-2.arrows`, 400, 'MALFORMED_RANGE'],
  [`${d}/plan/a-b`, 400, 'MALFORMED_RANGE'],
  [`${d}/provenance/-1`, 400, 'MALFORMED_REQUEST'],
  [`${d}/provenance/1.5`, 400, 'MALFORMED_REQUEST'],
  [`${d}/provenance/00`, 400, 'MALFORMED_REQUEST'],
  [`${d}/provenance/9007199254740993`, 404, 'CHUNK_NOT_FOUND'],
  [`${d}/materialization?startEvent=0`, 400, 'MALFORMED_REQUEST'],
  [`${d}/materialization?startEvent=5&lastEvent=4`, 400, 'MALFORMED_RANGE'],
  [`${d}/materialization?lastEvent=1001`, 416, 'BEYOND_DATASET'],
  [`${d}/materialization?startEvent=1001`, 416, 'BEYOND_DATASET'],
  [`${d}/materialization?after=x`, 400, 'MALFORMED_REQUEST'],
  [`${d}/materialization?after=-1`, 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets?limit=0', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets?limit=1001', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets?limit=+5', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets?limit=1&limit=2', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets?Limit=1', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets?after=../..', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets?__proto__=1', 400, 'MALFORMED_REQUEST'],
  ['/healthz?x=1', 400, 'MALFORMED_REQUEST'],
  ['/v1/version?%', 400, 'MALFORMED_REQUEST'],
  // Every escape in a path is refused, whether it is well formed or not.
  ['/v1/datasets/test%2fd/events/1-2', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets/test/d/events/1%2d2', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets/test/d/events/%31-2', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets/test/%', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets/test/%zz', 400, 'MALFORMED_REQUEST'],
  ['/v1/datasets/test/..', 400, 'MALFORMED_NAME'],
  ['/v1/datasets/../d', 400, 'MALFORMED_NAME'],
  ['/v1/datasets/.hidden/d', 400, 'MALFORMED_NAME'],
  ['/v1/datasets/-x/d', 400, 'MALFORMED_NAME'],
  [`/v1/datasets/${'x'.repeat(201)}/d`, 400, 'MALFORMED_NAME'],
  ['/v1/datasets/te:st/d', 400, 'MALFORMED_NAME'],
  ['/v1/datasets/test/absent', 404, 'DATASET_NOT_FOUND'],
  ['/v1/datasets/test/absent/events/1-2', 404, 'DATASET_NOT_FOUND'],
  ['/v1/datasets/__proto__/constructor', 404, 'DATASET_NOT_FOUND'],
  // Nothing is there but what the table of routes says.
  ['/v1', 404, 'NOT_FOUND'],
  ['/v1/generators/', 404, 'NOT_FOUND'],
  ['/V1/generators', 404, 'NOT_FOUND'],
  ['//v1/generators', 404, 'NOT_FOUND'],
  ['/v1//generators', 404, 'NOT_FOUND'],
  [`${d}/events/`, 404, 'NOT_FOUND'],
  [`${d}/events/1-2/`, 404, 'NOT_FOUND'],
  [`${d}/events/1-2/x`, 404, 'NOT_FOUND'],
  ['/v1/datasets//d', 404, 'NOT_FOUND'],
])('GET %s is %i %s', async (target, status, code) => {
  const reply = await service.call(target);
  expect(reply.status).toBe(status);
  expect(reply.json()).toMatchObject({ code });
});

test.each([
  ['POST', '/v1/datasets', 'GET, HEAD'],
  ['POST', d, 'GET, HEAD, PUT'],
  ['DELETE', d, 'GET, HEAD, PUT'],
  ['GET', `${d}/pin`, 'DELETE, PUT'],
  ['HEAD', `${d}/pin`, 'DELETE, PUT'],
  ['OPTIONS', `${d}/events/1-2`, 'GET, HEAD'],
  ['PUT', `${d}/events/1-2`, 'GET, HEAD'],
  ['PATCH', '/healthz', 'GET, HEAD'],
  ['PROPFIND', '/v1/generators', 'GET, HEAD'],
])('%s %s is 405, and Allow says what there is', async (method, target, allow) => {
  const reply = await service.call(target, { method });
  expect(reply.status).toBe(405);
  expect(reply.headers.allow).toBe(allow);
});

const jsonType = { 'content-type': 'application/json' };
test.each<[string, Record<string, string>, string | Buffer, number, string]>([
  ['no type', {}, '{}', 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'a=1', 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ['another charset', { 'content-type': 'application/json; charset=utf-16' }, '{}', 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ['a compressed body', { ...jsonType, 'content-encoding': 'gzip' }, '{}', 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ['too many bytes', jsonType, JSON.stringify('x'.repeat(5000)), 413, 'BODY_TOO_LARGE'],
  [
    'too many bytes of unknown length',
    { ...jsonType, 'transfer-encoding': 'chunked' },
    'x'.repeat(9000),
    413,
    'BODY_TOO_LARGE',
  ],
  ['half of a JSON', jsonType, '{"generator":', 400, 'MALFORMED_REQUEST'],
  ['JSON and more', jsonType, '{} {}', 400, 'MALFORMED_REQUEST'],
  ['bytes that are no UTF-8', jsonType, Buffer.from([0x22, 0xff, 0x22]), 400, 'MALFORMED_REQUEST'],
  ['a deep nest', jsonType, '['.repeat(1000) + ']'.repeat(1000), 400, 'MALFORMED_REQUEST'],
  ['NaN', jsonType, '{"generator":"quick","seed":NaN,"events":1}', 400, 'MALFORMED_REQUEST'],
  ['a number beyond all', jsonType, '{"generator":"quick","seed":1e999,"events":1}', 422, 'INVALID_DECLARATION'],
])('a body with %s is refused', async (_, headers, body, status, code) => {
  const reply = await service.call('/v1/datasets/test/body', { method: 'PUT', headers, body });
  expect(reply.status).toBe(status);
  expect(reply.json()).toMatchObject({ code });
});

test('no body where one is due is refused field by field; a body where none is due is refused too', async () => {
  const reply = await service.put('/v1/datasets/test/body');
  expect(reply.status).toBe(422);
  const get = await service.call(d, { headers: { 'content-length': '2', ...jsonType }, body: '{}' });
  expect(get.status).toBe(400);
  expect((await service.call(`${d}/pin`, { method: 'DELETE', headers: jsonType, body: '{}' })).status).toBe(400);
});

test.each<[string, Record<string, string>]>([
  ['a foreign host', { host: 'evil.example' }],
  ['a name that only begins like a loopback one', { host: 'localhost.evil.example' }],
  ['a host with a user part', { host: 'localhost@evil.example' }],
  ['another address', { host: '10.0.0.1:8080' }],
  ['a foreign origin', { host: 'localhost', origin: 'https://evil.example' }],
  ['an opaque origin', { host: 'localhost', origin: 'null' }],
])('%s is refused everywhere', async (_, headers) => {
  for (const target of ['/healthz', '/v1/version', `${d}/events/1-2`, '/nothing']) {
    const reply = await service.call(target, { headers });
    expect(reply.status).toBe(403);
    expect(reply.json()).toMatchObject({ code: 'FOREIGN_HOST' });
  }
});

test.each<[Record<string, string>]>([
  [{ host: 'localhost' }],
  [{ host: 'LOCALHOST:1' }],
  [{ host: '127.0.0.1:99' }],
  [{ host: '127.1.2.3' }],
  [{ host: '[::1]:8080' }],
  [{ host: 'localhost', origin: 'http://localhost:3000' }],
  [{ host: 'localhost', origin: 'https://127.0.0.1' }],
])('loopback names pass: %o', async (headers) => {
  expect((await service.call('/healthz', { headers })).status).toBe(200);
});

test.each([
  ['/v1/files/test/d/1-2.parquet', 'HEAD'],
  ['/v1/reports/tradeoff', 'GET'],
  ['/v1/exclusions', 'GET'],
  ['/v1/exclusions/x/recover', 'POST'],
  [`${d}/audit`, 'POST'],
])('%s (%s) is known and not built', async (target, method) => {
  const reply = await service.call(target, { method });
  expect(reply.status).toBe(501);
  if (method !== 'HEAD') expect(reply.json()).toMatchObject({ code: 'NOT_BUILT' });
  if (method !== 'POST' && method !== 'PATCH') return;
  const withBody = await service.call(target, { method, headers: jsonType, body: '[{"LFN":"x"}]' });
  expect(withBody.status).toBe(501);
});

async function speak(text: string): Promise<string> {
  const { port, hostname } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('data', (part) => {
    answer += String(part);
  });
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

test.each([
  ['no HTTP at all', 'hello\r\n\r\n'],
  ['a header without end', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ['two lengths', 'PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'],
  [
    'a length and chunks',
    'PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
])('%s is answered like every error, and the connection ends', async (what, text) => {
  const answer = await speak(text);
  const isLarge = what === 'a header without end';
  expect(answer).toMatch(isLarge ? /^HTTP\/1\.1 431 / : /^HTTP\/1\.1 400 /);
  expect(answer).toMatch(/\r\nRequest-Id: [0-9a-f-]{36}\r\n/);
  expect(answer).toContain(isLarge ? '"code":"HEADERS_TOO_LARGE"' : '"code":"MALFORMED_REQUEST"');
});

test('a request without Host, or with an expectation, is refused in the same form', async () => {
  for (const version of ['1.0', '1.1']) {
    const answer = await speak(`GET /healthz HTTP/${version}\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer).toContain('FOREIGN_HOST');
  }
  expect((await service.call('/healthz', { headers: { expect: 'wonders' } })).status).toBe(400);
});

test('of two headers where one is due neither counts', async () => {
  const get = (lines: string, target = '/healthz') =>
    speak(`GET ${target} HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`);
  expect(await get('Host: localhost\r\nHost: evil.example\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await get('Host: evil.example\r\nHost: localhost\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await get('Host: localhost\r\nHost: localhost\r\n', 'http://localhost/healthz')).toMatch(/^HTTP\/1\.1 400 /);
  const types = 'Content-Type: application/json\r\nContent-Type: text/plain\r\n';
  const put = await speak(
    `PUT ${d} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${types}Content-Length: 2\r\n\r\n{}`,
  );
  expect(put).toMatch(/^HTTP\/1\.1 415 /);
});

test('an absolute target is judged by its own authority', async () => {
  const get = (target: string) => speak(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  expect(await get('http://localhost:1/healthz')).toMatch(/^HTTP\/1\.1 200 /);
  expect(await get('http://evil.example/healthz')).toMatch(/^HTTP\/1\.1 403 /);
  expect(await get('ftp://localhost/healthz')).toMatch(/^HTTP\/1\.1 400 /);
});

test('a body that never comes whole harms nobody', async () => {
  const { port, hostname } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write(
    `PUT ${d} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"gen`,
  );
  await expect.poll(async () => (await service.call('/metrics')).text()).toContain('evoke_http_requests_in_flight 2');
  socket.resetAndDestroy();
  await expect.poll(async () => (await service.call('/metrics')).text()).toContain('evoke_http_requests_in_flight 1');
});

test('what clients do wrong is no news for the log', () => {
  const troubles = service.log.lines.filter((line) => line.level === 'error' || line.level === 'warn');
  // That Redis does not answer in time is a busy machine's doing, not a client's.
  expect(troubles.filter(({ fields }) => !JSON.stringify(fields).includes('does not answer in time'))).toEqual([]);
});
