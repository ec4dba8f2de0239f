import { expect, test } from 'vitest';
import { Processes, type ProcessIdentity, type ProcessRole } from '../../queue/processes.ts';
import { keepingLog } from '../fixtures/line.ts';
import { redisFor, type TestRedis } from '../redis.ts';
import type { TestOfItsOwn } from '../temp.ts';

const prefix = 'test';

function processesOn(context: TestOfItsOwn, redis: TestRedis, log = keepingLog()): Processes {
  const processes = new Processes({ url: redis.url, prefix, log });
  context.onTestFinished(() => processes.leave());
  return processes;
}

function aProcess(role: ProcessRole, fields: Partial<ProcessIdentity> = {}): ProcessIdentity {
  const id = crypto.randomUUID();
  const host = 'a-host';
  return { id, role, pid: 7, host, startedAt: '2030-01-01', storeId: 'one', registry: 'r1', version: '1', ...fields };
}

const ids = async (processes: Processes) => (await processes.list()).map(({ id }) => id);

test.concurrent('who joins is listed with what it is and counts, and who leaves is not', async (context) => {
  const redis = await redisFor(context);
  const [api, worker] = [processesOn(context, redis), processesOn(context, redis)];
  const [anApi, aWorker] = [aProcess('api'), aProcess('worker')];
  let busy = 0;
  await api.join(anApi);
  await worker.join(aWorker, () => ({ threads: 2, busy }));
  expect(await api.list()).toHaveLength(2);
  expect(await api.list()).toContainEqual(expect.objectContaining({ ...aWorker, threads: 2, busy: 0 }));
  busy = 2;
  await context.expect
    .poll(async () => (await api.list()).find(({ id }) => id === aWorker.id))
    .toMatchObject({ busy: 2 });
  await worker.leave();
  expect(await ids(api)).toEqual([anApi.id]);
  expect(await api.takeSilent()).toEqual([]);
});

test.concurrent('who falls silent is no longer listed', async (context) => {
  const redis = await redisFor(context);
  const living = processesOn(context, redis);
  await living.join(aProcess('api'));
  await redis.command('HSET', '{test}:processes', 'dead', JSON.stringify(aProcess('worker', { id: 'dead' })));
  await redis.command('ZADD', '{test}:processes:expiry', String(Date.now() + 300), 'dead');
  expect(await ids(living)).toContain('dead');
  await context.expect.poll(() => ids(living)).toHaveLength(1);
  // The next beat tidies up, and keeps the last words for whoever asks first.
  await context.expect.poll(() => redis.command('HLEN', '{test}:processes')).toBe(1);
  expect((await living.takeSilent()).map(({ id }) => id)).toEqual(['dead']);
  expect(await living.takeSilent()).toEqual([]);
});

test.concurrent('who was silent only because Redis did not answer is not taken for dead', async (context) => {
  const redis = await redisFor(context);
  const [api, worker] = [processesOn(context, redis), processesOn(context, redis)];
  await api.join(aProcess('api'));
  await worker.join(aProcess('worker'), () => ({ ledgerEntries: 5 }));
  // As after a pause of Redis: the word of everybody has expired when the first of them beats again.
  for (const id of await ids(api)) await redis.command('ZADD', '{test}:processes:expiry', '1', id);
  await redis.command('HSET', '{test}:processes', 'dead', JSON.stringify(aProcess('worker', { id: 'dead' })));
  await redis.command('ZADD', '{test}:processes:expiry', '1', 'dead');
  const silent = '{test}:processes:silent';
  await context.expect.poll(async () => Number(await redis.command('LLEN', silent))).toBe(3);
  await context.expect.poll(() => ids(api)).toHaveLength(2);
  expect((await api.takeSilent()).map(({ id }) => id)).toEqual(['dead']);
});

test.concurrent('a process on another store refuses to join, and names both', async (context) => {
  const redis = await redisFor(context);
  const here = processesOn(context, redis);
  await here.join(aProcess('worker'));
  const stranger = processesOn(context, redis).join(aProcess('api', { storeId: 'two' }));
  await expect(stranger).rejects.toMatchObject({ code: 'PEERS_DISAGREE', message: expect.stringMatching(/two.*one/) });
  expect(await here.list()).toHaveLength(1);
});

test.concurrent('a worker with other generators refuses to join workers; an api may differ', async (context) => {
  const redis = await redisFor(context);
  const here = processesOn(context, redis);
  await here.join(aProcess('worker'));
  await processesOn(context, redis).join(aProcess('api', { registry: 'r2' }));
  const stranger = processesOn(context, redis).join(aProcess('worker', { registry: 'r2' }));
  await expect(stranger).rejects.toMatchObject({ code: 'PEERS_DISAGREE', message: expect.stringMatching(/r2.*r1/) });
  await here.leave();
  // The old ones are gone: now it fits.
  await processesOn(context, redis).join(aProcess('worker', { registry: 'r2' }));
});

test.concurrent('of two that do not fit and come at once, one joins', async (context) => {
  const redis = await redisFor(context);
  const joining = ['one', 'two'].map((storeId) => processesOn(context, redis).join(aProcess('worker', { storeId })));
  const outcomes = (await Promise.allSettled(joining)).map(({ status }) => status);
  expect(outcomes.sort()).toEqual(['fulfilled', 'rejected']);
});

test.concurrent('joining waits for Redis, says so once, and the living are known again after FLUSHALL', async (context) => {
  const redis = await redisFor(context);
  await redis.kill();
  const log = keepingLog();
  const processes = processesOn(context, redis, log);
  const me = aProcess('worker');
  const joining = processes.join(me);
  await context.expect.poll(() => log.lines.filter(({ message }) => message.includes('join'))).toHaveLength(1);
  await redis.restart();
  await joining;
  await redis.command('FLUSHALL');
  await context.expect.poll(() => ids(processes)).toEqual([me.id]);
  expect(log.lines.filter(({ message }) => message.includes('join'))).toHaveLength(1);
});

test.concurrent('leaving ends a join that waits for Redis', async (context) => {
  const redis = await redisFor(context);
  await redis.kill();
  const processes = processesOn(context, redis);
  const joining = processes.join(aProcess('api'));
  await processes.leave();
  await joining;
});
