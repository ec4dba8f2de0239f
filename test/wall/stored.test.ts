// What lies in the store and in Redis, written by somebody else: the service survives it, serves everything that it does not
// concern, and says what is wrong.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyOf, keyPrefix, queueName } from '../../queue/names.ts';
import { lines, send, TestService } from '../api/harness.ts';
import { eventually } from '../eventually.ts';
import { checkAnswer, shown, speak } from './wire.ts';

let service: TestService;
let redis: Redis;
beforeAll(async () => {
  service = await TestService.start({ env: { EVOKE_WAIT_SECONDS: '20' } });
  redis = new Redis(service.redis.socket);
  await service.declare('d', { generator: 'quick', events: 400, chunkEvents: 10 });
});
afterAll(async () => {
  redis.disconnect();
  await service.stop();
});

const deep = 100_000;

/** What may stand where a record should. */
const texts: readonly string[] = [
  '',
  ' ',
  'null',
  '0',
  '"x"',
  '[]',
  '{}',
  '{"scope":',
  '\u0000\u0001\u0002',
  '['.repeat(deep),
  '{"a":'.repeat(deep),
  `${'['.repeat(deep)}${']'.repeat(deep)}`,
  `{"derivation":{"parameters":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}}`,
  '<html>',
];

async function put(name: string, text: string | Buffer): Promise<void> {
  const path = join(service.dataDir, 'store', name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

/** Everything that is asked about a dataset answers as it should, or says that its record is damaged. */
async function ask(name: string, told: string): Promise<void> {
  for (const [method, rest] of [
    ['GET', ''],
    ['GET', '/materialization'],
    ['GET', '/plan/1-2'],
    ['GET', '/provenance/0'],
    ['HEAD', '/events/1-2'],
  ]) {
    const request = `${method} /v1/datasets/test/${name}${rest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    const { answers, end } = await speak(service.url, request, { head: method === 'HEAD' });
    expect(end, told).toBe('answered');
    for (const answer of answers) checkAnswer(answer, `${request} ${told}`);
  }
}

async function othersAreWell(): Promise<void> {
  expect((await service.call('/v1/datasets/test/d')).status).toBe(200);
  const list = (await service.call('/v1/datasets?limit=1000')).json() as { items: { name: string }[] };
  expect(list.items.map(({ name }) => name)).toContain('d');
  expect((await service.call('/v1/batches')).status).toBe(200);
  expect((await service.call('/readyz')).status).toBe(200);
}

test('records that are none are told as damaged, and hide no others', async () => {
  for (const [i, text] of texts.entries()) {
    await put(`datasets/test/none${i}.json`, text);
    const reply = await service.call(`/v1/datasets/test/none${i}`);
    expect(reply.status, shown(text)).toBe(503);
    expect(reply.json()).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await ask(`none${i}`, shown(text));
    for (const kind of ['pins', 'retired', 'holds']) await put(`${kind}/test/none${i}.json`, text);
    const id = `20300601T12000000${i % 10}-0000000${(i >> 4).toString(16)}`;
    for (const part of ['', '.wish', '.progress', '.cancelled']) await put(`batches/${id}${part}.json`, text);
    const batch = await service.call(`/v1/batches/${id}`);
    expect([404, 503]).toContain(batch.status);
    const request = `0000000${(i % 16).toString(16)}-0000-4000-8000-000000000000`;
    for (const part of ['', '.end']) await put(`requests/${request}${part}.json`, text);
    expect([404, 503]).toContain((await service.call(`/v1/requests/${request}`)).status);
  }
  await othersAreWell();
});

test('a record without end is not taken apart', async () => {
  await put('datasets/test/huge.json', Buffer.alloc(40 * 1024 * 1024, '['));
  expect((await service.call('/v1/datasets/test/huge')).status).toBe(503);
  await othersAreWell();
});

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    -1,
    0,
    0.5,
    1e308,
    Number.MAX_SAFE_INTEGER,
    '',
    '..',
    '../../x',
    '\u0000\r\nX: y',
    [],
    {},
    [null],
    true,
    'x'.repeat(5000),
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** A copy of a record with something else in one place, or with one place less. */
function changed(record: unknown, at: number, value: unknown, removes: boolean): unknown {
  const copy = structuredClone(record) as Record<string, unknown>;
  const places: [holder: Record<string, unknown>, key: string][] = [];
  const walk = (holder: Record<string, unknown>) => {
    for (const [key, inner] of Object.entries(holder)) {
      places.push([holder, key]);
      if (typeof inner === 'object' && inner !== null) walk(inner as Record<string, unknown>);
    }
  };
  walk(copy);
  const [holder, key] = places[at % places.length] ?? [copy, 'x'];
  if (removes) delete holder[key];
  else holder[key] = value;
  return copy;
}

test('a dataset whose record was changed in any one place is served as it says, or told as damaged', async () => {
  const original = await readFile(join(service.dataDir, 'store/datasets/test/d.json'), 'utf8');
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(200), odd, fc.boolean(), async (at, value, removes) => {
      const name = `changed${count++}`;
      const record = changed({ ...(JSON.parse(original) as object), name }, at, value, removes);
      await put(`datasets/test/${name}.json`, JSON.stringify(record));
      await ask(name, shown(JSON.stringify(record)));
    }),
    { numRuns: 120 },
  );
  await othersAreWell();
  expect(service.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
});

let next = 0;
/** Events that nobody has made yet arrive: through the queue and a worker, and by the event that tells it. */
async function eventsAreMade(): Promise<void> {
  next += 10;
  const reply = await service.call(`/v1/datasets/test/d/events/${next + 1}-${next + 3}`);
  expect(reply.status, reply.text()).toBe(200);
  expect(lines(reply.text()).length).toBe(3);
}

async function allAnswers(): Promise<void> {
  for (const target of [
    '/readyz',
    '/metrics',
    '/v1/workers',
    '/v1/datasets/test/d',
    '/v1/datasets/test/d/materialization',
    '/v1/datasets/test/d/plan/1-400',
    '/v1/batches',
  ]) {
    const reply = await send(service.url, target);
    expect(reply.status, `${target} ${reply.text().slice(0, 300)}`).toBe(200);
  }
}

const prefix = 'evoke';
const queueKey = (part: string) => `${keyPrefix(prefix)}:${queueName}:${part}`;

test('events of the queue that do not read do not end the listening', async () => {
  await eventsAreMade();
  const events = queueKey('events');
  for (const value of [
    '{',
    'null',
    '0',
    '"x"',
    '[]',
    '{}',
    '{"key":1}',
    '{"key":"x","bytes":"y"}',
    '['.repeat(50_000),
  ]) {
    await redis.xadd(events, '*', 'event', 'completed', 'jobId', 'x', 'returnvalue', value, 'prev', 'active');
    await redis.xadd(events, '*', 'event', 'failed', 'jobId', 'x', 'failedReason', value, 'prev', 'active');
    await redis.xadd(events, '*', 'event', 'progress', 'jobId', 'x', 'data', value);
  }
  await redis.xadd(
    events,
    '*',
    'event',
    'failed',
    'jobId',
    'x',
    'failedReason',
    '{"key":"k","code":"OF_A_LATER_VERSION","detail":"d"}',
  );
  await redis.xadd(events, '*', 'nothing', 'of', 'the', 'kind');
  // More often than it can begin anew in a moment.
  for (let i = 0; i < 3; i++) await eventsAreMade();
  await allAnswers();
  expect(service.log.lines.some(({ level, message }) => level === 'warn' && message.includes('does not read'))).toBe(
    true,
  );
});

test('jobs that are none harm nobody: not those who look, not the workers, not the orders beside them', async () => {
  const job = (id: string, data: string) =>
    redis.hset(
      queueKey(id),
      'name',
      'chunk',
      'data',
      data,
      'opts',
      '{"attempts":1000,"backoff":{"type":"custom"}}',
      'timestamp',
      '1',
      'delay',
      '0',
      'priority',
      '0',
      'attemptsStarted',
      '0',
      'attemptsMade',
      '0',
    );
  const datas = [
    'null',
    '0',
    '"x"',
    '[]',
    '{}',
    '{"key":5}',
    '{"key":"k"}',
    '{"key":"k","chunk":{},"derivation":null}',
    '{',
    `{"key":"${'a'.repeat(64)}/1/x"}`,
  ];
  for (const [i, data] of datas.entries()) {
    await job(`hostile${i}`, data);
    await redis.lpush(queueKey('wait'), `hostile${i}`);
    await job(`dead${i}`, data);
    await redis.hset(queueKey(`dead${i}`), 'failedReason', data, 'finishedOn', String(Date.now()));
    await redis.zadd(queueKey('failed'), Date.now(), `dead${i}`);
  }
  await allAnswers();
  await eventsAreMade();
  // The workers get rid of them, and go on.
  await eventually(async () => expect(await redis.llen(queueKey('wait'))).toBe(0));
  // Each is given up as what it is, and not tried for hours; what does not even parse, no worker ever gets to see.
  for (const [i, data] of datas.entries()) {
    if (data === '{') continue;
    await eventually(async () => expect(await redis.zscore(queueKey('failed'), `hostile${i}`), data).not.toBeNull());
  }
  await eventsAreMade();
  await allAnswers();
});

test('words of processes and about work that are none are passed over', async () => {
  const values = [
    '',
    '{',
    'null',
    '0',
    '"x"',
    '[]',
    '{}',
    '{"role":"worker"}',
    '{"id":1,"role":"worker","storeId":"other","registry":"other"}',
    `${'['.repeat(5000)}`,
  ];
  for (const [i, value] of values.entries()) {
    await redis.hset(keyOf(prefix, 'processes'), `p${i}`, value);
    if (i % 2 === 0) await redis.zadd(keyOf(prefix, 'processes', 'expiry'), Date.now() + 3_600_000, `p${i}`);
    await redis.lpush(keyOf(prefix, 'processes', 'silent'), value);
    for (const kind of ['batch', 'request', 'failure']) await redis.set(keyOf(prefix, kind, `w${i}`), value);
  }
  const created = await service.call('/v1/batches', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"dataset":"test:d"}',
  });
  const { id } = created.json() as { id: string };
  for (const value of values) {
    await redis.set(keyOf(prefix, 'batch', id), value);
    expect((await service.call(`/v1/batches/${id}`)).status).toBe(200);
  }
  for (let i = 0; i < values.length; i++) expect((await service.call(`/v1/requests/w${i}`)).status).toBe(404);
  await allAnswers();
  // Somebody who comes now joins the others all the same.
  const other = await service.anotherApi();
  await eventually(async () =>
    expect((await send(other.url, '/v1/workers')).json()).toMatchObject({ items: [{ storeId: expect.any(String) }] }),
  );
  await other.joined;
  await other.stop(0);
});

test('keys of another type than they should be are an absence, and never a crash', async () => {
  for (const parts of [
    ['usage', 'sizes'],
    ['usage', 'recency'],
    ['usage', 'totals'],
    ['processes'],
    ['processes', 'expiry'],
  ]) {
    await redis.del(keyOf(prefix, ...parts));
    await redis.set(keyOf(prefix, ...parts), 'not what it was');
  }
  for (const target of ['/readyz', '/metrics', '/v1/datasets/test/d', '/v1/datasets/test/d/events/11-13']) {
    expect((await send(service.url, target)).status, target).toBe(200);
  }
  const workers = await send(service.url, '/v1/workers');
  expect([200, 503]).toContain(workers.status);
  await redis.flushall();
  await eventually(eventsAreMade);
});
