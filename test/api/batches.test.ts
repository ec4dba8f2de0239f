// Batches over HTTP: created, shown, steered. The leading scheduler, who does the work, is played by the test.
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BatchProgress } from '../../core/batch.ts';
import { systemClock } from '../../core/clock.ts';
import { emptyTally } from '../../core/work-state.ts';
import { Board } from '../../queue/board.ts';
import { Batches } from '../../store/batches.ts';
import { Catalog } from '../../store/catalog.ts';
import { FsStore } from '../../store/fs-store.ts';
import { type Reply, send, TestService } from './harness.ts';

let service: TestService;
let batches: Batches;
let board: Board;
beforeAll(async () => {
  service = await TestService.start({ worker: false, env: { EVOKE_CPU_CORE_HOUR: '3.6', EVOKE_CURRENCY: 'CHF' } });
  batches = new Batches(new FsStore(join(service.dataDir, 'store')), systemClock);
  board = new Board({ url: service.redis.url, prefix: 'evoke' });
  await service.declare('set', { generator: 'quick', events: 1000, chunkEvents: 10 });
});
afterAll(async () => {
  board.close();
  await service.stop();
});

function sent(method: string, target: string, body: unknown): Promise<Reply> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return service.call(target, { method, headers: { 'content-type': 'application/json' }, body: text });
}

const post = (body: unknown) => sent('POST', '/v1/batches', body);
const patch = (id: string, state: string) => sent('PATCH', `/v1/batches/${id}`, { state });

async function created(body: object = {}): Promise<string> {
  const reply = await post({ dataset: 'test:set', ...body });
  expect(reply.status, reply.text()).toBe(201);
  return reply.json().id;
}

const show = async (id: string) => (await service.call(`/v1/batches/${id}`)).json();

function progress(changes: Partial<BatchProgress>): BatchProgress {
  return { ...emptyTally, state: 'running', cursor: 0, at: new Date().toISOString(), ...changes };
}

test('a batch is all of its dataset, at priority 5 and held for 30 days, unless said', async () => {
  const before = Date.now();
  const reply = await post({ dataset: 'test:set' });
  expect(reply.status).toBe(201);
  const shown = reply.json();
  expect(reply.headers.location).toBe(`/v1/batches/${shown.id}`);
  expect(shown).toEqual({
    id: expect.stringMatching(/^\d{8}T\d{9}-[0-9a-f]{8}$/),
    dataset: 'test:set',
    startEvent: 1,
    lastEvent: 1000,
    state: 'pending',
    chunks: 100,
    done: 0,
    skipped: 0,
    failed: 0,
    cpuSeconds: 0,
    cost: 0,
    estimatedSecondsLeft: null,
    priority: 5,
    hold: 2_592_000,
    pin: false,
    createdAt: expect.any(String),
  });
  expect(Date.parse(shown.createdAt)).toBeGreaterThanOrEqual(before);
  expect(await show(shown.id)).toEqual(shown);
  const found = await batches.find(shown.id);
  expect(found?.batch).toMatchObject({ range: { first: 0, end: 1000 }, requestId: reply.headers['request-id'] });
});

test('a batch says everything that was asked of it', async () => {
  const deadline = '2125-06-01T12:00:00+02:00';
  const body = {
    startEvent: 15,
    lastEvent: 21,
    priority: 0,
    deadline,
    budget: { cpuSeconds: 12.5, cost: 0.25 },
    hold: 0,
    pin: true,
  };
  const id = await created(body);
  expect(await show(id)).toMatchObject({ ...body, deadline: '2125-06-01T10:00:00.000Z', late: false, chunks: 2 });
  const onlyCost = await created({ budget: { cost: 1 } });
  expect((await show(onlyCost)).budget).toEqual({ cost: 1 });
});

test('pin pins the dataset for the time of the hold, and never shortens a pin', async () => {
  await service.declare('pinned', { generator: 'quick', events: 10, chunkEvents: 10 });
  const catalog = new Catalog(new FsStore(join(service.dataDir, 'store')), systemClock);
  const name = { scope: 'test', name: 'pinned' };
  const id = await created({ dataset: 'test:pinned', pin: true, hold: 3600 });
  const pinned = await catalog.pinOf(name);
  expect(pinned?.reason).toBe(`batch ${id}`);
  expect(Date.parse(pinned?.expiresAt ?? '') - Date.now()).toBeGreaterThan(3_590_000);
  await created({ dataset: 'test:pinned', pin: true, hold: 60 });
  const fresh = new Catalog(new FsStore(join(service.dataDir, 'store')), systemClock);
  expect(await fresh.pinOf(name)).toEqual(pinned);
});

test.each<[string, unknown, number, string, string[]?]>([
  ['no body', '', 422, 'INVALID_BODY'],
  ['no JSON', '{', 400, 'MALFORMED_REQUEST'],
  ['an array', [], 422, 'INVALID_BODY', ['']],
  ['null', null, 422, 'INVALID_BODY'],
  ['a string', '"test:set"', 422, 'INVALID_BODY'],
  ['no dataset', {}, 422, 'INVALID_BODY', ['/dataset']],
  ['a malformed name', { dataset: '../etc:passwd' }, 422, 'INVALID_BODY', ['/dataset']],
  ['a dataset that is none', { dataset: 'test:nobody' }, 404, 'DATASET_NOT_FOUND'],
  ['events beyond', { dataset: 'test:set', lastEvent: 1001 }, 416, 'BEYOND_DATASET'],
  ['a beginning beyond', { dataset: 'test:set', startEvent: 1001 }, 416, 'BEYOND_DATASET'],
  ['the largest numbers', { dataset: 'test:set', lastEvent: Number.MAX_SAFE_INTEGER }, 416, 'BEYOND_DATASET'],
  ['unsafe numbers', { dataset: 'test:set', lastEvent: 2 ** 60 }, 422, 'INVALID_BODY', ['/lastEvent']],
  ['numbers out of range', '{"dataset":"test:set","hold":1e999}', 422, 'INVALID_BODY', ['/hold']],
  ['events backwards', { dataset: 'test:set', startEvent: 5, lastEvent: 4 }, 422, 'INVALID_BODY', ['/lastEvent']],
  [
    'a deadline that has passed',
    { dataset: 'test:set', deadline: '2001-01-01T00:00:00Z' },
    422,
    'INVALID_BODY',
    ['/deadline'],
  ],
  [
    'a deadline that its zone carries behind the year 9999',
    { dataset: 'test:set', deadline: '9999-12-31T23:59:59-12:00' },
    422,
    'INVALID_BODY',
    ['/deadline'],
  ],
  ['a deadline that is no time', { dataset: 'test:set', deadline: 'tomorrow' }, 422, 'INVALID_BODY', ['/deadline']],
  ['a budget of nothing', { dataset: 'test:set', budget: { cost: 0 } }, 422, 'INVALID_BODY', ['/budget/cost']],
  ['an unknown budget', { dataset: 'test:set', budget: { euros: 1 } }, 422, 'INVALID_BODY', ['/budget/euros']],
  [
    'everything wrong at once',
    { dataset: 7, startEvent: 0, lastEvent: -1.5, priority: 10, deadline: 5, hold: -1, pin: 'yes', colour: 'red' },
    422,
    'INVALID_BODY',
    ['/dataset', '/startEvent', '/lastEvent', '/priority', '/deadline', '/hold', '/pin', '/colour'],
  ],
])('%s is refused', async (_what, body, status, code, paths) => {
  const reply = await post(body);
  expect(reply.status, reply.text()).toBe(status);
  const problem = reply.json();
  expect(problem.code).toBe(code);
  if (paths !== undefined)
    expect(problem.errors.map(({ path }: { path: string }) => path).sort()).toEqual(paths.sort());
});

test('a retired dataset gets no batch', async () => {
  const path = await service.declare('retired', { generator: 'quick', events: 10 });
  await service.put(`${path}/retired`);
  expect((await post({ dataset: 'test:retired' })).status).toBe(410);
});

test('whatever JSON is sent, the answer is a refusal or a batch as it was asked for', async () => {
  const keys = ['dataset', 'startEvent', 'lastEvent', 'priority', 'deadline', 'budget', 'hold', 'pin', 'other'];
  const value = fc.oneof(
    fc.constantFrom<unknown>('test:set', 1, 10, true, false, null, '2125-01-01T00:00:00Z', { cost: 1 }, {}, []),
    fc.jsonValue({ maxDepth: 2 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom(...keys), value), async (body) => {
      const reply = await post({ dataset: 'test:set', ...body });
      expect([201, 400, 404, 416, 422], JSON.stringify(body)).toContain(reply.status);
      if (reply.status !== 201) return;
      const { deadline: _, ...asked } = body;
      expect(reply.json()).toMatchObject(asked);
    }),
    { numRuns: 60 },
  );
});

test('what no batch has as its id is not found', async () => {
  const unknown = '20300101T000000000-00000000';
  for (const id of ['x', unknown, `${unknown}.wish`, 'a'.repeat(201), '20300101T000000000-0000000G']) {
    const expected = id.length > 200 ? 400 : 404;
    for (const method of ['GET', 'DELETE']) {
      const reply = await service.call(`/v1/batches/${id}`, { method });
      expect(reply.status, `${method} ${id}`).toBe(expected);
    }
    expect((await patch(id, 'paused')).status).toBe(expected);
    expect((await service.call(`/v1/batches/${id}/stream`)).status).toBe(expected);
  }
});

test('pausing and resuming count at once, also before the scheduler has heard of them', async () => {
  const id = await created();
  const paused = await patch(id, 'paused');
  expect(paused.json()).toMatchObject({ id, state: 'paused', estimatedSecondsLeft: null });
  expect((await show(id)).state).toBe('paused');
  expect((await patch(id, 'paused')).json().state).toBe('paused');
  expect((await patch(id, 'running')).json().state).toBe('pending');
  for (const body of [{ state: 'cancelled' }, { state: 'done' }, {}, { state: 'paused', why: 'so' }, []]) {
    expect((await sent('PATCH', `/v1/batches/${id}`, body)).status).toBe(422);
  }
});

test('cancelling ends a batch: it is not resumed, and cancelling again changes nothing', async () => {
  const id = await created();
  expect((await service.call(`/v1/batches/${id}`, { method: 'DELETE' })).status).toBe(204);
  const shown = await show(id);
  expect(shown).toMatchObject({ state: 'cancelled', endedAt: expect.any(String) });
  const resumed = await patch(id, 'running');
  expect(resumed.status).toBe(409);
  expect(resumed.json()).toMatchObject({ code: 'ENDED', state: 'cancelled' });
  expect((await service.call(`/v1/batches/${id}`, { method: 'DELETE' })).status).toBe(204);
  expect(await show(id)).toEqual(shown);
});

test('a cancellation that meets other wishes is the last word', async () => {
  for (let i = 0; i < 20; i++) {
    const id = await created();
    const cancelled = service.call(`/v1/batches/${id}`, { method: 'DELETE' });
    const wishes = Array.from({ length: 6 }, (_, n) => patch(id, n % 2 === 0 ? 'running' : 'paused'));
    expect((await cancelled).status).toBe(204);
    for (const { status } of await Promise.all(wishes)) expect([200, 409]).toContain(status);
    expect((await show(id)).state).toBe('cancelled');
  }
});

test('resumed, a batch that was paused is pending until it is its turn', async () => {
  const id = await created();
  await patch(id, 'paused');
  await batches.progress(id, progress({ state: 'paused', done: 3, cursor: 3 }));
  expect((await patch(id, 'running')).json()).toMatchObject({ state: 'pending', done: 3, estimatedSecondsLeft: null });
  await service.call(`/v1/batches/${id}`, { method: 'DELETE' });
});

test('a batch that is completed stays so, whatever is wished', async () => {
  const id = await created();
  const endedAt = new Date().toISOString();
  await batches.progress(id, progress({ state: 'completed', done: 60, skipped: 40, cursor: 100, endedAt }));
  expect((await patch(id, 'paused')).status).toBe(409);
  expect((await service.call(`/v1/batches/${id}`, { method: 'DELETE' })).status).toBe(204);
  expect(await show(id)).toMatchObject({ state: 'completed', done: 60, skipped: 40, estimatedSecondsLeft: 0, endedAt });
});

test('progress is that of the store or of the board, whichever is later, with cost in the configured currency', async () => {
  const id = await created({ deadline: new Date(Date.now() + 60_000).toISOString() });
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
  const startedAt = at(-60);
  await batches.progress(id, progress({ done: 10, cpuMicros: 2_000_000, startedAt, at: at(-10) }));
  expect(await show(id)).toMatchObject({ state: 'running', done: 10, cpuSeconds: 2, cost: 0.002, startedAt });
  await board.publish('batch', id, progress({ done: 25, estimatedSecondsLeft: 7, startedAt, at: at(-5) }), 60);
  expect(await show(id)).toMatchObject({ done: 25, estimatedSecondsLeft: 7 });
  await batches.progress(id, progress({ done: 30, startedAt, at: at(-1) }));
  expect(await show(id)).toMatchObject({ done: 30, estimatedSecondsLeft: null });
  await board.publish('batch', id, { state: 'odd', done: 'many' }, 60);
  expect(await show(id)).toMatchObject({ done: 30 });
  await patch(id, 'paused');
  expect(await show(id)).toMatchObject({ state: 'paused', done: 30 });
  const reason = 'STORE_UNAVAILABLE: the disk is full.';
  const other = await created();
  await board.publish('batch', other, progress({ state: 'paused', reason, done: 3 }), 60);
  expect(await show(other)).toMatchObject({ state: 'paused', reason, done: 3 });
  await service.redis.command('FLUSHALL');
  expect(await show(other)).toMatchObject({ state: 'pending', done: 0 });
});

test('a batch is late when its deadline passed before its end, and only then', async () => {
  const soon = new Date(Date.now() + 30).toISOString();
  const id = await created({ deadline: soon });
  await expect.poll(async () => (await show(id)).late).toBe(true);
  const endedAt = new Date(Date.parse(soon) - 1).toISOString();
  await batches.progress(id, progress({ state: 'completed', endedAt }));
  expect((await show(id)).late).toBe(false);
});

test('batches are listed page by page, the newest first, live progress included', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push(await created());
  await board.publish('batch', ids[3] as string, progress({ done: 77 }), 60);
  const seen: string[] = [];
  let next: string | null = null;
  do {
    const page = (await service.call(`/v1/batches?limit=2${next === null ? '' : `&after=${next}`}`)).json();
    expect(page.items.length).toBeLessThanOrEqual(2);
    for (const item of page.items) if (item.id === ids[3]) expect(item.done).toBe(77);
    seen.push(...page.items.map(({ id }: { id: string }) => id));
    next = page.next;
  } while (next !== null);
  const all = (await service.call('/v1/batches?limit=1000')).json();
  expect(all.next).toBeNull();
  expect(seen).toEqual(all.items.map(({ id }: { id: string }) => id));
  expect(seen).toEqual([...seen].sort().reverse());
  expect([...ids].sort().reverse()).toEqual(seen.slice(0, 5));
  expect((await service.call('/v1/batches?limit=0')).status).toBe(400);
  expect((await service.call('/v1/batches?order=asc')).status).toBe(400);
  expect((await service.call('/v1/batches?after=nonsense')).status).toBe(200);
});

test('a batch of a million chunks is one small record, accepted in well under a second, also while Redis is away', async () => {
  await service.declare('huge', { generator: 'quick', events: 10_000_000, chunkEvents: 10 });
  await service.redis.kill();
  try {
    await service.call('/v1/batches'); // the first call that finds Redis gone waits a little
    const begun = performance.now();
    const reply = await post({ dataset: 'test:huge' });
    expect(performance.now() - begun).toBeLessThan(1_000);
    expect(reply.json()).toMatchObject({ state: 'pending', chunks: 1_000_000 });
    const { id } = reply.json();
    expect((await service.call('/v1/batches?limit=1')).json().items[0].id).toBe(id);
    expect((await patch(id, 'paused')).json().state).toBe('paused');
    expect((await service.call(`/v1/batches/${id}`, { method: 'DELETE' })).status).toBe(204);
  } finally {
    await service.redis.restart();
  }
});

test('methods that a batch does not know are refused, and HEAD answers the headers', async () => {
  const id = await created();
  expect((await send(service.url, '/v1/batches', { method: 'PUT' })).status).toBe(405);
  expect((await service.call(`/v1/batches/${id}`, { method: 'PUT' })).headers.allow).toBe('DELETE, GET, HEAD, PATCH');
  expect((await service.call(`/v1/batches/${id}`, { method: 'HEAD' })).status).toBe(200);
  const withBody = await sent('DELETE', `/v1/batches/${id}`, {});
  expect(withBody.status).toBe(400);
});
