// The book of what is held for event ranges (core/hold-book.ts), kept in Redis and shared by all. Every method is made of
// scripts that hold Redis for a few milliseconds at most; what is held expires by itself, also when nobody looks any more.
import { chunksCovering } from '../core/chunk.ts';
import type { EventRange } from '../core/event-range.ts';
import { chunksToHold, type Held, type HeldRange, type HoldBook, type HoldLimits } from '../core/hold-book.ts';
import type { Log } from '../core/log.ts';
import { RedisCalls } from './connection.ts';
import { keyOf } from './names.ts';

/** Chunks and ranges that one script sees to: it holds Redis for a few milliseconds. */
const pageChunks = 2_000;
const pageRanges = 500;
/** After the last hold expired, for how long the keys stay. */
const spareMs = 60_000;

// All scripts take the same keys, and bring the book up to date first:
//   KEYS[1] until   sorted set: held range by when it expires, ms of Redis's clock
//   KEYS[2] ranges  sorted set, all scores 0: the same ranges in the order of derivation and first event
//   KEYS[3] chunks  hash: chunk key → how many ranges hold it, `/` and its bytes
//   KEYS[4] totals  hash: bytes
// A range is written `<derivation>/<first>-<last>/<batchEvents>/<chunkEvents>/<events>`, with event numbers of 16 digits.

const shared = `
local until_, ranges, chunks, totals = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function parsed(range)
  local derivation, first, last, batch, chunk, events =
    string.match(range, '^(%x+)/(%d+)-(%d+)/(%d+)/(%d+)/(%d+)$')
  return derivation, tonumber(first), tonumber(last), batch, tonumber(chunk), tonumber(events)
end
local function keysOf(range)
  local derivation, first, last, batch, chunk, events = parsed(range)
  local keys = {}
  for at = math.floor((first - 1) / chunk) * chunk, last - 1, chunk do
    local stop = math.min(at + chunk, events)
    keys[#keys + 1] = string.format('%s/%s/%016.0f-%016.0f', derivation, batch, at + 1, stop)
  end
  return keys
end
-- Chunks seen to so far: what is left over is left to the next call.
local work = 0
local function release(range)
  redis.call('ZREM', until_, range)
  redis.call('ZREM', ranges, range)
  for _, key in ipairs(keysOf(range)) do
    work = work + 1
    local count, bytes = string.match(redis.call('HGET', chunks, key) or '', '^(%d+)/(%d+)$')
    if count and tonumber(count) > 1 then
      redis.call('HSET', chunks, key, string.format('%.0f/%s', tonumber(count) - 1, bytes))
    elseif count then
      redis.call('HDEL', chunks, key)
      redis.call('HINCRBY', totals, 'bytes', -tonumber(bytes))
    end
  end
end
for _, range in ipairs(redis.call('ZRANGEBYSCORE', until_, '-inf', now, 'LIMIT', 0, ${pageRanges})) do
  if work < ${pageChunks} then release(range) end
end
`;

/** ARGV: how long to hold (ms), bytes, chunks and ranges at most, spare (ms); then range, bytes of a chunk. Returns 1 or 0 for each. */
const holdScript = `${shared}
local holdMs, bytesMax, chunksMax, rangesMax = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local total = tonumber(redis.call('HGET', totals, 'bytes')) or 0
local count = redis.call('HLEN', chunks)
local held = redis.call('ZCARD', until_)
local answers = {}
local function hold(range, bytes)
  if redis.call('ZSCORE', until_, range) then
    redis.call('ZADD', until_, 'GT', now + holdMs, range)
    return 1
  end
  local keys = keysOf(range)
  local known, added = {}, 0
  for i, key in ipairs(keys) do
    known[i] = redis.call('HGET', chunks, key)
    if not known[i] then added = added + 1 end
  end
  if total + added * bytes > bytesMax or count + added > chunksMax or held >= rangesMax then return 0 end
  for i, key in ipairs(keys) do
    local before, size = string.match(known[i] or '', '^(%d+)/(%d+)$')
    redis.call('HSET', chunks, key, string.format('%.0f/%s', (tonumber(before) or 0) + 1, size or string.format('%.0f', bytes)))
  end
  redis.call('ZADD', until_, now + holdMs, range)
  redis.call('ZADD', ranges, 0, range)
  total, count, held = total + added * bytes, count + added, held + 1
  redis.call('HSET', totals, 'bytes', string.format('%.0f', total))
  return 1
end
for i = 6, #ARGV, 2 do answers[#answers + 1] = hold(ARGV[i], tonumber(ARGV[i + 1])) end
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < holdMs + tonumber(ARGV[5]) then redis.call('PEXPIRE', key, holdMs + tonumber(ARGV[5])) end
end
return answers
`;

/**
 * ARGV: the bounds of what to look through, in order, and the last event number that was delivered. Returns how many were
 * let go, and the last that was looked at; '' when there was none.
 */
const deliveredScript = `${shared}
local let, seen = 0, ''
work = 0
for _, range in ipairs(redis.call('ZRANGEBYLEX', ranges, ARGV[1], ARGV[2], 'LIMIT', 0, ${pageRanges})) do
  if work >= ${pageChunks} then break end
  seen = range
  local _, _, last = parsed(range)
  if last <= tonumber(ARGV[3]) then
    release(range)
    let = let + 1
  end
end
return { let, seen }
`;

/** ARGV: chunk key. */
const isHeldScript = `${shared}
return redis.call('HEXISTS', chunks, ARGV[1])
`;

const heldScript = `${shared}
return { redis.call('ZCARD', until_), redis.call('HLEN', chunks), tonumber(redis.call('HGET', totals, 'bytes')) or 0 }
`;

export class RedisHoldBook implements HoldBook {
  readonly #calls: RedisCalls;
  readonly #keys: readonly string[];

  constructor(options: { url: string; prefix: string; log?: Log }) {
    this.#calls = new RedisCalls(options.url, options);
    this.#keys = ['until', 'ranges', 'chunks', 'totals'].map((name) => keyOf(options.prefix, 'holds', name));
  }

  async hold(ranges: readonly HeldRange[], holdMs: number, limits: HoldLimits): Promise<boolean[]> {
    const answers = ranges.map(() => false);
    for (const page of pagesOf(ranges)) {
      const { bytesMax, chunksMax, rangesMax } = limits;
      const fields = page.flatMap(({ held }) => [nameOf(held), Math.ceil(held.chunkBytes)]);
      const held = await this.#run(holdScript, holdMs, bytesMax, chunksMax, rangesMax, spareMs, ...fields);
      page.forEach(({ at }, i) => {
        answers[at] = (held as number[])[i] === 1;
      });
    }
    return answers;
  }

  async delivered(derivation: string, range: EventRange): Promise<number> {
    let from = `[${derivation}/${digits(range.first + 1)}`;
    const to = `(${derivation}/${digits(range.end)}~`;
    let released = 0;
    for (;;) {
      const [count, last] = (await this.#run(deliveredScript, from, to, range.end)) as [number, string];
      released += count;
      if (last === '') return released;
      from = `(${last}`;
    }
  }

  async isHeld(key: string): Promise<boolean> {
    return (await this.#run(isHeldScript, key)) === 1;
  }

  async held(): Promise<Held> {
    const [ranges = 0, chunks = 0, bytes = 0] = (await this.#run(heldScript)) as number[];
    return { ranges, chunks, bytes };
  }

  close(): void {
    this.#calls.close();
  }

  #run(script: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#calls.call((redis) => redis.eval(script, this.#keys.length, ...this.#keys, ...args));
  }
}

interface Paged {
  readonly held: HeldRange;
  /** Its place in the list. */
  readonly at: number;
}

/** The ranges that can be held at all, so many at a time that a script has a bounded number of chunks to see to. */
function* pagesOf(ranges: readonly HeldRange[]): Generator<Paged[]> {
  let page: Paged[] = [];
  let chunks = 0;
  for (const [at, held] of ranges.entries()) {
    if (chunksToHold(held) === undefined) continue;
    const { first, end } = chunksCovering(held.range, held.grid.chunkEvents);
    if (page.length === pageRanges || (page.length > 0 && chunks + end - first > pageChunks)) {
      yield page;
      page = [];
      chunks = 0;
    }
    page.push({ held, at });
    chunks += end - first;
  }
  if (page.length > 0) yield page;
}

function nameOf({ derivation, range, grid }: HeldRange): string {
  const events = `${digits(range.first + 1)}-${digits(range.end)}`;
  return `${derivation}/${events}/${grid.batchEvents}/${grid.chunkEvents}/${grid.events}`;
}

function digits(eventNumber: number): string {
  return String(eventNumber).padStart(16, '0');
}
