// What the adapter makes of what handlers give, whatever that is.
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import type { Answer } from '../../api/answer.ts';
import { ClientQuota } from '../../api/client-quota.ts';
import type { ApiDeps } from '../../api/deps.ts';
import { mount } from '../../api/express-adapter.ts';
import { ApiMetrics } from '../../api/metrics.ts';
import { route } from '../../api/route.ts';
import { ApiServer } from '../../api/server.ts';
import { keepingLog } from '../fixtures/line.ts';
import { send } from './harness.ts';

/** A server with one route, `/x`, that answers so. */
async function serve(handler: () => Answer | Promise<Answer>) {
  const log = keepingLog();
  const edge = {
    quota: new ClientQuota(10),
    failures: { record: () => undefined },
    metrics: new ApiMetrics(),
    log,
    bodyBytesMax: 100,
    stallMs: 1000,
    logsAll: true,
    draining: false,
  };
  const app = express();
  const x = route({ method: 'GET', path: '/x', summary: '', responses: {}, errors: [], handler });
  mount(app, [x], edge, {} as ApiDeps);
  const server = await ApiServer.listen(app, { host: '127.0.0.1', port: 0, connectionsMax: 10, stallMs: 1000 });
  onTestFinished(() => server.drain(0));
  return { url: server.url, log };
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
