import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { RedisCalls } from '../../queue/connection.ts';
import { keepingLog } from '../fixtures/line.ts';
import { redisFor } from '../redis.ts';
import type { TestOfItsOwn } from '../temp.ts';

/** Two seconds are promised; the rest is for whoever asks. */
const timely = 1_700;

function callsTo(context: TestOfItsOwn, url: string, log = keepingLog()): RedisCalls {
  const calls = new RedisCalls(url, { log });
  context.onTestFinished(async () => calls.close());
  return calls;
}

/** How long a call took to be refused as it should be, ms. */
async function refused(calls: RedisCalls): Promise<number> {
  const begun = performance.now();
  const error = await calls.call((redis) => redis.get('anything')).catch((problem: unknown) => problem);
  expect(error).toBeInstanceOf(EvokeError);
  expect(error).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  return performance.now() - begun;
}

test.concurrent('a call right after the connection was begun waits for it', async (context) => {
  const redis = await redisFor(context);
  expect(await callsTo(context, redis.url).call((client) => client.set('a', 'b'))).toBe('OK');
});

test.concurrent('without a server calls are refused in time, and at once when that is known', async (context) => {
  const calls = callsTo(context, 'unix:///nowhere/at/all.sock');
  expect(await refused(calls)).toBeLessThan(timely);
  expect(await refused(calls)).toBeLessThan(400);
  expect(await calls.ping()).toBe(false);
});

test.concurrent('a refused TCP connection is a server that is away', async (context) => {
  const calls = callsTo(context, 'redis://127.0.0.1:1');
  expect(await refused(calls)).toBeLessThan(timely);
});

test.concurrent('with the server stopped calls are refused in time, and answered again when it is back', async (context) => {
  const redis = await redisFor(context);
  const log = keepingLog();
  const calls = callsTo(context, redis.url, log);
  expect(await calls.ping()).toBe(true);
  await redis.kill();
  expect(await refused(calls)).toBeLessThan(timely);
  await context.expect.poll(() => log.lines.length).toBe(1);
  expect(await refused(calls)).toBeLessThan(timely);
  expect(await refused(calls)).toBeLessThan(400);
  await redis.restart();
  await context.expect.poll(() => calls.ping(), { interval: 20 }).toBe(true);
  // An outage is told once, not at every try to connect.
  expect(log.lines.map(({ level }) => level)).toEqual(['warn', 'info']);
});

test.concurrent('with the server frozen every call is refused in time, and answered again when it thaws', async (context) => {
  const redis = await redisFor(context);
  const calls = callsTo(context, redis.url);
  expect(await calls.ping()).toBe(true);
  redis.freeze();
  try {
    const together = await Promise.all(Array.from({ length: 50 }, () => refused(calls)));
    expect(Math.max(...together)).toBeLessThan(timely);
    for (let i = 0; i < 3; i++) expect(await refused(calls)).toBeLessThan(timely);
    // By now it is known.
    expect(await refused(calls)).toBeLessThan(400);
  } finally {
    redis.thaw();
  }
  await context.expect.poll(() => calls.ping(), { interval: 20 }).toBe(true);
});

test.concurrent('a call that was refused while Redis was away is not made when it is back', async (context) => {
  const redis = await redisFor(context);
  const calls = callsTo(context, redis.url);
  await calls.ping();
  await redis.kill();
  await context.expect.poll(() => calls.redis.status, { interval: 5 }).not.toBe('ready');
  await expect(calls.call((client) => client.set('late', 'x'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  await redis.restart();
  await context.expect.poll(() => calls.ping(), { interval: 20 }).toBe(true);
  expect(await calls.call((client) => client.get('late'))).toBeNull();
});

test.concurrent('a short absence is waited out', async (context) => {
  const redis = await redisFor(context);
  const calls = callsTo(context, redis.url);
  await calls.ping();
  await redis.kill();
  await context.expect.poll(() => calls.redis.status, { interval: 5 }).not.toBe('ready');
  const call = calls.call((client) => client.set('a', 'b'));
  await redis.restart();
  expect(await call).toBe('OK');
});

test.concurrent('what the server says no to is QUEUE_UNAVAILABLE with its words, and our own mistakes stay what they are', async (context) => {
  const redis = await redisFor(context);
  const calls = callsTo(context, redis.url);
  await calls.call((client) => client.set('text', 'x'));
  await expect(calls.call((client) => client.incr('text'))).rejects.toMatchObject({
    code: 'QUEUE_UNAVAILABLE',
    message: expect.stringContaining('not an integer'),
  });
  const mistake = new TypeError('a mistake');
  await expect(calls.call(() => Promise.reject(mistake))).rejects.toBe(mistake);
});

test.concurrent('after closing, calls are refused', async (context) => {
  const redis = await redisFor(context);
  const calls = callsTo(context, redis.url);
  await calls.ping();
  calls.close();
  expect(await refused(calls)).toBeLessThan(400);
});
