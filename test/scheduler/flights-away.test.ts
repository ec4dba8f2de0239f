// Flights while Redis or the store cannot be asked: who asks anew is refused at once, what is under way is waited for a while.
import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { codeOf } from './fakes.ts';
import { dataset, job, setUp } from './flying.ts';
import { settle } from './manual-time.ts';

test('with Redis away a miss fails at once, unless the chunk is stored meanwhile', async () => {
  const { queue, chunks, flights } = setUp();
  queue.away = true;
  const codes = await Promise.all([codeOf(flights.board(job)), codeOf(flights.board(job))]);
  expect(codes).toEqual(['QUEUE_UNAVAILABLE', 'QUEUE_UNAVAILABLE']);
  expect(flights.size).toBe(0);
  chunks.put(dataset, 3);
  expect(await codeOf(flights.board(job))).toBe('fulfilled');
});

test('work under way goes on when Redis returns within ten seconds', async () => {
  const { time, queue, flights, land } = setUp();
  const landing = flights.board(job);
  await settle();
  queue.away = true;
  await time.pass(9_000);
  expect(flights.size).toBe(1);
  queue.away = false;
  await time.pass(2_000);
  land();
  expect(await codeOf(landing)).toBe('fulfilled');
});

test('work under way is found in the store while Redis is away', async () => {
  const { time, queue, chunks, flights } = setUp();
  const landing = flights.board(job);
  await settle();
  queue.away = true;
  await time.pass(4_000);
  chunks.put(dataset, 3);
  await time.pass(2_000);
  expect(await codeOf(landing)).toBe('fulfilled');
});

test('work under way is given up when Redis stays away, and who asks meanwhile is told at once', async () => {
  const { time, queue, flights } = setUp();
  const landing = codeOf(flights.board(job));
  await settle();
  queue.away = true;
  await time.pass(2_000);
  expect(await codeOf(flights.board(job))).toBe('QUEUE_UNAVAILABLE');
  expect(flights.size).toBe(1);
  await time.pass(12_000);
  expect(await landing).toBe('QUEUE_UNAVAILABLE');
  expect([flights.size, time.alarms]).toEqual([0, 0]);
});

test('a store that cannot be asked is waited for as long as the queue is', async () => {
  const { time, chunks, flights, land } = setUp();
  const landing = flights.board(job);
  await settle();
  chunks.gate = () => {
    throw new EvokeError('STORE_UNAVAILABLE');
  };
  await time.pass(6_000);
  expect(flights.size).toBe(1);
  chunks.gate = () => undefined;
  land();
  expect(await codeOf(landing)).toBe('fulfilled');
});
