// Asynchronous requests over fakes: what they wait out, what ends them, and who goes on with one whose process is gone.
import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import type { EventsRequest, EventsRequestEnd } from '../../core/events-request.ts';
import type { BoardKind } from '../../queue/board.ts';
import { AsyncRequests, type RequestStanding } from '../../scheduler/requests.ts';
import { keepingLog } from '../fixtures/line.ts';
import { settle } from './manual-time.ts';
import { aBench, type Bench } from './shelf.ts';

const minuteMs = 60_000;
const id = '00000000-0000-0000-0000-000000000001';

/** What processes share: the records and the board. */
class Shared {
  readonly accepted = new Map<string, EventsRequest>();
  readonly ends = new Map<string, EventsRequestEnd>();
  readonly words = new Map<string, unknown>();
  boardAway = false;
  storeAway = false;
  /** How often it was asked for an end; and what it waits for before it answers. */
  asked = 0;
  answering: Promise<void> = Promise.resolve();

  retired = false;
  readonly records = {
    accept: async (request: EventsRequest) => {
      this.#refuse(this.storeAway, 'STORE_UNAVAILABLE');
      this.accepted.set(request.id, request);
    },
    find: async (which: string) => {
      this.#refuse(this.storeAway, 'STORE_UNAVAILABLE');
      const request = this.accepted.get(which);
      return request && { request, end: this.ends.get(which) };
    },
    end: async (which: string, end: EventsRequestEnd) => {
      this.#refuse(this.storeAway, 'STORE_UNAVAILABLE');
      if (this.ends.has(which)) return false;
      this.ends.set(which, end);
      return true;
    },
    endOf: async (which: string) => {
      this.asked++;
      await this.answering;
      return this.ends.get(which);
    },
  };

  readonly board = {
    publish: async (kind: BoardKind, which: string, value: object) => {
      this.#refuse(this.boardAway, 'QUEUE_UNAVAILABLE');
      this.words.set(`${kind} ${which}`, JSON.parse(JSON.stringify(value)));
    },
    read: async (kind: BoardKind, which: string) => {
      this.#refuse(this.boardAway, 'QUEUE_UNAVAILABLE');
      return this.words.get(`${kind} ${which}`);
    },
  };

  #refuse(away: boolean, code: 'STORE_UNAVAILABLE' | 'QUEUE_UNAVAILABLE'): void {
    if (away) throw new EvokeError(code);
  }
}

function aProcess(
  bench: Bench,
  shared: Shared,
  options: { requestsMax?: number; clientRequestsMax?: number; log?: ReturnType<typeof keepingLog> } = {},
) {
  const { shelf: chunks, flights, time, dataset } = bench;
  return new AsyncRequests({
    ...shared,
    chunks,
    flights,
    time,
    catalog: { get: async () => dataset, isRetired: async () => shared.retired },
    threads: async () => 2,
    waitMs: 10 * minuteMs,
    requestsMax: 10,
    clientRequestsMax: 10,
    log: keepingLog(),
    ...options,
  });
}

function order(bench: Bench, which = id, client = 'somebody') {
  const { dataset, time } = bench;
  const request: EventsRequest = {
    id: which,
    dataset: 'test:d1',
    range: { first: 0, end: dataset.events },
    chunks: Math.ceil(dataset.events / dataset.chunkEvents),
    result: '/somewhere',
    acceptedAt: new Date(time.now()).toISOString(),
  };
  return { request, dataset, client, absent: request.chunks };
}

async function accepted(requests: AsyncRequests, bench: Bench, which = id) {
  const run = requests.begin(order(bench, which));
  await requests.keep(run);
  await settle();
  return run;
}

const standing = async (requests: AsyncRequests, which = id) =>
  ((await requests.find(which)) as RequestStanding).standing;

test('a mistake of ours ends a request without its words, which only the log hears', async () => {
  const bench = aBench(9);
  const shared = new Shared();
  const log = keepingLog();
  bench.shelf.head = () => Promise.reject(new TypeError('secret of the house'));
  const requests = aProcess(bench, shared, { log });
  await accepted(requests, bench);
  // It is tried more than once.
  await bench.time.pass(10_000);
  expect(shared.ends.get(id)).toMatchObject({ state: 'failed', failure: { code: 'INTERNAL' } });
  expect(JSON.stringify([...shared.ends, ...shared.words])).not.toContain('secret');
  expect(JSON.stringify(log.lines)).toContain('secret of the house');
});

test('a store that is silent is asked once whether a request was cancelled, and its answer counts when it comes', async () => {
  const bench = aBench(9);
  const shared = new Shared();
  const requests = aProcess(bench, shared);
  const run = await accepted(requests, bench);
  const gate = Promise.withResolvers<void>();
  shared.answering = gate.promise;
  await bench.time.pass(4_000);
  const { asked } = shared;
  await bench.time.pass(60_000);
  expect(shared.asked).toBe(asked);
  const none = { done: 0, skipped: 0, failed: 0, cpuMicros: 0 };
  shared.ends.set(id, { state: 'cancelled', ...none, endedAt: new Date(bench.time.now()).toISOString() });
  gate.resolve();
  expect(await run.ended).toMatchObject({ state: 'cancelled' });
  await requests.close();
});

test('a request orders a window of chunks at a time, for somebody who waits, and ends when all are there', async () => {
  const bench = aBench(9);
  const shared = new Shared();
  const requests = aProcess(bench, shared);
  await accepted(requests, bench);
  expect(bench.queue.added).toHaveLength(4);
  expect(new Set(bench.queue.urgencies)).toEqual(new Set(['interactive']));
  expect(bench.queue.added[0]).toMatchObject({ requestId: id, dataset: 'test:d1' });
  expect(await standing(requests)).toMatchObject({ state: 'running', done: 0 });
  for (let i = 0; i < 9; i++) {
    bench.makeNext();
    await bench.time.pass(1_000);
  }
  expect(await standing(requests)).toMatchObject({ state: 'completed', done: 9 });
  expect(shared.ends.get(id)).toMatchObject({ state: 'completed', done: 9, cpuMicros: 9e6 });
  expect(requests.stats).toMatchObject({ accepted: 1, completed: 1 });
  expect(requests.size).toBe(0);
});

test('the time left is said from how quickly chunks come, and nothing before there is anything to go by', async () => {
  const bench = aBench(20);
  const shared = new Shared();
  const requests = aProcess(bench, shared);
  await accepted(requests, bench);
  await bench.time.pass(5_000);
  expect(await standing(requests)).not.toHaveProperty('estimatedSecondsLeft');
  for (let i = 0; i < 10; i++) {
    await bench.time.pass(2_000);
    bench.makeNext();
    await settle();
  }
  const { estimatedSecondsLeft = 0 } = (await standing(requests)) as { estimatedSecondsLeft?: number };
  expect(estimatedSecondsLeft).toBeGreaterThan(15);
  expect(estimatedSecondsLeft).toBeLessThan(30);
  expect(shared.words.get(`request ${id}`)).toMatchObject({ state: 'running', done: expect.any(Number) });
});

test('a queue that is away is waited for, as long as WAIT_SECONDS, and then the request failed', async () => {
  for (const awayMs of [9 * minuteMs, 11 * minuteMs]) {
    const bench = aBench(3);
    const requests = aProcess(bench, new Shared());
    bench.queue.away = true;
    await accepted(requests, bench);
    await bench.time.pass(awayMs);
    bench.queue.away = false;
    bench.makeAll();
    await bench.time.pass(10_000);
    const { state, failure } = (await standing(requests)) as EventsRequestEnd;
    expect(state).toBe(awayMs < 10 * minuteMs ? 'completed' : 'failed');
    expect(failure?.code).toBe(awayMs < 10 * minuteMs ? undefined : 'QUEUE_UNAVAILABLE');
    expect(requests.size).toBe(0);
  }
});

test('a request over a dataset that is found wrong meanwhile fails, and what no worker has begun is taken back', async () => {
  const bench = aBench(9);
  const shared = new Shared();
  const requests = aProcess(bench, shared);
  await accepted(requests, bench);
  await bench.time.pass(1_000);
  bench.makeNext();
  await bench.time.pass(1_000);
  shared.retired = true;
  await bench.time.pass(3_000);
  expect(shared.ends.get(id)).toMatchObject({ state: 'failed', done: 1, failure: { code: 'RETIRED' } });
  expect([...bench.queue.jobs.values()].filter(({ fate }) => fate.state === 'queued')).toEqual([]);
  expect(requests.size).toBe(0);
});

test('a store that keeps nothing is waited for likewise, with one chunk tried now and then', async () => {
  for (const awayMs of [9 * minuteMs, 12 * minuteMs]) {
    const bench = aBench(8);
    const requests = aProcess(bench, new Shared());
    let full = true;
    bench.makeAll(() => (full ? { code: 'STORE_UNAVAILABLE', detail: 'No space.' } : undefined));
    await accepted(requests, bench);
    await bench.time.pass(awayMs);
    expect(bench.queue.added.length).toBeLessThan(30);
    full = false;
    await bench.time.pass(2 * minuteMs);
    const { state, failure } = (await standing(requests)) as EventsRequestEnd;
    expect(state).toBe(awayMs < 10 * minuteMs ? 'completed' : 'failed');
    expect(failure?.code).toBe(awayMs < 10 * minuteMs ? undefined : 'STORE_UNAVAILABLE');
  }
});

test('one chunk that cannot be read is trouble, however often those behind it are met again', async () => {
  const bench = aBench(6);
  const { shelf, key } = bench;
  const requests = aProcess(bench, new Shared());
  for (let index = 0; index < 6; index++) shelf.put(key(index), { requestId: 'another' });
  const trailer = shelf.trailer.bind(shelf);
  shelf.trailer = async (chunk) => {
    if (chunk.range.first > 0) return trailer(chunk);
    await new Promise((resolve) => setImmediate(resolve));
    throw new EvokeError('STORE_UNAVAILABLE', { detail: 'The device failed.' });
  };
  await accepted(requests, bench);
  await bench.time.pass(9 * minuteMs);
  expect((await standing(requests)).state).toBe('running');
  await bench.time.pass(2 * minuteMs);
  expect(await standing(requests)).toMatchObject({ state: 'failed', failure: { code: 'STORE_UNAVAILABLE' } });
});

test('the first chunk that cannot be made fails the request at once, and what is not begun is taken back', async () => {
  const bench = aBench(20);
  const shared = new Shared();
  const requests = aProcess(bench, shared);
  await accepted(requests, bench);
  const [first, second] = bench.queue.added.map(({ key }) => key);
  bench.queue.begin(second ?? '');
  bench.queue.fail(first ?? '', { detail: 'Event 3.', event: 3 });
  await settle();
  expect(await standing(requests)).toMatchObject({
    state: 'failed',
    failed: 1,
    failure: { code: 'GENERATION_FAILED', details: { event: 3 } },
  });
  await bench.time.pass(100);
  expect([...bench.queue.jobs.values()].filter(({ fate }) => fate.state === 'queued')).toEqual([]);
  // What a worker has begun is waited for before the place is free.
  expect(requests.size).toBe(1);
  bench.queue.finish(second ?? '');
  bench.shelf.put(second ?? '', { requestId: id });
  await bench.time.pass(3_000);
  expect(requests.size).toBe(0);
});

test('last words that are very long are written down in part', async () => {
  const bench = aBench(1);
  const shared = new Shared();
  const requests = aProcess(bench, shared);
  bench.makeAll(() => ({ detail: 'x'.repeat(100_000) }));
  await accepted(requests, bench);
  await bench.time.pass(100);
  expect(JSON.stringify(shared.ends.get(id)).length).toBeLessThan(10_000);
  expect(shared.ends.get(id)?.failure?.code).toBe('GENERATION_FAILED');
});

test('a process that is asked about a request whose runner fell silent goes on with it; nobody else does', async () => {
  const bench = aBench(6);
  const shared = new Shared();
  const [first, second, third] = [aProcess(bench, shared), aProcess(bench, shared), aProcess(bench, shared)];
  const run = await accepted(first, bench);
  await bench.time.pass(60_000);
  await standing(second);
  await settle();
  expect(second.stats.takenUp).toBe(0);
  // As if it were killed: its word grows old.
  run.leave();
  await settle();
  await bench.time.pass(9_000);
  await standing(second);
  await settle();
  expect(second.stats.takenUp).toBe(0);
  await bench.time.pass(2_000);
  expect(await standing(second)).toMatchObject({ state: 'running' });
  await settle();
  expect(second.stats.takenUp).toBe(1);
  await standing(third);
  await settle();
  expect(third.stats.takenUp).toBe(0);
  bench.makeAll();
  await bench.time.pass(5_000);
  expect(await standing(third)).toMatchObject({ state: 'completed', done: 6 });
  expect(second.stats.completed).toBe(1);
});

test('a process that stops hands over at once', async () => {
  const bench = aBench(6);
  const shared = new Shared();
  const [first, second] = [aProcess(bench, shared), aProcess(bench, shared)];
  await accepted(first, bench);
  await first.close();
  expect(first.stats.left).toBe(1);
  expect(() => first.begin(order(bench))).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
  await standing(second);
  await settle();
  expect(second.stats.takenUp).toBe(1);
});

test('with the board lost a request is taken up once at most, and the first end counts', async () => {
  const bench = aBench(6);
  const shared = new Shared();
  const [first, second] = [aProcess(bench, shared), aProcess(bench, shared)];
  await accepted(first, bench);
  await bench.time.pass(30_000);
  shared.words.clear();
  await standing(second);
  await settle();
  expect(second.stats.takenUp).toBe(1);
  bench.makeAll();
  await bench.time.pass(10_000);
  expect(shared.ends.get(id)).toMatchObject({ state: 'completed', done: 6 });
  expect([first.size, second.size]).toEqual([0, 0]);
  expect(bench.queue.added).toHaveLength(6);
});

test('while the board cannot be read, nobody takes anything up, and what runs goes on', async () => {
  const bench = aBench(6);
  const shared = new Shared();
  const [first, second] = [aProcess(bench, shared), aProcess(bench, shared)];
  await accepted(first, bench);
  shared.boardAway = true;
  await bench.time.pass(60_000);
  expect(await standing(second)).toMatchObject({ state: 'pending' });
  await settle();
  expect(second.stats.takenUp).toBe(0);
  bench.makeAll();
  await bench.time.pass(5_000);
  expect(await standing(second)).toMatchObject({ state: 'completed' });
});

test('one that is cancelled at another process ends where it runs, within seconds', async () => {
  const bench = aBench(6);
  const shared = new Shared();
  const [first, second] = [aProcess(bench, shared), aProcess(bench, shared)];
  await accepted(first, bench);
  expect(await second.cancel(id)).toBe(true);
  const cancelled = await standing(second);
  expect(cancelled.state).toBe('cancelled');
  await bench.time.pass(4_000);
  expect(first.size).toBe(0);
  expect(await standing(first)).toEqual(cancelled);
  expect(first.stats.cancelled).toBe(1);
  expect(await second.cancel(id)).toBe(true);
  expect(await second.cancel('nobody')).toBe(false);
});

test('an end that could not be written is come to again by whoever is asked', async () => {
  const bench = aBench(2);
  const shared = new Shared();
  const [first, second] = [aProcess(bench, shared), aProcess(bench, shared)];
  await accepted(first, bench);
  shared.storeAway = true;
  bench.makeAll();
  await bench.time.pass(3_000);
  expect(first.size).toBe(0);
  shared.storeAway = false;
  expect(shared.ends.size).toBe(0);
  await bench.time.pass(11_000);
  await standing(second);
  await bench.time.pass(3_000);
  expect(await standing(second)).toMatchObject({ state: 'completed', done: 2 });
});

test('what cannot be written down is not accepted, and nothing of it stays', async () => {
  const bench = aBench(6);
  const shared = new Shared();
  const requests = aProcess(bench, shared);
  shared.storeAway = true;
  const run = requests.begin(order(bench));
  await expect(requests.keep(run)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await settle();
  expect(requests.size).toBe(0);
  expect(bench.flights.size).toBe(0);
  expect(requests.stats).toMatchObject({ accepted: 0, cancelled: 0 });
});

test('those that nobody may look up yet are found by nobody, and count towards the bounds', async () => {
  const bench = aBench(6);
  const requests = aProcess(bench, new Shared(), { requestsMax: 3, clientRequestsMax: 2 });
  const run = requests.begin(order(bench));
  expect(await requests.find(id)).toBeUndefined();
  requests.begin(order(bench, 'b'));
  expect(() => requests.begin(order(bench, 'c'))).toThrow(expect.objectContaining({ code: 'TOO_MANY_REQUESTS' }));
  requests.begin(order(bench, 'd', 'another'));
  expect(() => requests.begin(order(bench, 'e', 'another'))).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
  // Who has too many is told so, also where nobody could have more.
  expect(() => requests.begin(order(bench, 'f'))).toThrow(expect.objectContaining({ code: 'TOO_MANY_REQUESTS' }));
  requests.discard(run);
  await settle();
  requests.begin(order(bench, 'e', 'another'));
});

test('the window of orders is shared by all requests of a process', async () => {
  const bench = aBench(40);
  const requests = aProcess(bench, new Shared());
  for (let n = 1; n <= 4; n++) await accepted(requests, bench, `request-${n}`);
  await bench.time.pass(5_000);
  for (let i = 0; i < 20; i++) {
    bench.makeNext();
    await settle();
  }
  expect([...bench.queue.jobs.values()].filter(({ fate }) => fate.state === 'queued').length).toBeLessThanOrEqual(4);
});

test('a request of which nothing comes for a day is given up', async () => {
  const bench = aBench(2);
  const requests = aProcess(bench, new Shared());
  const run = await accepted(requests, bench);
  // As if a day had passed between two beats.
  await bench.time.pass(1_000);
  const { time } = bench;
  const now = time.now.bind(time);
  time.now = () => now() + 24 * 3_600_000;
  run.check();
  expect(await run.ended).toMatchObject({ state: 'failed', failure: { code: 'OVERLOADED' } });
});
