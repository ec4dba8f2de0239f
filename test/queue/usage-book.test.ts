import { expect, onTestFinished, test } from 'vitest';
import type { UsageEntry } from '../../core/usage-book.ts';
import { RedisUsageBook } from '../../queue/usage-book.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { usageBookSuite } from '../store/usage-book-suite.ts';

const prefix = 'test';

async function aBook(redis?: TestRedis) {
  const server = redis ?? (await startRedis());
  if (redis === undefined) onTestFinished(() => server.stop());
  const book = new RedisUsageBook({ url: server.url, prefix });
  onTestFinished(() => book.close());
  /** Reservations lapse by Redis's own clock: they are made as old as if that time had passed. */
  const age = async (ms: number) => {
    const key = `{${prefix}}:usage:expiry`;
    const entries = (await server.command('ZRANGE', key, '0', '-1')) as string[];
    for (const id of entries) await server.command('ZINCRBY', key, String(-ms), id);
  };
  return { book, age, redis: server };
}

usageBookSuite('the book in Redis', () => aBook());

async function* listing(entries: readonly UsageEntry[]): AsyncGenerator<UsageEntry> {
  yield* entries;
}

test('two workers share one book, and a listing of thousands goes in', async () => {
  const { book, redis } = await aBook();
  const { book: other } = await aBook(redis);
  const entries = Array.from({ length: 3210 }, (_, i) => ({ key: `k${i}`, bytes: 10, usedAtMs: i }));
  await Promise.all([book.rebuild(listing(entries)), other.rebuild(listing(entries))]);
  expect(await other.usage()).toEqual({ usedBytes: 32_100, reservedBytes: 0 });
  expect(await book.oldest(2)).toEqual([{ key: 'k0' }, { key: 'k1' }]);
  await other.touch(entries.map(({ key }, i) => ({ key, usedAtMs: 10_000 - i })));
  expect(await book.oldest(1)).toEqual([{ key: 'k3209' }]);
});

test('FLUSHALL in the middle of a rebuild leaves a book that knows nothing, not one that knows half', async () => {
  const { book, redis } = await aBook();
  let listed = 0;
  async function* interrupted(): AsyncGenerator<UsageEntry> {
    for (let i = 0; i < 100_000; i++) {
      if (i === 700) await redis.command('FLUSHALL');
      listed++;
      yield { key: `k${i}`, bytes: 1, usedAtMs: i };
    }
  }
  await book.rebuild(interrupted());
  // The rest of the store is not listed for nothing.
  expect(listed).toBeLessThan(2_000);
  expect(await book.usage()).toBeUndefined();
  expect(await book.reserve('a', 1, 100)).toBe('unknown');
  await book.rebuild(listing([{ key: 'k', bytes: 1, usedAtMs: 1 }]));
  expect(await book.usage()).toEqual({ usedBytes: 1, reservedBytes: 0 });
});

test('what was settled and reserved before FLUSHALL does not disturb what comes after', async () => {
  const { book, redis } = await aBook();
  await book.rebuild(listing([]));
  await book.reserve('a', 50, 100);
  await redis.command('FLUSHALL');
  await book.release('a');
  await book.rebuild(listing([{ key: 'k', bytes: 30, usedAtMs: 1 }]));
  await book.settle('a', 'late', 20);
  expect(await book.usage()).toEqual({ usedBytes: 50, reservedBytes: 0 });
});

test('with Redis frozen the book refuses in time', async () => {
  const { book, redis } = await aBook();
  await book.rebuild(listing([]));
  redis.freeze();
  const begun = performance.now();
  await expect(book.reserve('a', 1, 100)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  expect(performance.now() - begun).toBeLessThan(5_000);
});
