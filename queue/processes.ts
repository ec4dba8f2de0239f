// Who is alive: every process of the service says so every second, with what it is and how it is doing. Before it joins,
// it is compared with those that live: peers on another store, or workers with other generators, do not work together.
import { type Clock, pause, systemClock } from '../core/clock.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import { type Log, silentLog } from '../core/log.ts';
import { RedisCalls } from './connection.ts';
import { keyOf } from './names.ts';

export type ProcessRole = 'api' | 'worker' | 'scheduler';

/** What a process says of itself. */
export interface ProcessIdentity {
  /** Unique to this run of the process. */
  readonly id: string;
  readonly role: ProcessRole;
  readonly pid: number;
  readonly host: string;
  /** RFC 3339, UTC. */
  readonly startedAt: string;
  /** The identity of the store it works on (store.json). */
  readonly storeId: string;
  /** Fingerprint of its generators. */
  readonly registry: string;
  /** The service's version. */
  readonly version: string;
}

/** With numbers that change: a worker's threads, how many are busy, what it has done so far. */
export type LivingProcess = ProcessIdentity & { readonly [counter: string]: string | number };

/** A process that has been silent for so long counts as gone: four beats missed. */
const silenceMsMax = 5_000;
const beatMs = 1_200;
/** Last words that are kept until somebody asks for them. */
const silentMax = 100;

/**
 * Registers a process for as long as it goes on beating.
 * KEYS[1] hash: id → what it says of itself, JSON
 * KEYS[2] sorted set: id by the time (ms, Redis's clock) its word expires
 * KEYS[3] list: the last words of those that fell silent, the latest first
 * ARGV[1] its id   ARGV[2] JSON   ARGV[3] how long its word is good, ms   ARGV[4] '1' to register only if it fits its peers
 * Returns the JSON of a living peer that it does not fit (another store, or another worker with another registry), or ''.
 */
const beatScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  local last = redis.call('HGET', KEYS[1], id)
  if last then redis.call('LPUSH', KEYS[3], last) end
  redis.call('LTRIM', KEYS[3], 0, ${silentMax - 1})
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
local me = cjson.decode(ARGV[2])
local misfit = ''
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf')) do
  local text = redis.call('HGET', KEYS[1], id)
  local reads, peer = pcall(cjson.decode, text)
  if reads and type(peer) == 'table' and peer.storeId and peer.id ~= me.id and (peer.storeId ~= me.storeId
      or (peer.role == 'worker' and me.role == 'worker' and peer.registry ~= me.registry)) then
    misfit = text
  end
end
if misfit == '' or ARGV[4] ~= '1' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
end
return misfit
`;

/**
 * The living processes.
 * KEYS as above. Returns their JSON.
 */
const listScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local living = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf')) do
  local text = redis.call('HGET', KEYS[1], id)
  if text then table.insert(living, text) end
end
return living
`;

export class Processes {
  readonly #calls: RedisCalls;
  readonly #keys: readonly [processes: string, expiry: string];
  readonly #silentKey: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  #joined: ProcessIdentity | undefined;
  #beating: Promise<void> = Promise.resolve();

  constructor(options: { url: string; prefix: string; log?: Log; clock?: Clock }) {
    this.#calls = new RedisCalls(options.url, options);
    this.#keys = [keyOf(options.prefix, 'processes'), keyOf(options.prefix, 'processes', 'expiry')];
    this.#silentKey = keyOf(options.prefix, 'processes', 'silent');
    this.#log = options.log ?? silentLog;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Joins, and goes on saying so until it leaves. Waits for Redis as long as it takes. `counters` is asked at every beat.
   * @throws EvokeError PEERS_DISAGREE when a living peer works on another store, or a worker carries other generators.
   */
  async join(me: ProcessIdentity, counters: () => Readonly<Record<string, number>> = () => ({})): Promise<void> {
    let waiting = false;
    for (;;) {
      try {
        const misfit = await this.#beat(me, counters(), 'ifItFits');
        if (misfit !== undefined) throw disagreement(me, misfit);
        break;
      } catch (error) {
        if (error instanceof EvokeError && error.code !== 'QUEUE_UNAVAILABLE') throw error;
        if (this.#stopping.signal.aborted) return;
        if (!waiting) this.#log.warn({ error: messageOf(error) }, 'waiting for Redis to join the other processes');
        waiting = true;
        await pause(500, this.#stopping.signal).catch(() => undefined);
      }
    }
    this.#joined = me;
    this.#beating = this.#goOn(me, counters);
  }

  /** Everybody alive. @throws EvokeError QUEUE_UNAVAILABLE */
  async list(): Promise<LivingProcess[]> {
    const texts = await this.#calls.call((redis) => redis.eval(listScript, 2, ...this.#keys));
    return (texts as string[]).flatMap(livingProcesses);
  }

  /**
   * The last words of those that fell silent without a goodbye since this was last asked, by anybody: killed, or cut off.
   * Whoever was silent for a while only, as everybody is while Redis does not answer, is not among them.
   * @throws EvokeError QUEUE_UNAVAILABLE
   */
  async takeSilent(): Promise<LivingProcess[]> {
    const living = new Set((await this.list()).map(({ id }) => id));
    const texts = await this.#calls.call((redis) => redis.lpop(this.#silentKey, silentMax));
    return (texts ?? []).flatMap(livingProcesses).filter(({ id }) => !living.has(id));
  }

  /** Says goodbye, so that nobody waits for the silence, and closes. */
  async leave(): Promise<void> {
    this.#stopping.abort();
    await this.#beating;
    const id = this.#joined?.id;
    if (id !== undefined) {
      const [processes, expiry] = this.#keys;
      await this.#calls
        .call(async (redis) => Promise.all([redis.hdel(processes, id), redis.zrem(expiry, id)]))
        .catch(() => undefined);
    }
    this.#calls.close();
  }

  async #goOn(me: ProcessIdentity, counters: () => Readonly<Record<string, number>>): Promise<void> {
    let misfitSeen: string | undefined;
    for (;;) {
      await pause(beatMs, this.#stopping.signal).catch(() => undefined);
      if (this.#stopping.signal.aborted) return;
      try {
        // After a FLUSHALL others may have come first: this process is at work and stays, but says what it sees.
        const misfit = await this.#beat(me, counters(), 'always');
        if (misfit !== undefined && misfit.id !== misfitSeen) {
          this.#log.error({ peer: misfit }, disagreement(me, misfit).message);
        }
        misfitSeen = misfit?.id;
      } catch (error) {
        this.#log.debug({ error: messageOf(error) }, 'could not say that this process is alive');
      }
    }
  }

  async #beat(
    me: ProcessIdentity,
    counters: Readonly<Record<string, number>>,
    register: 'ifItFits' | 'always',
  ): Promise<ProcessIdentity | undefined> {
    const word = JSON.stringify({ ...me, ...counters, beatAt: new Date(this.#clock.now()).toISOString() });
    const careful = register === 'ifItFits' ? '1' : '0';
    const misfit = await this.#calls.call((redis) =>
      redis.eval(beatScript, 3, ...this.#keys, this.#silentKey, me.id, word, silenceMsMax, careful),
    );
    return livingProcesses(String(misfit))[0];
  }
}

/** One, or none where the text is somebody else's: others may write to this Redis. */
function livingProcesses(text: string): LivingProcess[] {
  try {
    const value = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
    const isOne =
      ['id', 'host', 'startedAt', 'storeId', 'registry', 'version'].every(
        (field) => typeof value?.[field] === 'string',
      ) &&
      Number.isSafeInteger(value?.['pid']) &&
      ['api', 'worker', 'scheduler'].includes(String(value?.['role']));
    return isOne ? [value as LivingProcess] : [];
  } catch {
    return [];
  }
}

function disagreement(me: ProcessIdentity, peer: ProcessIdentity): EvokeError {
  const them = `the ${peer.role} with pid ${peer.pid} on ${peer.host}`;
  return peer.storeId !== me.storeId
    ? new EvokeError('PEERS_DISAGREE', {
        detail: `This ${me.role} works on the store ${me.storeId}, but ${them} on ${peer.storeId}.`,
        hint: 'Processes that share a Redis and REDIS_PREFIX share one store: give them the same STORE or DATA_DIR, or another REDIS_PREFIX.',
      })
    : new EvokeError('PEERS_DISAGREE', {
        detail: `This worker carries the generators ${me.registry}, but ${them} ${peer.registry}.`,
        hint: 'All workers run the same build: stop the old ones first.',
      });
}
