// A real api process under hostile clients for a while: it answers everybody else all the time, its memory stays where it was,
// and when they are gone nothing of them is left.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { routes } from '../../api/routes.ts';
import { send } from '../api/harness.ts';
import { eventually } from '../eventually.ts';
import { declare, Service } from '../service.ts';
import { bodyOf, goodPath, hostileRequest } from '../wall/hostile.ts';
import { checkAnswer, open, shown, speak } from '../wall/wire.ts';

let service: Service;
beforeAll(async () => {
  const env = {
    EVOKE_WAIT_SECONDS: '30',
    EVOKE_REQUEST_SECONDS: '4',
    EVOKE_IDLE_SECONDS: '2',
    EVOKE_STALL_SECONDS: '2',
    EVOKE_CONNECTIONS: '1200',
    EVOKE_MEMORY_BYTES: '0',
    EVOKE_LOG_LEVEL: 'error',
  };
  service = await Service.start({ env });
  await declare(service.url, 'test:d', { generator: 'minbias', seed: 1, events: 100, chunkEvents: 10 });
  await declare(service.url, 'test:large', { generator: 'minbias', seed: 2, events: 8000, chunkEvents: 1000 });
  const whole = await send(service.url, '/v1/datasets/test/large/events/1-8000?columns=event');
  expect(whole.text().split('\n').length).toBe(8001);
});
afterAll(async () => {
  const output = service.apis[0]?.output();
  await service.stop();
  expect(output).not.toMatch(/uncaught|unhandled|"level":(50|60)/i);
});

function residentBytes(): number {
  const status = readFileSync(`/proc/${service.apis[0]?.process.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

async function gauge(name: string): Promise<number> {
  // Its own connection, and no other.
  const text = (await send(service.url, '/metrics')).text();
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
}

async function nothingIsLeft(): Promise<void> {
  await eventually(async () => {
    expect(await gauge('evoke_connections')).toBe(1);
    expect(await gauge('evoke_http_requests_in_flight')).toBe(1);
    expect(await gauge('evoke_window_bytes')).toBe(0);
    expect(await gauge('evoke_flights')).toBe(0);
  });
}

const bodied = routes.filter((route) => route.body !== undefined);
const withBody = fc.constantFrom(...bodied).chain((route) =>
  bodyOf(route.body as NonNullable<typeof route.body>).map((text) => {
    const body = Buffer.from(text, 'latin1');
    const head = `${route.method} ${goodPath(route)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n`;
    return { head: `${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`, body };
  }),
);

/** So many hostile requests, some at a time. */
async function hostileRequests(count: number, seed: number): Promise<void> {
  const samples = { seed, numRuns: count };
  const plain = fc
    .sample(hostileRequest(routes), samples)
    .map(({ text, method }) => ({ text, head: method === 'HEAD' }));
  const bodies = fc
    .sample(withBody, samples)
    .map(({ head, body }) => ({ text: head + body.toString('latin1'), head: false }));
  const all = [...plain, ...bodies];
  const worker = async () => {
    for (let next = all.pop(); next !== undefined; next = all.pop()) {
      const { answers, end } = await speak(service.url, next.text, { head: next.head });
      const told = `seed ${seed}: ${shown(next.text)}`;
      expect(end, told).not.toBe('silent');
      for (const answer of answers) checkAnswer(answer, told);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

test('thousands of hostile requests leave the memory where it was, and no connection', async () => {
  const seed = Date.now() & 0x7fff_ffff;
  const rounds: number[] = [];
  for (let round = 0; round < 6; round++) {
    await hostileRequests(600, seed + round);
    rounds.push(residentBytes());
  }
  await nothingIsLeft();
  // The first rounds warm up; after them it may breathe, and not climb.
  const [, early = 0, ...later] = rounds;
  const late = Math.min(...later.slice(-2));
  expect(late, `seed ${seed}: ${rounds.map((bytes) => Math.round(bytes / 1e6)).join(' ')} MB`).toBeLessThan(
    early + 96e6,
  );
});

test('a client that pipelines without reading, and without end, is not buffered without end', async () => {
  const before = residentBytes();
  const flood = 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(5000);
  const sockets = Array.from({ length: 4 }, () => {
    const socket = open(service.url);
    socket.on('error', () => undefined).pause();
    for (let i = 0; i < 20; i++) socket.write(flood);
    return socket;
  });
  // Whoever takes nothing is cut off, and all others are served meanwhile.
  const peak = { bytes: 0 };
  const watch = setInterval(() => {
    peak.bytes = Math.max(peak.bytes, residentBytes());
  }, 50);
  await Promise.all(
    sockets.map((socket) => (socket.destroyed ? undefined : Promise.race([once(socket, 'close'), pauseMs(6000)]))),
  );
  expect((await send(service.url, '/healthz')).status).toBe(200);
  clearInterval(watch);
  for (const socket of sockets) socket.destroy();
  await nothingIsLeft();
  expect(peak.bytes - before, `${Math.round(before / 1e6)} → ${Math.round(peak.bytes / 1e6)} MB`).toBeLessThan(256e6);
});

function pauseMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test('a thousand idle connections and as many slow ones cost little, keep nobody out, and are let go', async () => {
  const before = residentBytes();
  const ended: Promise<unknown>[] = [];
  const idle = async (begin: string): Promise<Socket> => {
    const socket = open(service.url);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    if (begin !== '') socket.write(begin);
    ended.push(once(socket.resume(), 'close'));
    return socket;
  };
  const beginnings = [
    '',
    'G',
    'GET / HTTP/1.1\r\nHost: localhost\r\nX: ',
    'POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  ];
  const sockets = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => idle(beginnings[i % beginnings.length] as string)),
  );
  expect((await send(service.url, '/healthz')).status).toBe(200);
  expect(residentBytes() - before).toBeLessThan(192e6);
  // Each is cut off by the service itself.
  await Promise.all(ended);
  for (const socket of sockets) socket.destroy();
  await nothingIsLeft();
});

test('readers that take nothing or a little of large answers give back what they held; others are served', async () => {
  const request = 'GET /v1/datasets/test/large/events/1-8000 HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const stuck = Array.from({ length: 30 }, (_, i) => {
    const socket = open(service.url);
    socket.on('error', () => undefined).pause();
    socket.write(request);
    // Every other one takes a sip now and then, for a while.
    const sip = setInterval(() => void socket.read(1), 300);
    if (i % 2 === 0) clearInterval(sip);
    setTimeout(() => clearInterval(sip), 3000);
    return socket;
  });
  for (let i = 0; i < 5; i++) {
    const reply = await send(service.url, '/v1/datasets/test/large/events/1-1000?columns=event');
    expect(reply.text().split('\n').length).toBe(1001);
  }
  // Cut off, all of them: at the bound, and not because they left.
  await eventually(async () => expect(await gauge('evoke_http_requests_in_flight')).toBe(1), { timeout: 40_000 });
  for (const socket of stuck) socket.destroy();
  await nothingIsLeft();
});

test('storms of clients that come, ask and go leave nothing behind', async () => {
  for (let wave = 0; wave < 20; wave++) {
    const sockets = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const socket = open(service.url);
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        socket.write(
          `GET ${i % 2 === 0 ? '/v1/datasets/test/large/events/1-8000' : '/metrics'} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
        );
        return socket;
      }),
    );
    for (const [i, socket] of sockets.entries()) {
      if (i % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
  await nothingIsLeft();
  expect((await send(service.url, '/healthz')).status).toBe(200);
});
