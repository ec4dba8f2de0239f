// The small parts of the edge, each by itself.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { sliceOf } from '../../api/at-hand.ts';
import { ClientQuota } from '../../api/client-quota.ts';
import { fieldErrors } from '../../api/field-errors.ts';
import { checkHost } from '../../api/host-guard.ts';
import { parseJson } from '../../api/json-body.ts';
import { ApiMetrics } from '../../api/metrics.ts';
import { chooseFormat } from '../../api/negotiation.ts';
import { Orders } from '../../api/orders.ts';
import { byteRange, bytesWithin, namesTag } from '../../api/preconditions.ts';
import { problem } from '../../api/problem.ts';
import { parseQuery } from '../../api/query.ts';
import { Recency } from '../../api/recency.ts';
import { type KnownRepresentation, measured, Representations, reprDigest } from '../../api/representations.ts';
import { systemClock } from '../../core/clock.ts';
import { asEvokeError, type ErrorCode, EvokeError, errorCatalogue } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';

async function* each(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

const cutBody = fc.array(fc.uint8Array({ minLength: 0, maxLength: 20 }), { minLength: 1, maxLength: 10 });

test('any byte range of any body, however it is cut into pieces, is that slice of it', async () => {
  await fc.assert(
    fc.asyncProperty(cutBody, fc.nat(250), fc.nat(250), async (parts, a, b) => {
      const pieces = parts.map((part) => Buffer.from(part));
      const whole = Buffer.concat(pieces);
      fc.pre(whole.length > 0);
      const first = a % whole.length;
      const last = first + (b % (whole.length - first));
      const wanted = whole.subarray(first, last + 1);
      const got: Buffer[] = [];
      for await (const piece of bytesWithin(each(pieces), { first, last })) got.push(piece);
      expect(Buffer.concat(got).equals(wanted)).toBe(true);
      expect(Buffer.concat(sliceOf(pieces, { first, last })).equals(wanted)).toBe(true);
      expect(byteRange(`bytes=${first}-${last}`, whole.length)).toEqual({ first, last });
    }),
  );
});

test('after the last byte of a range no more pieces are asked for', async () => {
  let asked = 0;
  async function* pieces(): AsyncGenerator<Buffer> {
    for (;;) {
      asked++;
      yield Buffer.alloc(10);
    }
  }
  for await (const _ of bytesWithin(pieces(), { first: 5, last: 19 }));
  expect(asked).toBe(2);
});

test('what a representation was is told only when all of it was taken', async () => {
  const pieces = [Buffer.from('ab'), Buffer.from('c')];
  const told: KnownRepresentation[] = [];
  for await (const _ of measured(each(pieces), true, (known) => told.push(known))) break;
  expect(told).toEqual([]);
  for await (const _ of measured(each(pieces), true, (known) => told.push(known)));
  expect(told.map((known) => known.length)).toEqual([3]);
  expect(told.map(reprDigest)).toEqual([['Repr-Digest', 'sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:']]);
});

test('only so many representations are remembered', () => {
  const representations = new Representations(2);
  for (const tag of ['x', 'y', 'z']) representations.remember(tag, { length: 1, sha256: tag });
  expect(['x', 'y', 'z'].map((tag) => representations.find(tag)?.sha256)).toEqual([undefined, 'y', 'z']);
});

test.each<[string, 'weak' | 'strong', boolean]>([
  ['"a"', 'strong', true],
  ['"b", "a"', 'strong', true],
  [' "b" ,"a" ', 'weak', true],
  ['W/"a"', 'weak', true],
  ['W/"a"', 'strong', false],
  ['*', 'strong', true],
  ['"A"', 'weak', false],
  ['"a,b"', 'weak', false],
  ['"b"', 'weak', false],
])('%s names "a" (%s): %s', (list, comparison, expected) => {
  expect(namesTag(list, '"a"', comparison)).toBe(expected);
});

test.each<[string, 'weak' | 'strong', boolean]>([
  ['W/"a"', 'weak', true],
  ['"a"', 'weak', true],
  ['"b", W/"a"', 'weak', true],
  ['W/"a"', 'strong', false],
  ['"a"', 'strong', false],
  ['*', 'strong', true],
  ['"b"', 'weak', false],
])('%s names the weak tag W/"a" (%s): %s', (list, comparison, expected) => {
  expect(namesTag(list, 'W/"a"', comparison)).toBe(expected);
});

test.each<[string, { first: number; last: number } | undefined | 'refused']>([
  ['bytes=0-0', { first: 0, last: 0 }],
  ['bytes=5-', { first: 5, last: 9 }],
  ['bytes=-3', { first: 7, last: 9 }],
  ['bytes=-30', { first: 0, last: 9 }],
  [`bytes=2-${'9'.repeat(400)}`, { first: 2, last: 9 }],
  [`bytes=-${'9'.repeat(400)}`, { first: 0, last: 9 }],
  ['bytes=-0', 'refused'],
  ['bytes=10-', 'refused'],
  [`bytes=${'9'.repeat(400)}-`, 'refused'],
  ['bytes=5-4', undefined],
  ['bytes=0-1,3-4', undefined],
  ['items=0-1', undefined],
  ['bytes=', undefined],
])('of ten bytes, %s is %o', (header, expected) => {
  const read = () => byteRange(header, 10);
  if (expected === 'refused') expect(read).toThrow(EvokeError);
  else expect(read()).toEqual(expected);
});

test.each(['a', '"a', '"b" "a"', '', '"b",', '*, "a"'])('%s is no list of tags', (list) => {
  expect(() => namesTag(list, '"x"', 'weak')).toThrow(EvokeError);
});

test('long headers of almost-tags are read in time', () => {
  const started = performance.now();
  expect(() => namesTag(`${'"a",'.repeat(4000)}x`, '"x"', 'weak')).toThrow();
  expect(() => chooseFormat({ accept: 'a/b;q=0.1,'.repeat(1500) })).toThrow();
  expect(performance.now() - started).toBeLessThan(2_000);
});

test('queries are read strictly, and back', () => {
  const known = new Set(['a', 'b']);
  expect({ ...parseQuery('a=1&b=x%2Cy+z', known) }).toEqual({ a: '1', b: 'x,y z' });
  expect({ ...parseQuery('a=&b', known) }).toEqual({ a: '', b: '' });
  for (const text of ['c=1', 'a=1&a=1', 'a=%', 'a=%ff', '&', 'a=1&', 'hasOwnProperty=1']) {
    expect(() => parseQuery(text, known), text).toThrow(EvokeError);
  }
});

test('what JSON there is comes through as it is, but for -0', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      fc.pre(!text.includes('__proto__'));
      expect(JSON.stringify(parseJson(Buffer.from(text)))).toBe(text);
    }),
  );
  expect(Object.is(parseJson(Buffer.from('-0')), 0)).toBe(true);
  expect(parseJson(Buffer.from('{"a":[-0.0]}'))).toEqual({ a: [0] });
  expect(() => parseJson(Buffer.from('{"a":{"__proto__":1}}'))).toThrow(EvokeError);
});

test('refused fields are named by JSON pointers', () => {
  const schema = z.strictObject({ a: z.strictObject({ 'b/c~d': z.number() }), list: z.array(z.number()) });
  const { error } = schema.safeParse({ a: { 'b/c~d': 'x', extra: 1 }, list: [1, 'x'], '': 2 });
  expect(
    error &&
      fieldErrors(error, '/parameters')
        .map(({ path }) => path)
        .sort(),
  ).toEqual(['/parameters/', '/parameters/a/b~1c~0d', '/parameters/a/extra', '/parameters/list/1']);
});

test('a place in the quota is taken, refused over the bound, and given back', () => {
  const quota = new ClientQuota(2);
  quota.enter('a');
  quota.enter('a');
  expect(() => quota.enter('a')).toThrow(EvokeError);
  quota.enter('b');
  quota.leave('a');
  quota.enter('a');
  for (const client of ['a', 'a', 'b']) quota.leave(client);
  expect(quota.clients).toBe(0);
});

test('only loopback authorities pass', () => {
  for (const host of ['localhost', 'localhost:1', '127.0.0.1', '127.255.0.9:8080', '[::1]', '[::1]:443']) {
    expect(() => checkHost(host, undefined)).not.toThrow();
  }
  const foreign = [
    undefined,
    '',
    'localhost.',
    'xlocalhost',
    '127.0.0.1.evil',
    '1270.0.0.1',
    '[::2]',
    '::1',
    'localhost:x',
  ];
  for (const host of foreign) expect(() => checkHost(host, undefined), host).toThrow(EvokeError);
});

test('every code becomes a problem document of its status, and only some say when to come back', () => {
  for (const [code, { status, title }] of Object.entries(errorCatalogue)) {
    const answer = problem(new EvokeError(code as ErrorCode), 'an-id');
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ value: { code, title, status, detail: title, requestId: 'an-id' } });
    expect(answer.headers.includes('Retry-After')).toBe(status === 429 || status === 503);
    expect(answer.headers.includes('Content-Range')).toBe(code === 'RANGE_NOT_SATISFIABLE');
  }
  // What an error carries cannot forge what the document says of itself.
  const forged = problem(new EvokeError('PINNED', { status: 200, code: 'X', requestId: 'y', more: 1 }), 'an-id');
  expect(forged.body).toMatchObject({ value: { status: 409, code: 'PINNED', requestId: 'an-id', more: 1 } });
  const unknown = problem(asEvokeError(new Error('secret path /home/x')), 'an-id');
  expect(JSON.stringify(unknown)).not.toContain('secret');
});

test('uses of chunks are told in one go, the latest of each, and a failing book loses nothing else', async () => {
  const told: { key: string; usedAtMs: number }[][] = [];
  let failing = true;
  const book = {
    touch: async (entries: readonly { key: string; usedAtMs: number }[]) => {
      if (failing) throw new EvokeError('QUEUE_UNAVAILABLE');
      told.push([...entries]);
    },
  };
  const lost = new Recency(book, { clock: systemClock, log: silentLog });
  lost.use('a');
  await lost.close();
  failing = false;
  const recency = new Recency(book, { clock: systemClock, log: silentLog });
  recency.use('a');
  recency.use('b');
  recency.use('a');
  await recency.close();
  expect(told.map((entries) => entries.map(({ key }) => key))).toEqual([['a', 'b']]);
});

test('metrics add up, and read as Prometheus writes them', async () => {
  const metrics = new ApiMetrics();
  metrics.started();
  metrics.started();
  metrics.finished('/x', 200, 0.002, 10);
  metrics.served({ hit: 2, joined: 1, generated: 0 });
  for (const seconds of [0.001, 0.5, 1000]) {
    metrics.started();
    metrics.finished('/x', 503, seconds, 0);
  }
  for (let look = 0; look < 2; look++) {
    const lines = (await metrics.registry.metrics()).split('\n');
    for (const line of [
      '# TYPE evoke_http_request_seconds histogram',
      'evoke_http_request_seconds_bucket{le="0.001",route="/x"} 1',
      'evoke_http_request_seconds_bucket{le="0.003",route="/x"} 2',
      'evoke_http_request_seconds_bucket{le="300",route="/x"} 3',
      'evoke_http_request_seconds_bucket{le="+Inf",route="/x"} 4',
      'evoke_http_request_seconds_sum{route="/x"} 1000.503',
      'evoke_http_request_seconds_count{route="/x"} 4',
      'evoke_http_requests_total{route="/x",status="200"} 1',
      'evoke_http_requests_total{route="/x",status="503"} 3',
      'evoke_http_body_bytes_total{route="/x"} 10',
      'evoke_chunks_requested_total{means="hit"} 2',
      'evoke_http_requests_in_flight 1',
    ]) {
      expect(lines).toContain(line);
    }
  }
});

test('a stopping process waits until its orders are taken back', async () => {
  let takeBack: () => void = () => undefined;
  const orders = new Orders({
    add: async () => ({ jobId: 'x', joined: false }),
    fate: async () => ({ state: 'lost' }),
    withdraw: () => new Promise((resolve) => (takeBack = resolve)),
  });
  const flights = { size: 1 };
  const withdrawn = orders.withdraw('x');
  let settled = false;
  const done = orders.settled(flights).then(() => {
    settled = true;
  });
  flights.size = 0;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(settled).toBe(false);
  takeBack();
  await Promise.all([withdrawn, done]);
  expect(settled).toBe(true);
});
