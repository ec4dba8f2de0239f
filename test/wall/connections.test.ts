// Clients that are slow, silent, too many or gone: each is bounded, each is told what can still be told, and nothing of them
// stays behind.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { send, TestService } from '../api/harness.ts';
import { eventually } from '../eventually.ts';
import { answersIn, checkAnswer, open, shown, speak } from './wire.ts';

const connectionsMax = 40;

let service: TestService;
let path: string;
beforeAll(async () => {
  service = await TestService.start({
    env: {
      EVOKE_REQUEST_SECONDS: '2',
      EVOKE_IDLE_SECONDS: '1',
      EVOKE_STALL_SECONDS: '1',
      EVOKE_CONNECTIONS: String(connectionsMax),
      EVOKE_CLIENT_REQUESTS: '8',
    },
  });
  path = await service.declare('large', { generator: 'minbias', events: 6000, chunkEvents: 1000 });
  expect((await send(service.url, `${path}/events/1-6000?columns=event`)).status).toBe(200);
});
afterAll(() => service.stop());

async function gauge(name: string, url = service.url): Promise<number> {
  const text = (await send(url, '/metrics')).text();
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
}

/** The looking itself is one connection and one request. */
async function nothingIsLeft(url = service.url): Promise<void> {
  await eventually(async () => {
    expect(await gauge('evoke_connections', url)).toBe(1);
    expect(await gauge('evoke_http_requests_in_flight', url)).toBe(1);
    expect(await gauge('evoke_window_bytes', url)).toBe(0);
  });
}

/** What came over a connection until the service ended it. */
async function untilItsEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (part) => {
    text += part.toString('latin1');
  });
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return text;
}

/** Writes a byte every now and then for as long as it can. */
function trickle(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => {
    socket.write(text.slice(at, at + 1));
    if (++at === text.length) clearInterval(timer);
  }, 20);
  socket.once('close', () => clearInterval(timer));
}

test.concurrent.each([
  ['a request line that comes byte by byte', `GET /${'x'.repeat(5000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, ''],
  ['headers that come byte by byte', `X: ${'x'.repeat(5000)}\r\n\r\n`, 'GET / HTTP/1.1\r\nHost: localhost\r\n'],
  ['a body that comes byte by byte', '{'.repeat(2000), put('Content-Length: 2000')],
  ['a body that comes in chunks of a byte', '1\r\n{\r\n'.repeat(1000), put('Transfer-Encoding: chunked')],
  ['nothing at all', '', ''],
  ['half a line', 'GET /', ''],
  ['headers without their end', '', 'GET / HTTP/1.1\r\nHost: localhost\r\n'],
  ['a body that never begins', '', put('Content-Length: 2000')],
])('%s: answered 408, and cut off', async (_, slowly, atOnce) => {
  const socket = open(service.url);
  if (atOnce !== '') socket.write(atOnce);
  if (slowly !== '') trickle(socket, slowly);
  const text = await untilItsEnd(socket);
  const [answer] = answersIn(text, false, true).answers;
  expect(answer, shown(text)).toMatchObject({ status: 408 });
  if (answer !== undefined) checkAnswer(answer, 'slow');
  expect(answer?.body).toContain('"REQUEST_TIMEOUT"');
});

function put(header: string): string {
  return `PUT /v1/datasets/test/slow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${header}\r\n\r\n`;
}

test.concurrent('a connection that is kept open and not used is let go', async () => {
  const socket = open(service.url);
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const text = await untilItsEnd(socket);
  expect(answersIn(text, false, true).answers.map(({ status }) => status)).toEqual([200]);
});

test('connections over the bound are told so, those far over it are closed; all is well when they are gone', async () => {
  // One that is patient: whoever holds a connection must not have to hurry.
  const patient = await TestService.start({ env: { EVOKE_CONNECTIONS: String(connectionsMax) } });
  onTestFinished(() => patient.stop());
  const { url } = patient;
  await nothingIsLeft(url);
  // Each waits for the rest of a request: they are under way.
  const held = await Promise.all(Array.from({ length: connectionsMax }, () => holding(url)));
  const over = await speak(url, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  expect(over.answers[0]).toMatchObject({ status: 503 });
  expect(over.answers[0]?.body).toContain('"OVERLOADED"');
  for (const answer of over.answers) checkAnswer(answer, 'one too many');
  // Far over the bound nobody is listened to, and nothing grows.
  const many = await Promise.all(
    Array.from({ length: 200 }, () => speak(url, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')),
  );
  expect(many.every(({ end }) => end !== 'silent')).toBe(true);
  expect(many.flatMap(({ answers }) => answers).every(({ status }) => status === 503)).toBe(true);
  for (const socket of held) socket.destroy();
  await nothingIsLeft(url);
  expect((await send(url, '/healthz')).status).toBe(200);
});

/** Connected, and seen by the service. */
async function holding(url: string): Promise<Socket> {
  const socket = open(url);
  socket.on('error', () => undefined);
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/datasets/test/large/events/');
  await once(socket, 'data');
  return socket;
}

test('pipelined requests are answered in order, however many come at once', async () => {
  const count = 90;
  const request = (target: string) => `GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const targets = Array.from({ length: count }, (_, i) =>
    i % 3 === 0 ? '/readyz' : i % 3 === 1 ? '/healthz' : `/n${i}`,
  );
  const { answers, end } = await speak(service.url, targets.map(request).join(''), { answers: count });
  expect(end).toBe('answered');
  answers.forEach((answer, i) => {
    const target = targets[i] as string;
    checkAnswer(answer, `GET ${target}`);
    expect(answer.status).toBe(target.startsWith('/n') ? 404 : 200);
    expect(answer.body).toContain(target === '/readyz' ? 'missing' : target === '/healthz' ? 'alive' : 'NOT_FOUND');
  });
});

test('a connection has so many requests worked on at a time, and is told of the next', async () => {
  const request = 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const { answers, end } = await speak(service.url, request.repeat(1000), { answers: 1000 });
  expect(end).not.toBe('silent');
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(64);
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  for (const answer of answers) checkAnswer(answer, 'GET /readyz');
});

test('a client has its quota also when it sends all its requests down one connection', async () => {
  const count = 60;
  const request = `GET ${path}/events/1-6000?columns=event HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const { answers } = await speak(service.url, request.repeat(count), { answers: count });
  expect(answers.length).toBe(count);
  const statuses = new Set(answers.map(({ status }) => status));
  expect([...statuses].filter((status) => status !== 200 && status !== 429)).toEqual([]);
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
});

test.each(['HTTP/1.1', 'HTTP/1.0'])(
  'a client that half-closes in the middle of an answer is reset, and never sees a whole one: %s',
  async (version) => {
    const socket = open(service.url);
    const ended = new Promise<string>((resolve) => {
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      socket.on('close', () => resolve('closed'));
    });
    socket.write(`GET ${path}/events/1-6000 ${version}\r\nHost: localhost\r\n\r\n`);
    await once(socket, 'data');
    socket.pause();
    socket.end();
    await eventually(async () => expect(await gauge('evoke_http_requests_in_flight')).toBe(1));
    socket.resume();
    expect(await ended).toBe('ECONNRESET');
    await nothingIsLeft();
  },
);

test('a client that half-closes before its answer is begun is reset; one whose answer is there gets it', async () => {
  const now = await speak(service.url, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n', { halfClose: true });
  expect(now.answers.map(({ status }) => status)).toEqual([200]);
  const later = await speak(service.url, `GET ${path}/events/1-10?columns=pdgIdd HTTP/1.1\r\n`, { halfClose: true });
  expect(later.end).not.toBe('silent');
  await nothingIsLeft();
});

test('a storm of clients that go away leaves nothing behind', async () => {
  const targets = [`${path}/events/1-6000`, '/readyz', '/metrics', '/v1/datasets', `${path}/plan/1-6000`, '/nothing'];
  for (let wave = 0; wave < 6; wave++) {
    const sockets = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const socket = open(service.url);
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        socket.write(`GET ${targets[i % targets.length]} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
        return socket;
      }),
    );
    // Some before, some while they are answered.
    if (wave % 2 === 0) await send(service.url, '/healthz').catch(() => undefined);
    for (const [i, socket] of sockets.entries()) {
      if (i % 3 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
  await nothingIsLeft();
  expect(service.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
});
