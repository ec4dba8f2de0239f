// What the adapter makes of what handlers give, whatever that is.
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import type { Answer } from '../../api/answer.ts';
import { BodyRoom } from '../../api/body-room.ts';
import { ClientQuota } from '../../api/client-quota.ts';
import type { ApiDeps } from '../../api/deps.ts';
import { mount } from '../../api/express-adapter.ts';
import { ApiMetrics } from '../../api/metrics.ts';
import { route } from '../../api/route.ts';
import { ApiServer } from '../../api/server.ts';
import { eventually } from '../eventually.ts';
import { keepingLog } from '../fixtures/line.ts';
import { send } from './harness.ts';

/** A server with one route, `/x`, that answers so. */
async function serve(handler: () => Answer | Promise<Answer>) {
  const log = keepingLog();
  const delivered: unknown[] = [];
  const edge = {
    quota: new ClientQuota(10),
    failures: { record: () => undefined },
    metrics: new ApiMetrics(),
    log,
    bodyBytesMax: 100,
    bodyRoom: new BodyRoom(1000),
    deliveries: { add: (events: unknown) => void delivered.push(events) },
    stallMs: 1000,
    logsAll: true,
    draining: false,
  };
  const app = express();
  const x = route({ method: 'GET', path: '/x', summary: '', responses: {}, errors: [], handler });
  const listener = mount(app, [x], edge, {} as ApiDeps);
  const bounds = { connectionsMax: 10, headerBytesMax: 16_384, requestMs: 60_000, idleMs: 65_000, stallMs: 1000 };
  const server = await ApiServer.listen(listener, { host: '127.0.0.1', port: 0, ...bounds });
  onTestFinished(() => server.drain(0));
  return { url: server.url, log, delivered };
}

const headers = ['Content-Length', '10', 'Cache-Control', 'no-cache'];

test('a defect is a 500 that tells nothing of the inside, and a line in the log that does', async () => {
  for (const handler of [
    () => {
      throw new TypeError('secret');
    },
    () => Promise.reject(new TypeError('secret')),
  ]) {
    const { url, log } = await serve(handler);
    const reply = await send(url, '/x');
    expect(reply.status).toBe(500);
    expect(reply.text()).not.toContain('secret');
    expect(reply.json()).toMatchObject({ code: 'INTERNAL', requestId: reply.headers['request-id'] });
    expect(log.lines.find((line) => line.level === 'error')).toMatchObject({
      message: 'secret',
      fields: { requestId: reply.headers['request-id'], target: '/x' },
    });
  }
});

test.each([5, 15])('a body of %i bytes where 10 were said never looks whole', async (length) => {
  const pieces = [Buffer.alloc(3), Buffer.alloc(length - 3)];
  const atOnce = await serve(() => ({ status: 200, headers, body: { kind: 'bytes', pieces } }));
  await expect(send(atOnce.url, '/x')).rejects.toThrow();
  const streamed = await serve(() => ({
    status: 200,
    headers,
    body: {
      kind: 'stream',
      pieces: (async function* () {
        yield* pieces;
      })(),
    },
  }));
  await expect(send(streamed.url, '/x')).rejects.toThrow();
});

test('a stream that fails before its first piece is told as what it is; its source is always let go', async () => {
  let released = 0;
  const failing = (after: number) =>
    (async function* () {
      try {
        for (let i = 0; i < after; i++) yield Buffer.from('piece');
        throw new TypeError('broken');
      } finally {
        released++;
      }
    })();
  const early = await serve(() => ({ status: 200, headers: [], body: { kind: 'stream', pieces: failing(0) } }));
  expect((await send(early.url, '/x')).status).toBe(500);
  const late = await serve(() => ({ status: 200, headers: [], body: { kind: 'stream', pieces: failing(2) } }));
  await expect(send(late.url, '/x')).rejects.toThrow();
  expect(released).toBe(2);
});

test('events are delivered when all of the answer was sent, and not before', async () => {
  const delivers = { derivationId: 'd', range: { first: 0, end: 1 } };
  const pieces = (end: () => void) =>
    (async function* () {
      yield Buffer.alloc(5);
      end();
      yield Buffer.alloc(5);
    })();
  const whole = await serve(() => ({
    status: 200,
    headers,
    delivers,
    body: { kind: 'stream', pieces: pieces(() => expect(whole.delivered).toEqual([])) },
  }));
  await send(whole.url, '/x');
  await eventually(() => expect(whole.delivered).toEqual([delivers]));
  const broken = await serve(() => ({
    status: 200,
    headers,
    delivers,
    body: {
      kind: 'stream',
      pieces: pieces(() => {
        throw new Error('no more');
      }),
    },
  }));
  await expect(send(broken.url, '/x')).rejects.toThrow();
  await eventually(() => expect(broken.log.lines.map(({ message }) => message).join()).toContain('was reset'));
  const failed = await serve(() => Promise.reject(new Error('nothing')));
  await send(failed.url, '/x');
  expect([...broken.delivered, ...failed.delivered]).toEqual([]);
});
