// Answers that end badly, slowly or early: never a short one that looks whole, and nobody else is harmed.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lines, send, TestService } from './harness.ts';

const run = promisify(execFile);

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ env: { EVOKE_STALL_SECONDS: '1' } });
});
afterAll(() => service.stop());

/** Its first chunk is made, its tenth fails. */
function failsLate(name: string): Promise<string> {
  return service.declare(name, { generator: 'failing', parameters: { event: 37 }, events: 40, chunkEvents: 4 });
}

test('fetch notices a failure in mid-stream', async () => {
  const path = await failsLate('late_fetch');
  const response = await fetch(`${service.url}${path}/events/1-40`);
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
});

test('curl notices a failure in mid-stream, over HTTP/1.1 and HTTP/1.0', async () => {
  const path = await failsLate('late_curl');
  for (const version of ['--http1.1', '--http1.0']) {
    const { code } = await run('curl', ['-sS', version, '-o', '/dev/null', `${service.url}${path}/events/1-40`]).then(
      () => ({ code: 0 }),
      (error: { code: number }) => error,
    );
    expect(code, version).toBeGreaterThan(0);
  }
});

test('a failure in mid-stream resets a connection that served a whole answer before', async () => {
  const path = await failsLate('late_alive');
  const socket = await open();
  socket.write(`GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await once(socket, 'data');
  const ended = new Promise<NodeJS.ErrnoException>((resolve) => socket.on('error', resolve));
  socket.resume();
  socket.write(`GET ${path}/events/1-40 HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  expect((await ended).code).toBe('ECONNRESET');
});

test('a client that takes nothing is cut off, and gives back what it held; one that goes slowly is not', async () => {
  const path = await service.declare('large', { generator: 'minbias', events: 12_000, chunkEvents: 1000 });
  expect((await send(service.url, `${path}/events/1-12000`)).status).toBe(200);
  const before = await resets('stalled');
  const stuck = await open();
  stuck.pause();
  stuck.write(`GET ${path}/events/1-12000 HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await expect.poll(() => resets('stalled')).toBe(before + 1);
  await expect.poll(() => gauge('evoke_window_bytes')).toBe(0);
  stuck.destroy();

  const slow = await open();
  let received = 0;
  let ended = false;
  slow.on('data', (part: Buffer) => {
    received += part.length;
    ended ||= part.subarray(-5).toString() === '0\r\n\r\n';
    slow.pause();
    setTimeout(() => slow.resume(), 20);
  });
  // By the format and the columns another representation, whose length is not known yet.
  slow.write(`GET ${path}/events/1-12000?columns=GenPart_pt,GenPart_eta HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await expect.poll(() => ended, { interval: 50 }).toBe(true);
  expect(received).toBeGreaterThan(3_000_000);
  slow.destroy();
}, 40_000);

test('a client that leaves releases all it held, and its unstarted work is taken back', async () => {
  const path = await service.declare('left', {
    generator: 'slow',
    parameters: { batchMs: 200 },
    events: 80,
    chunkEvents: 4,
  });
  const leaving = new AbortController();
  const response = await fetch(`${service.url}${path}/events/1-80`, { signal: leaving.signal });
  await response.body?.getReader().read();
  leaving.abort();
  await expect.poll(() => gauge('evoke_flights')).toBe(0);
  expect(await gauge('evoke_window_bytes')).toBe(0);
  await expect.poll(() => gauge('evoke_http_requests_in_flight')).toBe(1);
  const states = (await service.call(`${path}/materialization`)).json().items as { state: string }[];
  expect(states.some(({ state }) => state === 'queued')).toBe(false);
});

test('pipelined requests are answered in order', async () => {
  const path = await service.declare('pipelined', { generator: 'quick', events: 8, chunkEvents: 4 });
  const socket = await open();
  let text = '';
  socket.on('data', (part: Buffer) => {
    text += part.toString();
  });
  const get = (target: string, last = false) =>
    `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${last ? 'Connection: close\r\n' : ''}\r\n`;
  socket.write(get(`${path}/events/1-8`) + get('/healthz') + get(`${path}/events/3-4`, true));
  await once(socket, 'close');
  const order = ['"event":8', '"alive"', '"event":3'].map((part) => text.lastIndexOf(part));
  expect(order.every((at) => at >= 0)).toBe(true);
  expect([...order].sort((a, b) => a - b)).toEqual(order);
});

test('a stopping api finishes what it began, says so, and resets what takes too long', async () => {
  const api = await service.anotherApi();
  const path = await service.declare('drained', {
    generator: 'slow',
    parameters: { batchMs: 150 },
    events: 400,
    chunkEvents: 4,
  });
  const short = await fetch(`${api.url}${path}/events/1-8`);
  const long = await fetch(`${api.url}${path}/events/9-400`);
  const stopped = api.stop(1500);
  expect(lines(await short.text())).toHaveLength(8);
  await expect(long.text()).rejects.toThrow();
  await stopped;
  await expect(fetch(`${api.url}/healthz`)).rejects.toThrow();
});

test('an answer given while stopping ends its connection', async () => {
  const api = await service.anotherApi();
  const path = await service.declare('closing', {
    generator: 'slow',
    parameters: { batchMs: 300 },
    events: 4,
    chunkEvents: 4,
  });
  const asked = send(api.url, `${path}/events/1-4`);
  await expect.poll(async () => (await fetch(`${api.url}/metrics`)).text()).toContain('evoke_flights 1');
  const stopped = api.stop(5000);
  const reply = await asked;
  expect(reply.status).toBe(200);
  expect(reply.headers.connection).toBe('close');
  await stopped;
});

async function open(): Promise<Socket> {
  const { port, hostname } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  return socket;
}

async function metric(pattern: RegExp): Promise<number> {
  const text = (await send(service.url, '/metrics')).text();
  return Number(pattern.exec(text)?.[1] ?? 0);
}

function gauge(name: string): Promise<number> {
  return metric(new RegExp(`^${name} (\\d+)$`, 'm'));
}

function resets(reason: string): Promise<number> {
  return metric(new RegExp(`^evoke_http_resets_total\\{reason="${reason}"\\} (\\d+)$`, 'm'));
}
