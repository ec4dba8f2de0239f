// A lease in Redis: one process at a time has it, and whoever stops renewing it loses it. It is an economy, not a safety
// device: what a leader does is harmless when two do it.
import type { Log } from '../core/log.ts';
import { RedisCalls } from '../queue/connection.ts';
import { keyOf } from '../queue/names.ts';

/**
 * Takes the lease when it is free, and renews it when it is ours.
 * KEYS[1] the lease   ARGV[1] who wants it   ARGV[2] for how long, ms
 * Returns 1 when it is ours now, 0 when it is another's.
 */
const holdScript = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`;

/**
 * Gives the lease up when it is ours.
 * KEYS[1] the lease   ARGV[1] who had it
 */
const giveUpScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
`;

export class RedisLease {
  readonly #calls: RedisCalls;
  readonly #key: string;
  readonly #id: string;

  /** `id` is unique to this run of the process. */
  constructor(options: { url: string; prefix: string; id: string; log?: Log }) {
    this.#calls = new RedisCalls(options.url, options);
    this.#key = keyOf(options.prefix, 'leader');
    this.#id = options.id;
  }

  /** Whether the lease is ours for the next `leaseMs`. @throws EvokeError QUEUE_UNAVAILABLE, in bounded time */
  async hold(leaseMs: number): Promise<boolean> {
    return (await this.#calls.call((redis) => redis.eval(holdScript, 1, this.#key, this.#id, leaseMs))) === 1;
  }

  /** So that the next leader need not wait for the lease to run out. @throws EvokeError QUEUE_UNAVAILABLE */
  async giveUp(): Promise<void> {
    await this.#calls.call((redis) => redis.eval(giveUpScript, 1, this.#key, this.#id));
  }

  close(): void {
    this.#calls.close();
  }
}
