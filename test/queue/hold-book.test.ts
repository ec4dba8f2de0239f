import { expect, onTestFinished, test } from 'vitest';
import { RedisHoldBook } from '../../queue/hold-book.ts';
import { startRedis } from '../redis.ts';
import { holdBookSuite } from '../store/hold-book-suite.ts';

const prefix = 'test';
const derivation = 'd'.repeat(64);
const range = {
  derivation,
  range: { first: 0, end: 10 },
  grid: { events: 1000, chunkEvents: 64, batchEvents: 32 },
  chunkBytes: 100,
};
const ample = { bytesMax: 1e9, chunksMax: 1e6, rangesMax: 1e6 };

async function aBook() {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const book = new RedisHoldBook({ url: redis.url, prefix });
  onTestFinished(() => book.close());
  /** Holds expire by Redis's own clock: they are made as old as if that time had passed. */
  const age = async (ms: number) => {
    const key = `{${prefix}}:holds:until`;
    const script = `for _, range in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
      redis.call('ZINCRBY', KEYS[1], ARGV[1], range)
    end`;
    await redis.command('EVAL', script, '1', key, String(-ms));
  };
  return { book, age, redis };
}

holdBookSuite('holds in Redis', aBook);

test('holds are in Redis for as long as they last, and a little longer', async () => {
  const { book, redis } = await aBook();
  await book.hold([range], 3600_000, ample);
  await book.hold([{ ...range, range: { first: 0, end: 5 } }], 60_000, ample);
  const keys = (await redis.command('KEYS', '*')) as string[];
  expect(keys.sort()).toEqual(['chunks', 'ranges', 'totals', 'until'].map((name) => `{test}:holds:${name}`));
  for (const key of keys) {
    const ms = Number(await redis.command('PTTL', key));
    expect(ms).toBeGreaterThan(3600_000);
    expect(ms).toBeLessThanOrEqual(3660_000);
  }
});

test('after FLUSHALL nothing is held, and what is held then is', async () => {
  const { book, redis } = await aBook();
  await book.hold([range], 3600_000, ample);
  await redis.command('FLUSHALL');
  expect(await book.held()).toEqual({ ranges: 0, chunks: 0, bytes: 0 });
  expect(await book.delivered(derivation, range.range)).toBe(0);
  expect(await book.hold([range], 3600_000, ample)).toEqual([true]);
  expect(await book.held()).toEqual({ ranges: 1, chunks: 1, bytes: 100 });
});

test('with Redis frozen the book refuses', async () => {
  const { book, redis } = await aBook();
  await book.hold([range], 3600_000, ample);
  redis.freeze();
  await expect(book.isHeld('key')).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  await expect(book.hold([range], 1, ample)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
});
