import { expect, test } from 'vitest';
import { Board, wordBytesMax } from '../../queue/board.ts';
import { redisFor, type TestRedis } from '../redis.ts';
import type { TestOfItsOwn } from '../temp.ts';

async function aBoard(context: TestOfItsOwn): Promise<{ board: Board; redis: TestRedis }> {
  const redis = await redisFor(context);
  const board = new Board({ url: redis.url, prefix: 'evoke' });
  context.onTestFinished(async () => board.close());
  return { board, redis };
}

test.concurrent('the latest word is read as it was published, by kind and id, until its time is over', async (context) => {
  const { board, redis } = await aBoard(context);
  await board.publish('batch', 'a', { done: 1, deep: { list: [1, null, 'x'] } }, 60);
  await board.publish('batch', 'a', { done: 2 }, 60);
  await board.publish('request', 'a', { other: true }, 60);
  expect(await board.read('batch', 'a')).toEqual({ done: 2 });
  expect(await board.read('request', 'a')).toEqual({ other: true });
  expect(await board.read('failure', 'a')).toBeUndefined();
  expect(await redis.command('TTL', '{evoke}:batch:a')).toBe(60);
  await redis.command('PEXPIRE', '{evoke}:batch:a', '1');
  await context.expect.poll(() => board.read('batch', 'a')).toBeUndefined();
});

test.concurrent('several words are read at once, those that are there', async (context) => {
  const { board } = await aBoard(context);
  await board.publish('batch', 'a', { n: 1 }, 60);
  await board.publish('batch', 'c', { n: 3 }, 60);
  const words = await board.readAll('batch', ['a', 'b', 'c']);
  expect([...words]).toEqual([
    ['a', { n: 1 }],
    ['c', { n: 3 }],
  ]);
  expect(await board.readAll('batch', [])).toEqual(new Map());
});

test.concurrent('a word is small, and what is no word is none', async (context) => {
  const { board, redis } = await aBoard(context);
  const { length } = JSON.stringify({ text: '' });
  await board.publish('failure', 'full', { text: 'x'.repeat(wordBytesMax - length) }, 60);
  await expect(board.publish('failure', 'over', { text: 'x'.repeat(wordBytesMax) }, 60)).rejects.toThrow(RangeError);
  await expect(board.publish('failure', 'over', { text: 'é'.repeat(wordBytesMax / 2) }, 60)).rejects.toThrow(
    RangeError,
  );
  expect(await board.read('failure', 'over')).toBeUndefined();
  await redis.command('SET', '{evoke}:failure:odd', '{not json');
  await redis.command('SADD', '{evoke}:failure:set', 'x');
  expect(await board.read('failure', 'odd')).toBeUndefined();
  expect(await board.read('failure', 'set')).toBeUndefined();
});

test.concurrent('with Redis away a board answers in time that it is away, and is empty when a new one is there', async (context) => {
  const { board, redis } = await aBoard(context);
  await board.publish('batch', 'a', { n: 1 }, 60);
  await redis.kill();
  const begun = performance.now();
  await expect(board.read('batch', 'a')).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  await expect(board.publish('batch', 'a', {}, 60)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  expect(performance.now() - begun).toBeLessThan(5_000);
  await redis.restart();
  await context.expect.poll(() => board.read('batch', 'a').catch(() => 'away')).toBeUndefined();
});
