// The book of the store's capacity (core/usage-book.ts), kept in Redis and shared by all workers. Every method is one
// script, so that two workers never promise the same room; sums are kept as the entries change, never counted over.
import { randomUUID } from 'node:crypto';
import type { Log } from '../core/log.ts';
import { reservationMs, type UsageBook, type UsageEntry } from '../core/usage-book.ts';
import { RedisCalls } from './connection.ts';
import { keyOf } from './names.ts';

/** Entries that go into one call: it holds Redis for about a millisecond. */
const pageEntries = 500;

// All scripts take the same keys:
//   KEYS[1] sizes         hash: chunk key → bytes, `/` and the mark of the settling; bytes alone where a listing told it
//   KEYS[2] recency       sorted set: chunk key by the time it was last used, ms
//   KEYS[3] totals        hash: used, reserved (bytes), known ('1' when the book covers the store), building:<token>
//   KEYS[4] reservations  hash: reservation id → bytes
//   KEYS[5] expiry        sorted set: reservation id by the time it lapses, ms of Redis's clock

const shared = `
local sizes, recency, totals, reservations, expiry = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function bytesIn(text) return text and tonumber(string.match(text, '^%d+')) or 0 end
local function total(name) return tonumber(redis.call('HGET', totals, name)) or 0 end
local function free(id)
  local bytes = redis.call('HGET', reservations, id)
  if not bytes then return end
  redis.call('HDEL', reservations, id)
  redis.call('ZREM', expiry, id)
  redis.call('HINCRBY', totals, 'reserved', -tonumber(bytes))
end
`;

/** ARGV: reservation id, bytes, capacity in bytes, how long it holds (ms). Returns 'reserved', 'full' or 'unknown'. */
const reserveScript = `${shared}
if redis.call('HGET', totals, 'known') ~= '1' then return 'unknown' end
local time = now()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', time)) do free(id) end
free(ARGV[1])
if total('used') + total('reserved') + tonumber(ARGV[2]) > tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', reservations, ARGV[1], ARGV[2])
redis.call('ZADD', expiry, time + tonumber(ARGV[4]), ARGV[1])
redis.call('HINCRBY', totals, 'reserved', ARGV[2])
return 'reserved'
`;

/** ARGV: reservation id, chunk key, bytes. */
const settleScript = `${shared}
free(ARGV[1])
local before = bytesIn(redis.call('HGET', sizes, ARGV[2]))
redis.call('HSET', sizes, ARGV[2], ARGV[3] .. '/' .. string.sub(ARGV[1], 1, 8))
redis.call('ZADD', recency, now(), ARGV[2])
redis.call('HINCRBY', totals, 'used', tonumber(ARGV[3]) - before)
`;

/** ARGV: reservation id. */
const releaseScript = `${shared}
free(ARGV[1])
`;

/** ARGV: how long they hold (ms), reservation ids. */
const renewScript = `${shared}
local lapses = now() + tonumber(ARGV[1])
for i = 2, #ARGV do redis.call('ZADD', expiry, 'XX', lapses, ARGV[i]) end
`;

/** ARGV: chunk key, the mark that it must have. */
const forgetScript = `${shared}
local recorded = redis.call('HGET', sizes, ARGV[1])
if recorded ~= ARGV[2] then return end
redis.call('HDEL', sizes, ARGV[1])
redis.call('ZREM', recency, ARGV[1])
redis.call('HINCRBY', totals, 'used', -bytesIn(recorded))
`;

/**
 * ARGV: the rebuild's token, then chunk key, bytes, used at (ms) for each entry. What is recorded already stays: it is newer.
 * Returns 'added', 'known' (another rebuild was done first) or 'lost' (Redis forgot that this rebuild began).
 */
const addScript = `${shared}
if redis.call('HEXISTS', totals, 'building:' .. ARGV[1]) == 0 then
  return redis.call('HGET', totals, 'known') == '1' and 'known' or 'lost'
end
for i = 2, #ARGV, 3 do
  if redis.call('HSETNX', sizes, ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('ZADD', recency, ARGV[i + 2], ARGV[i])
    redis.call('HINCRBY', totals, 'used', ARGV[i + 1])
  end
end
return 'added'
`;

/** ARGV: the rebuild's token. Returns 'done' or 'lost'. All rebuilds end with the first that is through. */
const knownScript = `${shared}
if redis.call('HEXISTS', totals, 'building:' .. ARGV[1]) == 0 then
  return redis.call('HGET', totals, 'known') == '1' and 'done' or 'lost'
end
for _, field in ipairs(redis.call('HKEYS', totals)) do
  if string.sub(field, 1, 9) == 'building:' then redis.call('HDEL', totals, field) end
end
redis.call('HSET', totals, 'known', '1')
return 'done'
`;

/** Returns used and reserved bytes, or nothing while the book is not known. */
const usageScript = `${shared}
if redis.call('HGET', totals, 'known') ~= '1' then return {} end
return { total('used'), total('reserved') }
`;

export class RedisUsageBook implements UsageBook {
  readonly #calls: RedisCalls;
  readonly #keys: readonly string[];

  constructor(options: { url: string; prefix: string; log?: Log }) {
    this.#calls = new RedisCalls(options.url, options);
    const names = ['sizes', 'recency', 'totals', 'reservations', 'expiry'];
    this.#keys = names.map((name) => keyOf(options.prefix, 'usage', name));
  }

  async reserve(id: string, bytes: number, capacityBytes: number): Promise<'reserved' | 'full' | 'unknown'> {
    const answer = await this.#run(reserveScript, id, bytes, capacityBytes, reservationMs);
    return answer as 'reserved' | 'full' | 'unknown';
  }

  async settle(id: string, key: string, bytes: number): Promise<void> {
    await this.#run(settleScript, id, key, bytes);
  }

  async release(id: string): Promise<void> {
    await this.#run(releaseScript, id);
  }

  async renew(ids: readonly string[]): Promise<void> {
    for (let first = 0; first < ids.length; first += pageEntries) {
      await this.#run(renewScript, reservationMs, ...ids.slice(first, first + pageEntries));
    }
  }

  async oldest(count: number): Promise<{ key: string }[]> {
    const keys = await this.#calls.call((redis) => redis.zrange(this.#key(1), 0, String(count - 1)));
    return keys.map((key) => ({ key }));
  }

  /** The recorded size counts; a chunk without a record was never counted. */
  async forget(key: string, mark: string): Promise<void> {
    await this.#run(forgetScript, key, mark);
  }

  async mark(key: string): Promise<string | undefined> {
    return (await this.#calls.call((redis) => redis.hget(this.#key(0), key))) ?? undefined;
  }

  /** When Redis forgets on the way, the book stays unknown, and whoever needs it begins again; what settles meanwhile stays. */
  async rebuild(entries: AsyncIterable<UsageEntry>): Promise<void> {
    const token = randomUUID();
    await this.#calls.call((redis) => redis.hset(this.#key(2), `building:${token}`, '1'));
    let page: UsageEntry[] = [];
    const add = async () => {
      const fields = page.flatMap((entry) => [entry.key, entry.bytes, entry.usedAtMs]);
      page = [];
      return (await this.#run(addScript, token, ...fields)) === 'added';
    };
    for await (const entry of entries) {
      page.push(entry);
      if (page.length === pageEntries && !(await add())) return;
    }
    if (page.length > 0 && !(await add())) return;
    await this.#run(knownScript, token);
  }

  async touch(entries: readonly { readonly key: string; readonly usedAtMs: number }[]): Promise<void> {
    for (let first = 0; first < entries.length; first += pageEntries) {
      const page = entries.slice(first, first + pageEntries);
      const members = page.flatMap((entry) => [entry.usedAtMs, entry.key]);
      // Only chunks that are recorded (XX), and never back in time (GT).
      await this.#calls.call((redis) => redis.zadd(this.#key(1), 'XX', 'GT', ...members));
    }
  }

  async usage(): Promise<{ usedBytes: number; reservedBytes: number } | undefined> {
    const [usedBytes, reservedBytes] = (await this.#run(usageScript)) as number[];
    return usedBytes === undefined || reservedBytes === undefined ? undefined : { usedBytes, reservedBytes };
  }

  close(): void {
    this.#calls.close();
  }

  #key(index: number): string {
    const key = this.#keys[index];
    if (key === undefined) throw new RangeError('The book has five keys.');
    return key;
  }

  #run(script: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#calls.call((redis) => redis.eval(script, this.#keys.length, ...this.#keys, ...args));
  }
}
