// How this service talks to Redis: connections that reconnect for ever and never crash the process, and calls that
// answer in bounded time whatever Redis does: stopped, refused, or frozen with its sockets open.
import type { RedisOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { EvokeError, messageOf } from '../core/errors.ts';
import { type Log, silentLog } from '../core/log.ts';

/** Longest that a call may take. A miss is refused within two seconds when Redis is away; the rest is the client's. */
export const callMsMax = 1200;

/** Shorter than a call, so that a frozen server is found out by the first call that waits for it. */
const silenceMsMax = 1000;

/** How long a goodbye may take. */
export const goodbyeMsMax = 1_000;

/** Reconnects soon and steadily: BullMQ's own default backs off to 20 s, which is how long recovery would take. */
const retryStrategy = (times: number) => Math.min(50 * times, 250);

/**
 * Options for a connection that waits: commands stay queued until Redis is back. For BullMQ's workers and listeners,
 * which nobody waits for. `url` is among them, as BullMQ takes it.
 */
export function patientOptions(url: string): RedisOptions {
  return { url, maxRetriesPerRequest: null, retryStrategy };
}

/**
 * A connection that fails what it cannot send, and gives a server up that is silent for a second; it goes on connecting
 * for ever, and tells the log when Redis goes and comes. Meant to be used through RedisCalls.
 */
export function connectRedis(url: string, options: { log?: Log } = {}): Redis {
  const log = options.log ?? silentLog;
  const redis = new Redis(url, {
    retryStrategy,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    socketTimeout: silenceMsMax,
  });
  let away = false;
  redis.on('error', (error: unknown) => {
    if (!away) log.warn({ error: messageOf(error) }, 'Redis cannot be reached; trying on');
    away = true;
  });
  redis.on('ready', () => {
    if (away) log.info({}, 'Redis is back');
    away = false;
  });
  return redis;
}

/**
 * BullMQ stops listening to its connections before they have ended, and ioredis prints what then goes wrong. `clients` are
 * what BullMQ's backend gives: promises that stay open until Redis is there.
 */
export function ignoreLateErrors(clients: readonly (Promise<ErrorSource> | undefined)[]): void {
  for (const client of clients) {
    client?.then(
      (connected) => connected.on('error', () => undefined),
      () => undefined,
    );
  }
}

interface ErrorSource {
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** Waits for the work to end, well or not, at most so long; says whether it did. For goodbyes to a Redis that may be away. */
export async function endsWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const ended = work.then(
    () => true,
    () => true,
  );
  const result = await Promise.race([ended, late]);
  clearTimeout(timer);
  return result;
}

/** Calls to Redis that end in time: with an answer, or with QUEUE_UNAVAILABLE. */
export class RedisCalls {
  readonly redis: Redis;
  /** When the connection was lost, or begun; undefined while it stands. */
  #awaySinceMs: number | undefined = performance.now();
  /** Resolved while the connection stands; one for all that wait. */
  #ready = Promise.withResolvers<void>();
  #closed = false;

  constructor(url: string, options: { log?: Log } = {}) {
    this.redis = connectRedis(url, options);
    this.redis.on('ready', () => {
      this.#awaySinceMs = undefined;
      this.#ready.resolve();
    });
    this.redis.on('close', () => this.#lost());
  }

  /**
   * Runs one conversation. While Redis is away, the first calls wait for it a little (it may be just starting); once it has
   * been away for as long as a call may take, they fail at once. A call that was begun and is given up may still have its
   * effect; one that only waited for Redis has none.
   * @throws EvokeError QUEUE_UNAVAILABLE
   */
  async call<T>(conversation: (redis: Redis) => Promise<T>): Promise<T> {
    if (this.#closed) throw unavailable('this process is stopping');
    // The connection knows before it tells.
    if (this.redis.status !== 'ready') this.#lost();
    const begunMs = performance.now();
    const waitedMs = this.#awaySinceMs === undefined ? 0 : begunMs - this.#awaySinceMs;
    if (waitedMs >= callMsMax) throw unavailable('it has been away for a while');
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable('it does not answer in time')), callMsMax - waitedMs);
    });
    try {
      await Promise.race([this.#ready.promise, late]);
      return await Promise.race([conversation(this.redis), late]);
    } catch (error) {
      // A server that fell silent has been away since it was last asked, not only since it was given up.
      if (this.#awaySinceMs !== undefined) this.#awaySinceMs = Math.min(this.#awaySinceMs, begunMs);
      if (error instanceof EvokeError || isMistake(error)) throw error;
      throw unavailable(messageOf(error), error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether Redis answers. */
  async ping(): Promise<boolean> {
    try {
      return (await this.call((redis) => redis.ping())) === 'PONG';
    } catch {
      return false;
    }
  }

  close(): void {
    this.#closed = true;
    this.redis.disconnect();
  }

  #lost(): void {
    if (this.#awaySinceMs !== undefined) return;
    this.#awaySinceMs = performance.now();
    this.#ready = Promise.withResolvers<void>();
  }
}

function unavailable(why: string, cause?: unknown): EvokeError {
  return new EvokeError(
    'QUEUE_UNAVAILABLE',
    { detail: `The queue cannot be reached: ${why}.`, retryAfterSeconds: 2 },
    { cause },
  );
}

/** Our own mistakes are not Redis's absence. */
function isMistake(error: unknown): boolean {
  return error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
}
