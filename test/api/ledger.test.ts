// What an api tells the ledger: one access for every chunk of every answer, with the bytes that really left.
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startApi } from '../../api/main.ts';
import { readConfig } from '../../config/settings.ts';
import type { Access } from '../../core/ledger.ts';
import { silentLog } from '../../core/log.ts';
import { KeepingLedger } from '../fixtures/keeping-ledger.ts';
import { builtInGenerators } from './generators.ts';
import { type Call, send, TestService } from './harness.ts';

const ledger = new KeepingLedger();
let service: TestService;
let api: Awaited<ReturnType<typeof startApi>>;

beforeAll(async () => {
  service = await TestService.start();
  const env = { EVOKE_DATA_DIR: service.dataDir, EVOKE_REDIS_URL: service.redis.url, EVOKE_PORT: '0' };
  api = await startApi(readConfig(env), builtInGenerators, silentLog, { ledger });
});

afterAll(async () => {
  await api.stop(0);
  await service.stop();
});

beforeEach(() => {
  ledger.entries.length = 0;
});

const call = (target: string, options?: Call) => send(api.url, target, options);
const served = (accesses: readonly Access[]) => accesses.reduce((sum, { bytesServed }) => sum + bytesServed, 0);

/** The accesses of one answer, once its last chunk was told. */
async function accesses(count: number): Promise<Access[]> {
  await expect.poll(() => ledger.of('access').length, { interval: 5 }).toBe(count);
  return ledger.of('access');
}

let seeds = 1;

/** A dataset of 1000 events in four chunks (the last one shorter), which no other has. */
async function declared(name: string): Promise<{ path: string; derivation: string; batchEvents: number }> {
  const definition = { generator: 'ee_mumu', seed: ++seeds, events: 1000, chunkEvents: 300 };
  const path = await service.declare(name, definition);
  const { derivation, batchEvents } = (await service.call(path)).json();
  return { path, derivation, batchEvents };
}

test('a generated range is told chunk by chunk, head and tail with the first and the last, and the sums are the body', async () => {
  const { path, derivation, batchEvents } = await declared('made');
  const reply = await call(`${path}/events/201-700.arrows`);
  const told = await accesses(3);
  expect(told).toMatchObject(
    [
      { range: { first: 0, end: 300 }, events: 100 },
      { range: { first: 300, end: 600 }, events: 300 },
      { range: { first: 600, end: 900 }, events: 100 },
    ].map((chunk) => ({
      kind: 'access',
      dataset: 'test:made',
      generator: 'ee_mumu',
      derivation,
      batchEvents,
      requestId: reply.headers['request-id'],
      means: 'generated',
      ...chunk,
    })),
  );
  expect(served(told)).toBe(reply.body.length);
  // The first had to be made while the answer waited.
  expect(told[0]?.waitMicros).toBeGreaterThan(100);
  for (const { atMs, waitMicros, bytesServed } of told) {
    expect(Math.abs(Date.now() - atMs)).toBeLessThan(60_000);
    expect(Number.isInteger(waitMicros) && Number.isInteger(bytesServed)).toBe(true);
  }
});

test('what is in the store is near, what is in memory is memory, handed over in one go or streamed', async () => {
  const { path } = await declared('near');
  await service.call(`${path}/events/1-1000.arrows`);
  const target = `${path}/events/1-1000.ndjson`;
  const first = await call(target);
  expect((await accesses(4)).map(({ means }) => means)).toEqual(['near', 'near', 'near', 'near']);
  expect(served(ledger.of('access'))).toBe(first.body.length);

  for (const again of [1, 2, 3]) {
    ledger.entries.length = 0;
    const reply = await call(target);
    const told = await accesses(4);
    expect(
      told.map(({ means, waitMicros }) => [means, waitMicros]),
      `time ${again}`,
    ).toEqual(Array.from({ length: 4 }, () => ['memory', 0]));
    expect(told.map(({ events }) => events)).toEqual([300, 300, 300, 100]);
    expect(served(told)).toBe(reply.body.length);
    // Lines of the same kind: a chunk of three times the events has about three times the bytes.
    expect((told[0]?.bytesServed ?? 0) / (told[3]?.bytesServed ?? 1)).toBeCloseTo(3, 0);
  }
});

test('of a single hot chunk, whole or in part, every answer is told with the bytes that it sent', async () => {
  const { path } = await declared('hot');
  const target = `${path}/events/1-300.arrows`;
  const { body } = await call(target);
  await accesses(1);
  const ranges: [string, number][] = [
    ['bytes=0-99', 100],
    ['bytes=-7', 7],
    [`bytes=${body.length - 1}-`, 1],
  ];
  for (let round = 0; round < 2; round++) {
    for (const [range, bytes] of [...ranges, ['', body.length] as const]) {
      ledger.entries.length = 0;
      const reply = await call(target, range === '' ? {} : { headers: { range } });
      expect(reply.body.length).toBe(bytes);
      expect(await accesses(1)).toMatchObject([{ means: 'memory', events: 300, bytesServed: bytes, waitMicros: 0 }]);
    }
  }
});

test('a byte range is told of the chunks that it touches, and of no others', async () => {
  const { path } = await declared('ranged');
  const target = `${path}/events/1-1000.ndjson`;
  await call(target);
  const sizes = (await accesses(4)).map(({ bytesServed }) => bytesServed);
  const [one = 0, two = 0] = sizes;
  const range = `bytes=${one + 10}-${one + two + 9}`;
  const parts = [
    [{ first: 300, end: 600 }, two - 10],
    [{ first: 600, end: 900 }, 10],
  ];
  // The second time all four are in memory.
  for (let round = 0; round < 2; round++) {
    ledger.entries.length = 0;
    expect((await call(target, { headers: { range } })).status).toBe(206);
    expect((await accesses(2)).map(({ range: chunk, bytesServed }) => [chunk, bytesServed])).toEqual(parts);
  }
});

test('a byte range of a long answer, which is streamed, is told in the same way', async () => {
  const definition = { generator: 'minbias', parameters: { mean: 200 }, events: 2500, chunkEvents: 500 };
  const target = `${await service.declare('long', definition)}/events/1-2500.arrows`;
  const { body } = await call(target);
  const sizes = (await accesses(5)).map(({ bytesServed }) => bytesServed);
  expect(body.length).toBeGreaterThan(2 * 1024 * 1024);
  const [one = 0, two = 0] = sizes;
  ledger.entries.length = 0;
  const range = `bytes=${one - 5}-${one + two + 6}`;
  expect((await call(target, { headers: { range } })).status).toBe(206);
  expect((await accesses(3)).map(({ range: { first }, bytesServed }) => [first, bytesServed])).toEqual([
    [0, 5],
    [500, two],
    [1000, 7],
  ]);
});

test('what sends no events is no access: HEAD, 304, errors', async () => {
  const { path } = await declared('none');
  const target = `${path}/events/1-300.arrows`;
  const { headers } = await call(target);
  await accesses(1);
  ledger.entries.length = 0;
  expect((await call(target, { method: 'HEAD' })).status).toBe(200);
  expect((await call(`${path}/events/1-900.arrows`, { method: 'HEAD' })).status).toBe(200);
  expect((await call(target, { headers: { 'if-none-match': headers.etag ?? '' } })).status).toBe(304);
  expect((await call(`${path}/events/1-2000`)).status).toBe(416);
  expect((await call(target, { headers: { range: 'bytes=999999999-' } })).status).toBe(416);
  await call(`${path}/events/301-400.arrows`);
  expect((await accesses(1)).map(({ range }) => range)).toEqual([{ first: 300, end: 600 }]);
});

test('requests that ask together are told one by one: one generated, the others joined', async () => {
  const path = await service.declare('joined', {
    generator: 'minbias',
    parameters: { mean: 300 },
    events: 400,
    chunkEvents: 400,
  });
  const replies = await Promise.all(Array.from({ length: 5 }, () => call(`${path}/events/1-400.arrows`)));
  const told = await accesses(5);
  expect(new Set(told.map(({ requestId }) => requestId)).size).toBe(5);
  expect(told.map(({ means }) => means).sort()).toEqual(['generated', 'joined', 'joined', 'joined', 'joined']);
  for (const reply of replies) expect(reply.body.length).toBe(told[0]?.bytesServed);
});

test('a client that leaves is told with what was handed over until then, and not with chunks that never left', async () => {
  const path = await service.declare('left', {
    generator: 'minbias',
    parameters: { mean: 200 },
    events: 15_000,
    chunkEvents: 500,
  });
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${path}/events/1-15000.arrows HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`);
  let received = 0;
  socket.on('data', (data) => {
    received += data.length;
    if (received > 1_000_000) socket.destroy();
  });
  await once(socket, 'close');
  await expect.poll(() => ledger.of('access').length).toBeGreaterThan(0);
  await expect.poll(async () => (await call('/metrics')).text()).toMatch(/^evoke_flights 0$/m);
  const told = ledger.of('access');
  expect(told.length).toBeLessThan(30);
  expect(new Set(told.map(({ range }) => range.first)).size).toBe(told.length);
  // What the kernel had taken and the client never read is in it, and that is not much.
  expect(served(told)).toBeGreaterThan(received - 2000);
  expect(served(told)).toBeLessThan(received + 16_000_000);
});

test('evictions by request are told by the api, and its ledger shows in its metrics', async () => {
  const { path } = await declared('gone');
  await call(`${path}/events/1-600.arrows`);
  await accesses(2);
  ledger.entries.length = 0;
  expect((await call(`${path}/materialization/1-300`, { method: 'DELETE' })).status).toBe(204);
  expect(ledger.of('eviction')).toMatchObject([
    { kind: 'eviction', cause: 'asked', dataset: 'test:gone', generator: 'ee_mumu', range: { first: 0, end: 300 } },
  ]);
  const metrics = (await service.call('/metrics')).text();
  for (const name of ['entries', 'segments', 'lost'])
    expect(metrics).toMatch(new RegExp(`^evoke_ledger_${name}_total \\d`, 'm'));
});
