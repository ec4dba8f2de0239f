// The typed client against a real api: each call does what it says, and events are the same by every way.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Table } from 'apache-arrow';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EventBatch, Evoke, ServiceError } from '../../client/index.ts';
import { TestService } from '../api/harness.ts';
import { temporaryFolder } from '../temp.ts';

const name = 'demo:mb';

let service: TestService;
let evoke: Evoke;
beforeAll(async () => {
  service = await TestService.start();
  evoke = new Evoke(service.url);
  await evoke.declare(name, { generator: 'minbias', seed: 1, events: 400, chunkEvents: 100 });
});
afterAll(() => service.stop());

/** The events as JSON, from lines. */
async function lines(startEvent: number, lastEvent: number, columns: string): Promise<unknown[]> {
  const reply = await service.call(`/v1/datasets/demo/mb/events/${startEvent}-${lastEvent}?columns=${columns}`);
  return reply
    .text()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

function rows(batch: EventBatch<'event' | 'GenPart_px'>): unknown[] {
  const [event, px] = [batch.column('event', 'uint64'), batch.column('GenPart_px', 'float64')];
  return Array.from({ length: batch.events }, (_, row) => ({
    event: Number(event.values[row]),
    GenPart_px: [...px.of(row)],
  }));
}

test('events are the same by record batches as by lines, across chunks, cold and warm', async () => {
  const expected = await lines(51, 350, 'event,GenPart_px');
  for (const columns of [['event', 'GenPart_px'] as const, undefined]) {
    const found: unknown[] = [];
    let next = 51;
    for await (const batch of evoke.events(name, { startEvent: 51, lastEvent: 350, columns })) {
      expect([batch.startEvent, batch.lastEvent]).toEqual([next, next + batch.events - 1]);
      next = batch.lastEvent + 1;
      found.push(...rows(batch));
    }
    expect(found).toEqual(expected);
  }
});

test("as Apache Arrow's batches they make a table, without copying", async () => {
  const batches: EventBatch[] = [];
  for await (const batch of evoke.events(name, { startEvent: 1, lastEvent: 200 })) batches.push(batch);
  const arrow = batches.map((batch) => batch.toArrow());
  const table = new Table(arrow);
  const { columns } = await evoke.dataset(name);
  expect(table.schema.names).toEqual(columns.map((column) => column.name));
  expect(table.numRows).toBe(200);
  const expected = await lines(1, 200, 'event,GenPart_px');
  const found = Array.from(table.select(['event', 'GenPart_px']), (row) => ({
    event: Number(row['event']),
    GenPart_px: [...row['GenPart_px']],
  }));
  expect(found).toEqual(expected);
  const [first] = batches as [EventBatch];
  expect(arrow[0]?.getChild('event')?.data[0]?.values.buffer).toBe(first.column('event').values.buffer);
  expect(arrow[0]?.schema.metadata.get('startEvent')).toBe('1');
});

test('a column that is not there, or of another type, is said so, and a row beyond the batch is empty', async () => {
  for await (const batch of evoke.events(name, { startEvent: 1, lastEvent: 1 })) {
    expect(() => batch.column('pt')).toThrow(/no column pt, but run, luminosityBlock, event/);
    expect(() => batch.column('event', 'float64')).toThrow('Column event is of uint64, not float64.');
    expect([...batch.column('event').of(0)]).toEqual([1n]);
    for (const row of [1, -1]) {
      expect(batch.column('event').of(row)).toHaveLength(0);
      expect(batch.column('GenPart_px').of(row)).toHaveLength(0);
    }
  }
});

test('a malformed name or range is refused before anything is asked, and the service’s own no has its code', async () => {
  const { length } = service.log.lines;
  expect(() => evoke.events('zmumu', { startEvent: 1, lastEvent: 2 })).toThrow(/not a dataset's name/);
  for (const [startEvent, lastEvent] of [
    [0, 1],
    [2, 1],
    [1.5, 2],
    [1, Number.NaN],
    [1, 1e21],
  ] as const) {
    expect(() => evoke.events(name, { startEvent, lastEvent }), `${startEvent}-${lastEvent}`).toThrow(/event/);
    await expect(evoke.plan(name, { startEvent, lastEvent })).rejects.toMatchObject({ code: 'MALFORMED_RANGE' });
  }
  expect(service.log.lines).toHaveLength(length);
  const events = evoke.events('demo:none', { startEvent: 1, lastEvent: 2 });
  await expect(events.next()).rejects.toMatchObject({ name: 'ServiceError', code: 'DATASET_NOT_FOUND', status: 404 });
  await expect(evoke.events(name, { startEvent: 1, lastEvent: 401 }).next()).rejects.toMatchObject({
    code: 'BEYOND_DATASET',
    problem: { events: 400 },
  });
  await expect(
    evoke.events(name, { startEvent: 1, lastEvent: 2, columns: ['no', 'nor'] }).next(),
  ).rejects.toMatchObject({ code: 'UNKNOWN_COLUMN' });
  const broken = evoke.declare('demo:x', { generator: 'minbias', seed: -1, events: 0 });
  await expect(broken).rejects.toBeInstanceOf(ServiceError);
  await expect(broken).rejects.toThrow(/\/seed.*\/events/);
});

test('datasets: declared once, listed, shown, retired', async () => {
  const declaration = { generator: 'ee_mumu', seed: 7, events: 50 };
  expect(await evoke.declare('demo:other', declaration)).toMatchObject({ created: true });
  expect(await evoke.declare('demo:other', declaration)).toMatchObject({ created: false });
  expect((await evoke.datasets()).map((dataset) => `${dataset.scope}:${dataset.name}`)).toContain('demo:other');
  expect((await evoke.generators()).map((generator) => generator.name)).toContain('ee_mumu');
  expect(await evoke.dataset('demo:other')).toMatchObject({ events: 50, retired: false, pinned: false });
  await evoke.retire('demo:other');
  await expect(evoke.events('demo:other', { startEvent: 1, lastEvent: 1 }).next()).rejects.toMatchObject({
    code: 'RETIRED',
  });
});

test('plan, provenance, materialization, pin and evict speak of the same chunks', async () => {
  const span = { startEvent: 1, lastEvent: 100 };
  await evoke.prepare(name, span);
  for await (const _ of evoke.events(name, span)) expect(_.events).toBeGreaterThan(0);
  expect((await evoke.plan(name, span)).runs).toMatchObject([{ firstChunk: 0, lastChunk: 0 }]);
  expect(await evoke.provenance(name, 0)).toMatchObject({ chunk: 0, state: 'materialized', ...span });
  expect((await evoke.pin(name, { reason: 'used' })).reason).toBe('used');
  await expect(evoke.evict(name, span)).rejects.toMatchObject({ code: 'PINNED' });
  await evoke.unpin(name);
  await evoke.evict(name, span);
  expect(await evoke.materialization(name, span)).toEqual([{ firstChunk: 0, lastChunk: 0, state: 'virtual' }]);
  expect((await evoke.materialization(name)).at(-1)).toMatchObject({ lastChunk: 3 });
});

test('a request that nobody waits for is followed to its end', async () => {
  await evoke.evict(name);
  const request = await evoke.prepare(name, { startEvent: 101, lastEvent: 300 });
  expect(request).toMatchObject({ dataset: name, startEvent: 101, lastEvent: 300 });
  const id = request?.id ?? '';
  const states = [];
  for await (const { state } of evoke.watchRequest(id)) states.push(state);
  expect(states.at(-1)).toBe('completed');
  expect(await evoke.request(id)).toMatchObject({ state: 'completed', chunksDone: 2 });
  expect(await evoke.prepare(name, { startEvent: 101, lastEvent: 300 })).toBeUndefined();
  await evoke.cancelRequest(id);
});

test('batches are created, listed newest first, paused, resumed and cancelled', async () => {
  const first = await evoke.createBatch({ dataset: name, lastEvent: 100 });
  const second = await evoke.createBatch({ dataset: name, startEvent: 101, priority: 9 });
  const listed = [];
  for await (const { id } of evoke.batches()) listed.push(id);
  expect(listed).toEqual([second.id, first.id]);
  expect(await evoke.pauseBatch(first.id)).toMatchObject({ state: 'paused' });
  expect(await evoke.resumeBatch(first.id)).toMatchObject({ id: first.id, priority: 5 });
  await evoke.cancelBatch(first.id);
  for await (const { state } of evoke.watchBatch(first.id)) expect(state).toBe('cancelled');
  expect(await evoke.batch(second.id)).toMatchObject({ priority: 9, startEvent: 101, lastEvent: 400 });
});

test("PanDA's event ranges come back in order, each with where it is or why not", async () => {
  const files = { eventsPerFile: 100, lfn: 'mb.{n:06}.pool.root' };
  await evoke.declare('demo:files', { generator: 'minbias', seed: 2, events: 400, chunkEvents: 100, files });
  const asked = [1, 5, 2].map((n) => ({
    eventRangeID: `8848710-${n}`,
    LFN: `mb.00000${n}.pool.root`,
    scope: 'demo',
    startEvent: 3,
    lastEvent: 4,
  }));
  const [first, none, second] = await evoke.eventRanges(asked);
  expect(first).toMatchObject({ ...asked[0], state: expect.any(String) });
  expect(none).toMatchObject({ ...asked[1], error: { code: 'FILE_NOT_FOUND' } });
  expect(second).toMatchObject(asked[2] as object);
  const events = await fetch(new URL(`${second?.url}?columns=event`, service.url), { headers: { Accept: '*/*' } });
  expect(events.headers.get('content-type')).toMatch(/arrow/);
  await events.body?.cancel();
});

test('a cost report has its currency and its worlds', async () => {
  const report = await evoke.costReport({ by: 'generator' });
  expect(report).toMatchObject({ by: 'generator', currency: 'EUR', total: { actual: {}, never: {} } });
});

test('a download leaves the whole file', async () => {
  const to = join(await temporaryFolder(), 'events.ndjson');
  await evoke.download(name, { startEvent: 1, lastEvent: 10, to, format: 'ndjson', columns: ['event'] });
  expect((await readFile(to, 'utf8')).trimEnd().split('\n')).toEqual(
    Array.from({ length: 10 }, (_, i) => JSON.stringify({ event: i + 1 })),
  );
});

test('a call ends with its signal', async () => {
  const enough = new Error('enough');
  const stop = new AbortController();
  stop.abort(enough);
  await expect(evoke.datasets({ signal: stop.signal })).rejects.toBe(enough);
  await expect(evoke.watchRequest('any', { signal: stop.signal }).next()).rejects.toBe(enough);
});
