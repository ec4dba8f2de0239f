// Calls of the typed client to a service that fails: what is repeated, what must not be, and for how long.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { ConnectionError, Evoke, ServiceError, WrongAnswerError } from '../../client/index.ts';

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const reset: Answer = (response) => response.socket?.resetAndDestroy();
const json = (value: unknown): Answer => {
  return (response) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
};
const refuse = (status: number, code?: string): Answer => {
  return (response) => response.writeHead(status, { 'retry-after': '0' }).end(JSON.stringify({ code }));
};

let calls: string[];
let answers: Answer[];
let evoke: Evoke;
beforeEach(async () => {
  calls = [];
  answers = [];
  const server = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    request.resume();
    (answers.shift() ?? json({ items: [], next: null }))(response, request);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  evoke = new Evoke(`http://127.0.0.1:${port}/`, { retries: { fruitlessMax: 3, firstPauseMs: 1, pauseMsMax: 2 } });
});

test.each([
  ['the connection is reset', reset],
  ['it is overloaded', refuse(503, 'OVERLOADED')],
  ['there are too many requests', refuse(429, 'TOO_MANY_REQUESTS')],
  ['a proxy has no answer', refuse(504)],
  [
    'the answer breaks off',
    (response) => response.writeHead(200, { 'content-length': '99' }).write('{"items', () => response.destroy()),
  ],
  ['the answer is not JSON', (response) => response.end('<html>')],
] as [string, Answer][])('a call is repeated when %s', async (_, answer) => {
  answers = [answer, answer];
  expect(await evoke.datasets()).toEqual([]);
  expect(calls).toHaveLength(3);
  answers = [answer, answer, answer];
  await expect(evoke.datasets()).rejects.toThrow();
  expect(calls).toHaveLength(6);
});

test.each([
  [400, 'MALFORMED_NAME'],
  [404, 'DATASET_NOT_FOUND'],
  [409, 'PINNED'],
  [504, 'NOT_MATERIALIZED'],
  [418, undefined],
])('%i %s is no reason to call again', async (status, code) => {
  answers = [refuse(status, code)];
  await expect(evoke.evict('demo:mb')).rejects.toMatchObject({ status, code });
  expect(calls).toEqual(['DELETE /v1/datasets/demo/mb/materialization']);
});

test('a batch that may have been created is not created again; one that was refused is', async () => {
  answers = [reset];
  await expect(evoke.createBatch({ dataset: 'demo:mb' })).rejects.toBeInstanceOf(ConnectionError);
  expect(calls).toHaveLength(1);
  answers = [refuse(504)];
  await expect(evoke.createBatch({ dataset: 'demo:mb' })).rejects.toBeInstanceOf(ServiceError);
  expect(calls).toHaveLength(2);
  answers = [refuse(503, 'STORE_UNAVAILABLE'), json({ id: 'b' })];
  expect(await evoke.createBatch({ dataset: 'demo:mb' })).toEqual({ id: 'b' });
  expect(calls).toHaveLength(4);
});

test('JSON that is no object is a wrong answer, and so are event ranges without an answer', async () => {
  answers = [json(3), json(null), json([{}])];
  await expect(evoke.dataset('demo:mb')).rejects.toBeInstanceOf(WrongAnswerError);
  await expect(evoke.dataset('demo:mb')).rejects.toBeInstanceOf(WrongAnswerError);
  await expect(evoke.eventRanges([{ eventRangeID: '1' }, { eventRangeID: '2' }])).rejects.toThrow(/each of the 2/);
  expect(calls).toHaveLength(3);
});

test('lists are read to their end, page by page', async () => {
  const [first, second, third] = [0, 1, 2].map((n) => ({ firstChunk: n, lastChunk: n, state: 'virtual' }));
  answers = [json({ items: [first, second], next: 'a b' }), json({ items: [third], next: null })];
  expect(await evoke.materialization('demo:mb', { startEvent: 1, lastEvent: 2 })).toEqual([first, second, third]);
  const path = '/v1/datasets/demo/mb/materialization?startEvent=1&lastEvent=2';
  expect(calls).toEqual([`GET ${path}`, `GET ${path}&after=a%20b`]);
});

test('a signal ends a call that gets no answer, and one that pauses', async () => {
  const enough = new Error('enough');
  for (const answer of [
    () => undefined,
    (response: ServerResponse) => response.writeHead(503, { 'retry-after': '60' }).end(),
  ]) {
    const stop = new AbortController();
    answers = [
      (response) => {
        answer(response);
        setImmediate(() => stop.abort(enough));
      },
    ];
    await expect(evoke.datasets({ signal: stop.signal })).rejects.toBe(enough);
  }
  expect(calls).toHaveLength(2);
});

test.each(['ftp://127.0.0.1', 'nonsense', ''])('%j is no address of a service', (server) => {
  expect(() => new Evoke(server)).toThrow(TypeError);
});
