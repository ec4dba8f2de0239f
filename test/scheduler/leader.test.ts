// Leadership: one at a time while Redis can say who, nobody when it cannot.
import { afterEach, expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { Leader } from '../../scheduler/leader.ts';
import { RedisLease } from '../../scheduler/lease.ts';
import { startRedis } from '../redis.ts';
import { ManualTime, settle } from './manual-time.ts';

/** Redis as several candidates see it. */
class FakeRedis {
  holder: { id: string; untilMs: number } | undefined;
  away = false;
  /** Awaited before an answer. */
  gate: Promise<void> | undefined;
  readonly #time: ManualTime;

  constructor(time: ManualTime) {
    this.#time = time;
  }

  lease(id: string) {
    return {
      hold: async (leaseMs: number) => {
        await this.gate;
        if (this.away) throw new EvokeError('QUEUE_UNAVAILABLE');
        const holder = this.holder;
        if (holder !== undefined && holder.id !== id && holder.untilMs > this.#time.now()) return false;
        this.holder = { id, untilMs: this.#time.now() + leaseMs };
        return true;
      },
      giveUp: async () => {
        if (this.holder?.id === id) this.holder = undefined;
      },
    };
  }
}

function setUp() {
  const time = new ManualTime();
  const redis = new FakeRedis(time);
  const reigns: { id: string; signal: AbortSignal }[] = [];
  const candidate = (id: string) => {
    const lead = (signal: AbortSignal) => {
      reigns.push({ id, signal });
      return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    };
    const leader = new Leader({ lease: redis.lease(id), time, log: silentLog, lead });
    leader.start();
    return leader;
  };
  return { time, redis, reigns, candidate };
}

test('of several candidates one leads, and goes on leading', async () => {
  const { time, reigns, candidate } = setUp();
  const leaders = ['a', 'b', 'c'].map(candidate);
  await time.pass(60_000);
  expect(leaders.map(({ leading }) => leading)).toEqual([true, false, false]);
  expect(reigns).toHaveLength(1);
  await Promise.all(leaders.map((leader) => leader.stop()));
  expect(time.alarms).toBe(0);
});

test('when the leader stops, another leads soon', async () => {
  const { time, candidate } = setUp();
  const [first, second] = [candidate('a'), candidate('b')];
  await settle();
  await first.stop();
  await time.pass(2_000);
  expect([first.leading, second.leading]).toEqual([false, true]);
  await second.stop();
});

test('a leader that loses the lease stops at once', async () => {
  const { time, redis, reigns, candidate } = setUp();
  const leader = candidate('a');
  await settle();
  redis.holder = { id: 'b', untilMs: time.now() + 1e9 };
  await time.pass(2_000);
  expect(leader.leading).toBe(false);
  expect(reigns[0]?.signal.aborted).toBe(true);
  await leader.stop();
  expect(redis.holder?.id).toBe('b');
});

test('a leader whose renewal took longer than the lease holds stops, and begins anew', async () => {
  const { time, redis, reigns, candidate } = setUp();
  const leader = candidate('a');
  await settle();
  const answer = Promise.withResolvers<void>();
  redis.gate = answer.promise;
  await time.pass(10_000);
  answer.resolve();
  await settle();
  // Another may have led in between.
  expect(reigns.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  expect(leader.leading).toBe(true);
  await leader.stop();
});

test('with Redis away nobody leads, and somebody does when it returns', async () => {
  const { time, redis, reigns, candidate } = setUp();
  const leaders = ['a', 'b'].map(candidate);
  await settle();
  redis.away = true;
  await time.pass(2_000);
  expect(leaders.some(({ leading }) => leading)).toBe(false);
  expect(reigns[0]?.signal.aborted).toBe(true);
  await time.pass(60_000);
  redis.away = false;
  await time.pass(2_000);
  expect(leaders.filter(({ leading }) => leading)).toHaveLength(1);
  await Promise.all(leaders.map((leader) => leader.stop()));
});

test('a flushed Redis has one leader again at the next try', async () => {
  const { time, redis, candidate } = setUp();
  const leaders = ['a', 'b'].map(candidate);
  await settle();
  redis.holder = undefined;
  await time.pass(4_000);
  expect(leaders.filter(({ leading }) => leading)).toHaveLength(1);
  await Promise.all(leaders.map((leader) => leader.stop()));
});

const cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

test('a lease in a real Redis is one holder’s, is renewed, given up, runs out, and is flushed', async () => {
  const redis = await startRedis();
  cleanUps.push(() => redis.stop());
  const leaseOf = (id: string) => {
    const lease = new RedisLease({ url: redis.url, prefix: 'test', id });
    cleanUps.push(() => lease.close());
    return lease;
  };
  const [a, b] = [leaseOf('a'), leaseOf('b')];
  expect(await a.hold(60_000)).toBe(true);
  expect([await a.hold(60_000), await b.hold(60_000)]).toEqual([true, false]);
  await b.giveUp();
  expect(await b.hold(60_000)).toBe(false);
  await a.giveUp();
  expect([await b.hold(60_000), await a.hold(60_000)]).toEqual([true, false]);
  await redis.command('FLUSHALL');
  expect(await a.hold(1)).toBe(true);
  await expect.poll(() => b.hold(60_000)).toBe(true);
});
