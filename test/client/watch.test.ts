// Watching over connections that break: against a server that does what the test says, connection by connection.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { EventParser, serverEvents } from '../../client/event-source.ts';
import type { JsonRecord } from '../../client/http.ts';
import { watch } from '../../client/watch.ts';

type Act = (response: ServerResponse, request: IncomingMessage) => void;

/** A server that does one thing after the other, one for each request; and what it was asked. */
async function serving(...acts: Act[]): Promise<{ url: string; lastEventIds: (string | undefined)[] }> {
  const lastEventIds: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    lastEventIds.push(request.headers['last-event-id'] as string | undefined);
    const act = acts.shift();
    if (act === undefined) response.writeHead(500).end();
    else act(response, request);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/stream`, lastEventIds };
}

const begin = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });
const event = (id: string, state: string) => `id: ${id}\nevent: progress\ndata: {"state":"${state}"}\n\n`;
const tells =
  (...texts: string[]): Act =>
  (response) =>
    begin(response).end(texts.join(''));

async function all(states: AsyncIterable<JsonRecord>): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const { state } of states) seen.push(state);
  return seen;
}

const policy = { fruitlessMax: 3, firstPauseMs: 1, pauseMsMax: 2, retryAfterMsMax: 1000 };

test('whatever becomes of connections, every state is told once and in order, and the last ends it', async () => {
  const { url, lastEventIds } = await serving(
    tells('retry: 1\n\n', event('a', 'pending'), ': nothing\n\n', 'event: other\ndata: {}\n\n'),
    (response) => response.destroy(),
    (response) => response.writeHead(503, { 'retry-after': '0' }).end('{"code":"OVERLOADED"}'),
    (response) => begin(response).write(event('b', 'running'), () => response.destroy()),
    tells(': still\n\n'),
    (response) => begin(response).write(event('c', 'completed') + event('d', 'running')),
  );
  const troubles: string[] = [];
  const onTrouble = (why: unknown) => void troubles.push(why instanceof Error ? why.name : String(why));
  expect(await all(watch(url, { policy, onTrouble }))).toEqual(['pending', 'running', 'completed']);
  expect(lastEventIds).toEqual([undefined, 'a', 'a', 'a', 'b', 'b']);
  expect(troubles).toEqual(['ConnectionError', 'ServiceError', 'ConnectionError']);
});

test('it gives up when nothing comes of several tries in a row, and at once where there is nothing to watch', async () => {
  const broken: Act = (response) => response.destroy();
  const failing = await serving(broken, broken, broken, broken);
  await expect(all(watch(failing.url, { policy }))).rejects.toThrow('does not answer');
  expect(failing.lastEventIds).toHaveLength(3);
  const nothing = await serving((response) => response.writeHead(404).end('{"code":"BATCH_NOT_FOUND","detail":"No."}'));
  await expect(all(watch(nothing.url, { policy }))).rejects.toMatchObject({ code: 'BATCH_NOT_FOUND' });
});

test('a page where the stream should be is no stream without events', async () => {
  const page: Act = (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Log in');
  const { url, lastEventIds } = await serving(page, page, page, page);
  await expect(all(watch(url, { policy }))).rejects.toThrow('answers with text/html');
  expect(lastEventIds).toHaveLength(3);
});

test('whoever stops watching is let go at once, also in a pause', async () => {
  const quiet = await serving((response) => begin(response).write(event('a', 'pending')));
  const stop = new AbortController();
  const states = watch(quiet.url, { signal: stop.signal, policy });
  expect((await states.next()).value).toEqual({ state: 'pending' });
  const next = states.next();
  stop.abort(new Error('enough'));
  await expect(next).rejects.toThrow('enough');

  const away = await serving((response) => response.destroy());
  const leaving = new AbortController();
  const onTrouble = () => leaving.abort(new Error('enough'));
  const long = { ...policy, firstPauseMs: 60_000, pauseMsMax: 60_000 };
  await expect(all(watch(away.url, { signal: leaving.signal, policy: long, onTrouble }))).rejects.toThrow('enough');
});

test('a connection on which nothing comes for too long is given up', async () => {
  const { url } = await serving((response) => begin(response).write(event('a', 'pending')));
  const events = serverEvents(url, { silenceMsMax: 50 });
  expect((await events.next()).value?.id).toBe('a');
  await expect(events.next()).rejects.toMatchObject({
    name: 'ConnectionError',
    message: expect.stringContaining('Nothing came for too long'),
  });
});

test('an event without an end is not gathered for ever', async () => {
  expect(() => [...new EventParser().push(`data: ${'x'.repeat(2 * 1024 * 1024)}`)]).toThrow('no end');
  const parser = new EventParser();
  expect(() => {
    for (let i = 0; i < 3000; i++) for (const _ of parser.push(`data: ${'x'.repeat(1000)}\n`));
  }).toThrow('no end');
});
