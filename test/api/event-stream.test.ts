// Progress streams: their timing with a clock of the test's own, and over real connections what becomes of them.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Answer } from '../../api/answer.ts';
import { EventStreams, type Shown } from '../../api/event-stream.ts';
import { EventParser, type ServerEvent, serverEvents } from '../../client/event-source.ts';
import type { BatchProgress } from '../../core/batch.ts';
import { systemClock } from '../../core/clock.ts';
import { emptyTally } from '../../core/work-state.ts';
import { Board } from '../../queue/board.ts';
import { Batches } from '../../store/batches.ts';
import { FsStore } from '../../store/fs-store.ts';
import { ManualTime } from '../scheduler/manual-time.ts';
import { send, TestService } from './harness.ts';

/** A thing to watch, and streams on it that a test reads piece by piece. */
class Watched {
  readonly time = new ManualTime();
  readonly streams: EventStreams;
  state: Shown | undefined = { value: { step: 0 }, isFinal: false };
  looks = 0;
  away = false;

  constructor(streamsMax = 10) {
    this.streams = new EventStreams({ streamsMax, time: this.time });
  }

  step(step: number, isFinal = false): void {
    this.state = { value: { step }, isFinal };
  }

  answer({
    lastEventId,
    signal,
    method = 'GET',
  }: {
    lastEventId?: string;
    signal?: AbortSignal;
    method?: string;
  } = {}): Answer {
    const input = {
      method,
      header: (name: string) => (name === 'last-event-id' ? lastEventId : undefined),
      signal: signal ?? new AbortController().signal,
    };
    return this.streams.answer(input, 'it', this.state as Shown, async () => {
      this.looks++;
      if (this.away) throw new Error('the store is away');
      return this.state;
    });
  }

  /** The stream's pieces; the opening is taken. */
  async open(options: { lastEventId?: string; signal?: AbortSignal } = {}): Promise<AsyncIterator<Buffer>> {
    const { body } = this.answer(options);
    if (body?.kind !== 'stream') throw new Error('no stream');
    const pieces = body.pieces[Symbol.asyncIterator]();
    expect(String((await pieces.next()).value)).toBe('retry: 2000\n\n');
    return pieces;
  }
}

/** What the next piece tells: an event's data, 'heartbeat', or 'end'. */
async function told(pieces: AsyncIterator<Buffer>): Promise<unknown> {
  const { value, done } = await pieces.next();
  if (done) return 'end';
  const text = String(value);
  if (text === ':\n\n') return 'heartbeat';
  const [event] = new EventParser().push(text);
  expect(event?.type).toBe('progress');
  return JSON.parse(event?.data ?? '');
}

test('a stream tells the state, each change of it, and ends after the final one', async () => {
  const watched = new Watched();
  const pieces = await watched.open();
  expect(await told(pieces)).toEqual({ step: 0 });
  const next = told(pieces);
  await watched.time.pass(600);
  watched.step(1);
  await watched.time.pass(600);
  expect(await next).toEqual({ step: 1 });
  watched.step(2, true);
  const last = told(pieces);
  await watched.time.pass(600);
  expect(await last).toEqual({ step: 2 });
  expect(await told(pieces)).toBe('end');
  expect(watched.streams.size).toBe(0);
});

test('many streams on one thing look at it once, about twice a second, and nobody looks when none is left', async () => {
  const watched = new Watched();
  const gone = new AbortController();
  const all = await Promise.all(Array.from({ length: 8 }, () => watched.open({ signal: gone.signal })));
  for (const pieces of all) expect(await told(pieces)).toEqual({ step: 0 });
  const next = all.map(told);
  for (let i = 0; i < 10; i++) await watched.time.pass(500);
  expect(watched.looks).toBe(10);
  watched.step(1);
  await watched.time.pass(500);
  expect(await Promise.all(next)).toEqual(Array(8).fill({ step: 1 }));
  const ends = all.map(told);
  gone.abort();
  expect(await Promise.all(ends)).toEqual(Array(8).fill('end'));
  const { looks } = watched;
  await watched.time.pass(60_000);
  expect(watched.looks).toBe(looks);
  expect(watched.streams.size).toBe(0);
});

test('while nothing changes a heartbeat comes every 15 s', async () => {
  const watched = new Watched();
  const pieces = await watched.open();
  await told(pieces);
  for (let i = 0; i < 2; i++) {
    let heard: unknown;
    const next = told(pieces).then((what) => {
      heard = what;
    });
    await watched.time.pass(14_900);
    expect(heard).toBeUndefined();
    await watched.time.pass(200);
    await next;
    expect(heard).toBe('heartbeat');
  }
});

test('a reader who is slow is told the latest state and none of those in between', async () => {
  const watched = new Watched();
  const pieces = await watched.open();
  await told(pieces);
  for (let step = 1; step <= 20; step++) {
    watched.step(step);
    await watched.time.pass(600);
  }
  expect(await told(pieces)).toEqual({ step: 20 });
});

test('a look that fails is made again, and a thing that is gone ends its streams', async () => {
  const watched = new Watched();
  const pieces = await watched.open();
  await told(pieces);
  watched.away = true;
  const next = told(pieces);
  await watched.time.pass(5_000);
  watched.away = false;
  watched.step(1);
  await watched.time.pass(600);
  expect(await next).toEqual({ step: 1 });
  watched.state = undefined;
  const end = told(pieces);
  await watched.time.pass(600);
  expect(await end).toBe('end');
});

test('what changed here is told at once', async () => {
  const watched = new Watched();
  const pieces = await watched.open();
  await told(pieces);
  watched.step(1);
  const next = told(pieces);
  watched.streams.changed('it');
  expect(await next).toEqual({ step: 1 });
  watched.streams.changed('something else');
});

test('a client that comes back is not told again what it has seen, and after the end it is told not to', async () => {
  const watched = new Watched();
  const first = await watched.open();
  const [event] = new EventParser().push(String((await first.next()).value));
  const again = await watched.open({ lastEventId: event?.id ?? '' });
  const next = told(again);
  watched.step(1, true);
  await watched.time.pass(600);
  expect(await next).toEqual({ step: 1 });
  const last = await watched.open();
  const [final] = new EventParser().push(String((await last.next()).value));
  expect(watched.answer({ lastEventId: final?.id ?? '' }).status).toBe(204);
  expect(watched.answer({ lastEventId: event?.id ?? '' }).status).toBe(200);
});

test('a stream that begins with what was true a moment ago does not bring back what has ended', async () => {
  const watched = new Watched();
  const early = await watched.open();
  await told(early);
  const late = watched.answer();
  watched.step(1, true);
  watched.streams.changed('it');
  expect(await told(early)).toEqual({ step: 1 });
  if (late.body?.kind !== 'stream') throw new Error('no stream');
  const pieces = late.body.pieces[Symbol.asyncIterator]();
  await pieces.next();
  expect(await told(pieces)).toEqual({ step: 1 });
  expect(await told(pieces)).toBe('end');
  expect(await told(early)).toBe('end');
});

test('over the bound a stream is refused with 503, and a place is free again when one ends', async () => {
  const watched = new Watched(2);
  const gone = new AbortController();
  const one = await watched.open({ signal: gone.signal });
  await watched.open();
  expect(() => watched.answer()).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
  expect(watched.answer({ method: 'HEAD' })).toMatchObject({ status: 200 });
  await told(one);
  gone.abort();
  expect(await told(one)).toBe('end');
  expect(watched.streams.size).toBe(1);
  await watched.open();
  expect(() => watched.answer()).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
});

test('a reader that ends its iteration gives its place back', async () => {
  const watched = new Watched(1);
  const pieces = await watched.open();
  await pieces.return?.();
  expect(watched.streams.size).toBe(0);
});

test('a service that stops ends its streams, and those that are opened then after one event', async () => {
  const watched = new Watched();
  const pieces = await watched.open();
  await told(pieces);
  const end = told(pieces);
  watched.streams.end();
  expect(await end).toBe('end');
  const late = await watched.open();
  expect(await told(late)).toEqual({ step: 0 });
  expect(await told(late)).toBe('end');
});

const field = fc.constantFrom(
  'data: x',
  'data',
  'data:',
  'event: progress',
  'id: 7',
  ': comment',
  'retry: 10',
  '',
  'odd',
);

test('events are read the same however the bytes are cut and whatever ends the lines', () => {
  fc.assert(
    fc.property(fc.array(field), fc.constantFrom('\n', '\r\n', '\r'), fc.array(fc.nat(200)), (lines, end, cuts) => {
      const whole = [...new EventParser().push(lines.map((line) => `${line}\n`).join(''))];
      const text = lines.map((line) => `${line}${end}`).join('');
      const places = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
      const parser = new EventParser();
      const events = places.slice(1).flatMap((to, i) => [...parser.push(text.slice(places[i], to))]);
      // A lone CR at the very end may be the first half of a CRLF.
      const finished = end === '\r' ? [...events, ...parser.push('\n')].slice(0, whole.length) : events;
      expect(finished).toEqual(whole);
    }),
  );
});

let service: TestService;
let batches: Batches;
let board: Board;
beforeAll(async () => {
  service = await TestService.start({ worker: false, env: { EVOKE_STALL_SECONDS: '1', EVOKE_STREAMS: '3' } });
  batches = new Batches(new FsStore(join(service.dataDir, 'store')), systemClock);
  board = new Board({ url: service.redis.url, prefix: 'evoke' });
  await service.declare('set', { generator: 'quick', events: 1000, chunkEvents: 10 });
});
afterAll(async () => {
  board.close();
  await service.stop();
});

async function aBatch(): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ dataset: 'test:set' });
  return (await service.call('/v1/batches', { method: 'POST', headers, body })).json().id;
}

function says(id: string, changes: Partial<BatchProgress>): Promise<void> {
  const word = { ...emptyTally, state: 'running' as const, cursor: 0, at: new Date().toISOString(), ...changes };
  return board.publish('batch', id, word, 60);
}

const data = ({ value }: IteratorResult<ServerEvent>) => JSON.parse(value.data);

test('the stream of a batch tells over a real connection what GET shows, and ends with it', async () => {
  const id = await aBatch();
  const events = serverEvents(`${service.url}/v1/batches/${id}/stream`);
  expect(data(await events.next())).toEqual((await service.call(`/v1/batches/${id}`)).json());
  await says(id, { done: 12, estimatedSecondsLeft: 3.5 });
  expect(data(await events.next())).toMatchObject({ state: 'running', done: 12, estimatedSecondsLeft: 3.5 });
  const headers = { 'content-type': 'application/json' };
  await service.call(`/v1/batches/${id}`, { method: 'PATCH', headers, body: '{"state":"paused"}' });
  expect(data(await events.next())).toMatchObject({ state: 'paused', done: 12 });
  await says(id, { state: 'completed', cursor: 100, done: 100 });
  const last = await events.next();
  expect(data(last)).toMatchObject({ state: 'completed', done: 100 });
  expect(await events.next()).toEqual({ done: true, value: undefined });
  const again = await service.call(`/v1/batches/${id}/stream`, { headers: { 'last-event-id': last.value.id } });
  expect(again.status).toBe(204);
});

test('the headers of a stream are those of the contract, also to HEAD, which opens none', async () => {
  const id = await aBatch();
  await service.call(`/v1/batches/${id}`, { method: 'DELETE' });
  const reply = await service.call(`/v1/batches/${id}/stream`);
  expect(reply.headers).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
  });
  expect(reply.text()).toMatch(/^retry: 2000\n\nid: \S{16}\nevent: progress\ndata: \{.*"state":"cancelled".*\}\n\n$/);
  const open = await aBatch();
  expect((await service.call(`/v1/batches/${open}/stream`, { method: 'HEAD' })).status).toBe(200);
  expect(await gauge('evoke_streams')).toBe(0);
});

test('a quiet stream is not taken for a client that takes nothing, and a client that leaves is noticed at once', async () => {
  const id = await aBatch();
  const socket = await stream(id);
  await once(socket, 'data');
  let ended = false;
  socket.on('close', () => {
    ended = true;
  });
  expect(await gauge('evoke_streams')).toBe(1);
  // Longer than the service waits for a client that takes nothing.
  await new Promise((resolve) => setTimeout(resolve, 2_200));
  expect(ended).toBe(false);
  await says(id, { done: 1 });
  const [text] = await once(socket, 'data');
  expect(String(text)).toContain('"done":1');
  socket.destroy();
  await expect.poll(() => gauge('evoke_streams')).toBe(0);
  expect(await gauge('evoke_http_abandoned_total')).toBe(0);
});

test('open streams are bounded: one more is answered 503 with Retry-After', async () => {
  const id = await aBatch();
  const sockets = await Promise.all([stream(id), stream(id), stream(id)]);
  await Promise.all(sockets.map((socket) => once(socket, 'data')));
  const refused = await service.call(`/v1/batches/${id}/stream`);
  expect(refused.status).toBe(503);
  expect(refused.json().code).toBe('OVERLOADED');
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  for (const socket of sockets) socket.destroy();
  await expect.poll(() => gauge('evoke_streams')).toBe(0);
});

test('a stopping api does not wait for its streams: they end cleanly, and another api goes on where they were', async () => {
  const api = await service.anotherApi();
  const id = await aBatch();
  const events = serverEvents(`${api.url}/v1/batches/${id}/stream`);
  const { value } = await events.next();
  const begun = performance.now();
  const end = events.next();
  await api.stop(20_000);
  expect(performance.now() - begun).toBeLessThan(5_000);
  expect(await end).toEqual({ done: true, value: undefined });
  const on = serverEvents(`${service.url}/v1/batches/${id}/stream`, { lastEventId: value.id });
  await says(id, { done: 5 });
  expect(data(await on.next())).toMatchObject({ done: 5 });
  await on.return(undefined);
});

test('a stream goes on while Redis is away, from what the store says', async () => {
  const id = await aBatch();
  const events = serverEvents(`${service.url}/v1/batches/${id}/stream`);
  await events.next();
  await service.redis.kill();
  try {
    await batches.wish(id, 'cancelled');
    expect(data(await events.next())).toMatchObject({ state: 'cancelled' });
    expect((await events.next()).done).toBe(true);
  } finally {
    await service.redis.restart();
  }
});

async function stream(id: string): Promise<Socket> {
  const { port, hostname } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(`GET /v1/batches/${id}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return socket;
}

async function gauge(name: string): Promise<number> {
  const text = (await send(service.url, '/metrics')).text();
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}
