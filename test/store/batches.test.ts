// Batches as records: found as they were written, listed the newest first, kept track of without reading them all again.
import { expect, test } from 'vitest';
import { type Batch, type BatchProgress, batchStatus } from '../../core/batch.ts';
import { EvokeError } from '../../core/errors.ts';
import { emptyTally } from '../../core/work-state.ts';
import { BatchHolds } from '../../store/batch-holds.ts';
import { Batches, newBatchId } from '../../store/batches.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { aDataset } from './a-chunk.ts';
import { watched } from './faults.ts';

function setUp() {
  let nowMs = Date.parse('2030-06-01T12:00:00Z');
  const clock = { now: () => nowMs };
  const inner = new MemoryStore(clock);
  const { store, calls } = watched(inner);
  const batches = new Batches(store, clock);
  const create = async (options: Partial<Batch> = {}): Promise<Batch> => {
    nowMs += 1;
    const batch = aBatch(newBatchId(clock), clock.now(), options);
    await batches.create(batch);
    return batch;
  };
  const pass = (ms: number) => {
    nowMs += ms;
  };
  const progress = (state: BatchProgress['state']): BatchProgress => {
    const at = new Date(nowMs).toISOString();
    return { state, cursor: 3, ...emptyTally, done: 3, at };
  };
  return { clock, store, inner, calls, batches, create, pass, progress };
}

function aBatch(id: string, nowMs: number, options: Partial<Batch>): Batch {
  return {
    id,
    dataset: 'test:data',
    range: { first: 0, end: 1000 },
    chunks: 16,
    priority: 5,
    holdSeconds: 3600,
    pin: false,
    createdAt: new Date(nowMs).toISOString(),
    requestId: 'a-request',
    ...options,
  };
}

test('an id sorts by the time of creation, and no two are the same', () => {
  const clock = { now: () => Date.parse('2030-06-01T12:34:56.789Z') };
  expect(newBatchId(clock)).toMatch(/^20300601T123456789-[0-9a-f]{8}$/);
  expect(new Set(Array.from({ length: 1000 }, () => newBatchId(clock))).size).toBe(1000);
});

test('a batch is found as it was created, wished for and got on with; accepting it is one conditional put', async () => {
  const { batches, create, calls, progress } = setUp();
  const batch = await create({ deadline: '2030-07-01T00:00:00Z', budget: { cpuSeconds: 10, cost: 0.5 } });
  expect(calls).toEqual([`put batches/${batch.id}.json`]);
  expect(await batches.find(batch.id)).toEqual({ batch, wish: undefined, progress: undefined });
  await batches.wish(batch.id, 'paused');
  const running = { ...progress('running'), reason: 'a reason', estimatedSecondsLeft: 12.5 };
  await batches.progress(batch.id, running);
  expect(await batches.find(batch.id)).toEqual({
    batch,
    wish: { state: 'paused', at: expect.any(String) },
    progress: running,
  });
  await expect(batches.create(batch)).rejects.toThrow('exists already');
});

test('what is no id is no batch, and nothing is asked of the store for it', async () => {
  const { batches, calls } = setUp();
  for (const id of ['', '..', '20300601T120000000-1a2b3c4', '20300601T120000000-1A2B3C4D', 'x/../../store']) {
    expect(await batches.find(id)).toBeUndefined();
    await expect(batches.wish(id, 'paused')).rejects.toMatchObject({ code: 'BATCH_NOT_FOUND' });
  }
  expect(calls).toEqual([]);
  expect(await batches.find('20300601T120000000-1a2b3c4d')).toBeUndefined();
});

test('a damaged wish or progress counts as none; a damaged definition is told when asked for, and hides no other batch', async () => {
  const { batches, create, inner, progress } = setUp();
  const [one, other] = [await create(), await create()];
  await batches.progress(one.id, progress('running'));
  const spoil = (name: string, text: string) => inner.put(`batches/${name}.json`, [Buffer.from(text)]);
  await spoil(`${one.id}.progress`, '{"state":"running"}');
  await spoil(`${one.id}.wish`, '{');
  expect(await batches.find(one.id)).toEqual({ batch: one, wish: undefined, progress: undefined });
  const again = new Batches(inner, { now: () => 0 });
  await spoil(other.id, '{"id":1}');
  await expect(again.find(other.id)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await spoil(other.id, JSON.stringify(one));
  await expect(again.find(other.id)).rejects.toThrow(`it is of the batch ${one.id}`);
  expect((await again.list({ limit: 10 })).map(({ batch }) => batch.id)).toEqual([one.id]);
  expect((await again.active()).map(({ batch }) => batch.id)).toEqual([one.id]);
});

test('batches are listed the newest first, by the page', async () => {
  const { batches, create } = setUp();
  const ids: string[] = [];
  for (let i = 0; i < 25; i++) {
    const { id } = await create();
    ids.unshift(id);
    if (i % 3 === 0) await batches.wish(id, 'paused');
  }
  const listed: string[] = [];
  for (let after: string | undefined; ; after = listed.at(-1)) {
    const page = await batches.list({ limit: 7, after });
    listed.push(...page.map(({ batch }) => batch.id));
    if (page.length < 7) break;
  }
  expect(listed).toEqual(ids);
});

test('the active ones are those that are not over, the oldest first', async () => {
  const { batches, create, progress } = setUp();
  const made = [await create(), await create(), await create(), await create()];
  await batches.progress(made[1]?.id ?? '', progress('completed'));
  await batches.progress(made[2]?.id ?? '', progress('paused'));
  const ids = async () => (await batches.active()).map(({ batch }) => batch.id);
  expect(await ids()).toEqual([made[0]?.id, made[2]?.id, made[3]?.id]);
  await batches.progress(made[0]?.id ?? '', progress('failed'));
  expect(await ids()).toEqual([made[2]?.id, made[3]?.id]);
});

test('what has not changed is not read again, and what is over is not even listed', async () => {
  const { batches, create, progress, calls, pass } = setUp();
  const old: Batch[] = [];
  for (let i = 0; i < 30; i++) {
    old.push(await create());
    await batches.progress(old.at(-1)?.id ?? '', progress('completed'));
  }
  const one = await create();
  expect((await batches.active()).length).toBe(1);
  calls.length = 0;
  expect((await batches.active()).length).toBe(1);
  expect(calls).toEqual(['list batches/']);
  await batches.wish(one.id, 'cancelled');
  calls.length = 0;
  expect((await batches.active())[0]?.wish?.state).toBe('cancelled');
  const parts = ['wish', 'cancelled', 'progress'];
  expect(calls).toEqual(['list batches/', ...parts.map((part) => `get batches/${one.id}.${part}.json`)]);
  pass(2 * 3_600_000);
  const late = await create();
  await batches.active();
  pass(1);
  expect((await batches.active()).map(({ batch }) => batch.id)).toEqual([one.id, late.id]);
});

test('a store that tells whole seconds: what is written again in the same second, as long as before, is seen soon', async () => {
  const { clock, create, pass, progress } = setUp();
  const inner = new MemoryStore({ now: () => Math.floor(clock.now() / 1000) * 1000 });
  const { store, calls } = watched(inner);
  const batches = new Batches(store, clock);
  const batch = await create();
  await batches.create(batch);
  await batches.progress(batch.id, progress('running'));
  const done = async () => (await batches.active()).map(({ progress: stored }) => stored?.done);
  expect(await done()).toEqual([3]);
  await batches.progress(batch.id, { ...progress('running'), done: 4 });
  await done();
  pass(2_000);
  expect(await done()).toEqual([4]);
  calls.length = 0;
  pass(10_000);
  expect(await done()).toEqual([4]);
  expect(calls).toEqual(['list batches/']);
});

test('an older word that comes late over an end is noticed', async () => {
  const { batches, create, progress, pass } = setUp();
  const { id } = await create();
  await batches.progress(id, progress('completed'));
  expect(await batches.active()).toEqual([]);
  pass(30_000);
  await batches.progress(id, progress('running'));
  expect((await batches.active()).map(({ batch }) => batch.id)).toEqual([id]);
});

test('a batch whose id is older than the moment it is first seen is seen all the same', async () => {
  const { batches, create, clock, pass } = setUp();
  const early = newBatchId(clock);
  pass(10_000);
  await create();
  expect((await batches.active()).length).toBe(1);
  await batches.create(aBatch(early, clock.now(), {}));
  expect((await batches.active()).map(({ batch }) => batch.id)[0]).toBe(early);
  // Hours late: with the next look at all of them.
  const forgotten = newBatchId({ now: () => clock.now() - 20 * 3_600_000 });
  await batches.create(aBatch(forgotten, clock.now(), {}));
  pass(11 * 60_000);
  expect((await batches.active()).map(({ batch }) => batch.id)[0]).toBe(forgotten);
});

test('a failing store is told, and forgotten when it is back', async () => {
  const { store, inner, batches, create } = setUp();
  await create();
  const list = inner.list.bind(inner);
  inner.list = async () => {
    throw new EvokeError('STORE_UNAVAILABLE');
  };
  expect(store).toBeDefined();
  await expect(batches.active()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  inner.list = list;
  expect((await batches.active()).length).toBe(1);
});

test('a cancelled batch stays cancelled, in whatever order the wishes of several people are written', async () => {
  const { batches, create } = setUp();
  const { id } = await create();
  await batches.wish(id, 'paused');
  await batches.wish(id, 'cancelled');
  const first = (await batches.find(id))?.wish;
  expect(first?.state).toBe('cancelled');
  await batches.wish(id, 'running');
  await batches.wish(id, 'cancelled');
  expect((await batches.find(id))?.wish).toEqual(first);
  expect((await batches.active())[0]?.wish).toEqual(first);
});

test('a wish is shown at once, but an end stands', () => {
  const { progress } = setUp();
  const batch = aBatch('id', 0, {});
  const wish = (state: 'running' | 'paused' | 'cancelled') => ({ state, at: '2030-06-01T12:00:00Z' });
  const status = (records: Partial<Parameters<typeof batchStatus>[0]>) =>
    batchStatus({ batch, wish: undefined, progress: undefined, ...records }).state;
  expect(status({})).toBe('pending');
  expect(status({ wish: wish('paused') })).toBe('paused');
  expect(status({ wish: wish('cancelled'), progress: progress('running') })).toBe('cancelled');
  expect(status({ wish: wish('running'), progress: progress('paused') })).toBe('pending');
  const byItself = { ...progress('paused'), reason: 'STORE_UNAVAILABLE: the disk is full' };
  expect(status({ wish: wish('running'), progress: byItself })).toBe('paused');
  expect(status({ progress: byItself })).toBe('paused');
  expect(status({ wish: wish('cancelled'), progress: progress('completed') })).toBe('completed');
});

test('a batch holds its range while it is under way, and for its time after the end; cancelled, it holds nothing', async () => {
  const { batches, create, clock, pass, progress } = setUp();
  const dataset = { ...aDataset(), name: 'data' };
  const holds = new BatchHolds(batches, clock);
  const held = async (first: number, end: number) => {
    pass(2_001);
    return holds.isHeld(dataset, { first, end });
  };
  expect(await held(0, 10)).toBe(false);
  const { id } = await create({ range: { first: 100, end: 200 } });
  expect([await held(90, 100), await held(199, 210), await held(150, 160)]).toEqual([false, true, true]);
  expect(await holds.isHeld({ ...dataset, name: 'other' }, { first: 150, end: 160 })).toBe(false);
  pass(24 * 3_600_000);
  expect(await held(150, 160)).toBe(true);
  const at = new Date(clock.now()).toISOString();
  await batches.progress(id, { ...progress('completed'), endedAt: at });
  expect(await held(150, 160)).toBe(true);
  pass(3_590_000);
  expect(await held(150, 160)).toBe(true);
  pass(10_000);
  expect(await held(150, 160)).toBe(false);

  const other = await create({ range: { first: 300, end: 400 } });
  expect(await held(300, 310)).toBe(true);
  await batches.wish(other.id, 'cancelled');
  expect(await held(300, 310)).toBe(false);
});
