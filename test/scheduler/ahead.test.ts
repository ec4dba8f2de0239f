// Chunks made ahead of those who will ask for them, over a fake queue and a clock of the test's own.
import { expect, test, vi } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { chunkOf, type Dataset } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { Ahead, type AheadPiece } from '../../scheduler/ahead.ts';
import { keepingLog } from '../fixtures/line.ts';
import { datasetOf, workOn } from './fakes.ts';
import { setUp as setUpFlights } from './flying.ts';
import { settle } from './manual-time.ts';

const dataset = datasetOf(1000, 10);
const other = datasetOf(1000, 10, 2);

function setUp(options: { threads?: number; flightsMax?: number } = {}) {
  const flying = setUpFlights({ flightsMax: options.flightsMax ?? 100 });
  const { time, queue, chunks, flights } = flying;
  const log = keepingLog();
  const retired = new Set<Dataset>();
  const ahead = new Ahead({
    chunks,
    flights,
    catalog: { isRetired: async (name) => retired.has(name as Dataset) },
    threads: async () => options.threads ?? 2,
    time,
    log,
  });
  const begin = (pieces: readonly AheadPiece[], fields: { client?: string; untilMs?: number } = {}) =>
    ahead.begin({ requestId: 'r', client: 'c', untilMs: time.now() + 3600_000, ...fields, pieces });
  const key = (index: number, of = dataset) => chunkKey(chunkOf(of, index));
  const finish = async (index: number, of = dataset) => {
    chunks.put(of, index);
    queue.finish(key(index, of));
    await settle();
  };
  const ordered = () => queue.added.map((job) => job.key);
  return { ...flying, log, retired, ahead, begin, key, finish, ordered };
}

const piece = (first: number, end: number, of = dataset): AheadPiece => ({ dataset: of, span: { first, end } });

test('missing chunks are ordered in the order of the list, a few at a time, as what nobody waits for', async () => {
  const { ahead, begin, ordered, key, finish, queue } = setUp();
  expect(begin([piece(7, 9), piece(0, 3, other), piece(1, 2)])).toBe(true);
  await settle();
  // Two for each thread.
  expect(ordered()).toEqual([key(7), key(8), key(0, other), key(1, other)]);
  expect(new Set(queue.urgencies)).toEqual(new Set(['batch']));
  await finish(8);
  await finish(0, other);
  expect(ordered().slice(4)).toEqual([key(2, other), key(1)]);
  for (const index of [1, 2]) await finish(index, other);
  for (const index of [7, 1]) await finish(index);
  expect(ahead.stats).toMatchObject({ begun: 1, made: 1 });
  expect(ahead.size).toBe(0);
});

test('what is stored meanwhile is not ordered', async () => {
  const { ahead, begin, ordered, chunks } = setUp();
  for (const index of [0, 1, 2]) chunks.put(dataset, index);
  begin([piece(0, 3)]);
  await settle();
  expect(ordered()).toEqual([]);
  expect(ahead.stats.made).toBe(1);
});

test('several lists share the orders, and each gets on', async () => {
  const { begin, ordered, key } = setUp({ threads: 4 });
  begin([piece(0, 100)]);
  await settle();
  begin([piece(0, 100, other)], { client: 'd' });
  await settle();
  expect(ordered().filter((each) => each === key(0, other))).toHaveLength(1);
  expect(ordered().filter((each) => each.startsWith(other.derivationId))).toHaveLength(4);
});

test('somebody who asks for such a chunk makes it urgent, and the list goes on', async () => {
  const { begin, flights, queue, finish, ahead } = setUp();
  begin([piece(3, 4)]);
  await settle();
  const asked = flights.board({ ...(queue.added[0] as NonNullable<(typeof queue.added)[0]>), requestId: 'else' });
  await settle();
  expect(queue.urgencies).toEqual(['batch', 'interactive']);
  await finish(3);
  expect(await asked).toMatchObject({ joined: true });
  expect(ahead.stats.made).toBe(1);
});

test('when its time is up, what no worker has begun is taken back', async () => {
  const { ahead, begin, queue, time, key, finish } = setUp();
  begin([piece(0, 50)], { untilMs: time.now() + 60_000 });
  await settle();
  queue.begin(key(0));
  await time.pass(60_000);
  expect([...queue.jobs.values()].map(({ job }) => job.key)).toEqual([key(0)]);
  await finish(0);
  expect(ahead.stats).toMatchObject({ late: 1, made: 0 });
  expect(queue.added).toHaveLength(4);
});

test('no alarm is set for further away than alarms can be', async () => {
  const { begin, time } = setUp();
  const alarms = vi.spyOn(time, 'after');
  begin([piece(0, 1)], { untilMs: time.now() + 90 * 86_400_000 });
  await settle();
  const times = alarms.mock.calls.map(([ms]) => ms);
  expect(Math.max(...times)).toBeGreaterThan(20 * 86_400_000);
  // setTimeout would ring at once.
  expect(Math.max(...times)).toBeLessThan(2 ** 31);
});

test('a process that stops leaves what is on order to the workers', async () => {
  const { ahead, begin, queue } = setUp();
  begin([piece(0, 50)]);
  await settle();
  await ahead.close();
  await settle();
  expect(queue.withdrawn).toEqual([]);
  expect(queue.added).toHaveLength(4);
  expect(ahead.stats.left).toBe(1);
  expect(begin([piece(0, 1)])).toBe(false);
});

test('a chunk that cannot be made is passed over, and a list of which nothing can be made is given up', async () => {
  const { ahead, begin, queue, key, finish, ordered, log } = setUp({ threads: 1 });
  begin([piece(0, 2), piece(10, 60)]);
  await settle();
  queue.fail(key(0));
  await finish(1);
  for (let index = 10; ahead.size > 0; index++) {
    queue.fail(key(index));
    await settle();
  }
  expect(ahead.stats).toMatchObject({ givenUp: 1, made: 0 });
  expect(ordered().length).toBeLessThan(20);
  expect(log.lines.map(({ message }) => message)).toEqual(['event ranges are not made ahead any more']);
});

test('a generator that nobody carries ends the list at once', async () => {
  const { ahead, begin, queue, key } = setUp();
  begin([piece(0, 50)]);
  await settle();
  queue.fail(key(2), { code: 'GENERATOR_NOT_REGISTERED' });
  await settle();
  for (const index of [0, 1, 3]) if (queue.standing(key(index))) queue.fail(key(index));
  await settle();
  expect(ahead.stats.givenUp).toBe(1);
});

test('while queue or store are away it waits, with one chunk at a time, and goes on when they are back', async () => {
  const { ahead, begin, queue, chunks, time } = setUp();
  queue.away = true;
  begin([piece(0, 6)]);
  await time.pass(10_000);
  const askedBefore = queue.asked;
  await time.pass(10_000);
  expect(queue.asked - askedBefore).toBeLessThan(10);
  queue.away = false;
  workOn(queue, chunks);
  await time.pass(120_000);
  expect(ahead.stats.made).toBe(1);
  expect(chunks.stored.size).toBe(6);
});

test('circumstances that last are given up: it is only tried', async () => {
  const { ahead, begin, chunks, time } = setUp();
  chunks.gate = () => Promise.reject(new EvokeError('STORE_UNAVAILABLE'));
  begin([piece(0, 6)]);
  await time.pass(540_000);
  expect(ahead.size).toBe(1);
  await time.pass(180_000);
  expect(ahead.stats).toMatchObject({ givenUp: 1 });
  expect(ahead.size).toBe(0);
  expect(time.alarms).toBe(0);
});

test('a dataset that is retired meanwhile is not made', async () => {
  const { ahead, begin, ordered, retired } = setUp();
  retired.add(other);
  begin([piece(0, 50, other), piece(3, 4)]);
  await settle();
  for (let i = 0; i < 20; i++) await settle();
  expect(ordered()).toHaveLength(1);
  expect(ahead.size).toBe(1);
});

test('half of the flights stay free for what is needed now', async () => {
  const { begin, ordered, flights } = setUp({ threads: 50, flightsMax: 20 });
  begin([piece(0, 100)]);
  await settle();
  await settle();
  expect(ordered().length).toBeLessThanOrEqual(10);
  expect(flights.size).toBeLessThanOrEqual(10);
});

test('lists under way are bounded, of one client and of all, and one too many is only not ahead', async () => {
  const { ahead, begin, time } = setUp();
  const untilMs = time.now() + 60_000;
  const one = Array.from({ length: 20 }, () => begin([piece(0, 100)], { client: 'greedy', untilMs }));
  expect(one.filter((begun) => begun)).toHaveLength(16);
  const all = Array.from({ length: 100 }, (_, i) => begin([piece(0, 100)], { client: `c${i}`, untilMs }));
  expect(all.filter((begun) => begun)).toHaveLength(48);
  expect(ahead.stats).toMatchObject({ begun: 64, refused: 56 });
  await time.pass(120_000);
  expect(ahead.size).toBe(0);
  expect(begin([piece(0, 1)], { client: 'greedy' })).toBe(true);
});
