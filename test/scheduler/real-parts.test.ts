// Flights and delivery on a real Redis, a real queue and a real worker with its threads.
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import type { Dataset } from '../../core/dataset.ts';
import { derivationId, type JsonObject } from '../../core/derivation.ts';
import { silentLog } from '../../core/log.ts';
import { openChunk } from '../../formats/chunk-file.ts';
import { ChunkEvents } from '../../queue/chunk-events.ts';
import { ChunkQueue } from '../../queue/chunk-queue.ts';
import { Processes } from '../../queue/processes.ts';
import { RedisUsageBook } from '../../queue/usage-book.ts';
import { Delivery } from '../../scheduler/delivery.ts';
import { Flights } from '../../scheduler/flights.ts';
import { Housekeeping } from '../../scheduler/housekeeping.ts';
import { RedisLease } from '../../scheduler/lease.ts';
import { startScheduler } from '../../scheduler/main.ts';
import type { DeliveredChunk, Ride } from '../../scheduler/ride.ts';
import { systemTime } from '../../scheduler/time.ts';
import { Catalog } from '../../store/catalog.ts';
import { Line, prefix } from '../fixtures/line.ts';
import { codeOf } from './fakes.ts';

let seeds = 0;

function datasetOf(generator: string, chunks: number, parameters: JsonObject = {}): Dataset {
  const derivation = { generator, version: '1', parameters, seed: 1_000 + ++seeds };
  return {
    scope: 'test',
    name: `${generator}${seeds}`,
    events: chunks * 8 - 3,
    chunkEvents: 8,
    batchEvents: 4,
    derivation,
    derivationId: derivationId(derivation),
    columns: [{ name: 'event', type: 'uint64', unit: '1', description: 'event number' }],
    reproducibility: 'exact',
    declaredAt: '2025-01-01T00:00:00Z',
  };
}

/** What one api process has. */
async function aProcess(line: Line) {
  const options = { url: line.redis.url, prefix };
  const queue = new ChunkQueue(options);
  const events = new ChunkEvents(options);
  onTestFinished(async () => {
    await Promise.all([queue.close(), events.close()]);
  });
  await events.ready();
  const shared = { chunks: line.chunks, time: systemTime, waitMs: 60_000 };
  const flights = new Flights({ queue, events, flightsMax: 100, ...shared });
  const delivery = new Delivery({ flights, windowBytes: 64 * 1024 * 1024, ...shared });
  const open = (dataset: Dataset, signal = new AbortController().signal) =>
    delivery.open(dataset, { first: 0, end: dataset.events }, { signal, requestId: 'a-request' });
  return { queue, flights, delivery, open };
}

async function collect(ride: Ride): Promise<DeliveredChunk[]> {
  const delivered: DeliveredChunk[] = [];
  for await (const chunk of ride) delivered.push(chunk);
  return delivered;
}

function checkWhole(dataset: Dataset, delivered: readonly DeliveredChunk[]): void {
  let at = 0;
  for (const { chunk, part, stored } of delivered) {
    const { provenance } = openChunk(chunkKey(chunk), stored);
    expect([provenance.startEvent, provenance.lastEvent]).toEqual([part.first + 1, part.end]);
    expect(part.first).toBe(at);
    at = part.end;
  }
  expect(at).toBe(dataset.events);
}

test('many cold readers in two processes get a range whole, each chunk made once', async () => {
  const line = await Line.start({ onTestFinished });
  const { worker } = await line.worker({ threads: 2 });
  const dataset = datasetOf('slow', 6, { batchMs: 20 });
  const processes = await Promise.all([aProcess(line), aProcess(line)]);
  const readers = Array.from({ length: 40 }, async (_, i) => {
    const ride = await processes[i % 2]?.open(dataset);
    if (ride === undefined) throw new Error('there are two processes');
    const delivered = await collect(ride);
    checkWhole(dataset, delivered);
    return delivered.filter(({ means }) => means === 'generate').length;
  });
  const generated = await Promise.all(readers);
  expect(generated.reduce((sum, n) => sum + n)).toBe(6);
  expect(worker.counters.snapshot()).toMatchObject({ generated: 6 });
  expect(processes.map(({ flights, delivery }) => [flights.size, delivery.usedBytes])).toEqual([
    [0, 0],
    [0, 0],
  ]);
});

test('a chunk that cannot be made is told with event, attempts and last words, and not tried again at once', async () => {
  const line = await Line.start({ onTestFinished });
  await line.worker({ attempts: 2 });
  const { open, flights } = await aProcess(line);
  const dataset = datasetOf('failing', 1, { event: 3 });
  const details = { event: 3, attempts: expect.any(Number), lastWords: expect.stringContaining('Event 3') };
  await expect((await open(dataset)).next()).rejects.toMatchObject({ code: 'GENERATION_FAILED', details });
  const again = performance.now();
  await expect((await open(dataset)).next()).rejects.toMatchObject({ code: 'GENERATION_FAILED', details });
  expect(performance.now() - again).toBeLessThan(2_000);
  expect(flights.stats.refused).toBe(1);
});

test('a queue flushed in mid-work costs seconds and loses nothing', async () => {
  const line = await Line.start({ onTestFinished });
  await line.worker({ threads: 1 });
  const { open } = await aProcess(line);
  const dataset = datasetOf('slow', 6, { batchMs: 100 });
  const delivered = collect(await open(dataset));
  await expect.poll(async () => (await line.queue.depth()).queued, { interval: 10 }).toBeGreaterThan(2);
  await line.redis.command('FLUSHALL');
  checkWhole(dataset, await delivered);
});

test('with Redis frozen hits are served and misses refused within two seconds, and work goes on when it thaws', async () => {
  const line = await Line.start({ onTestFinished });
  await line.worker();
  const { open } = await aProcess(line);
  const [stored, slow, missing] = [
    datasetOf('quick', 2),
    datasetOf('slow', 2, { batchMs: 300 }),
    datasetOf('quick', 1),
  ];
  await collect(await open(stored));
  const underWay = collect(await open(slow));
  await expect.poll(async () => (await line.queue.depth()).generating, { interval: 10 }).toBeGreaterThan(0);
  line.redis.freeze();
  const askedMs = performance.now();
  const refused = codeOf((await open(missing)).next());
  checkWhole(stored, await collect(await open(stored)));
  expect(await refused).toBe('QUEUE_UNAVAILABLE');
  expect(performance.now() - askedMs).toBeLessThan(2_000);
  line.redis.thaw();
  checkWhole(slow, await underWay);
  checkWhole(missing, await collect(await open(missing)));
});

test('with Redis gone for a while and back empty, what was under way arrives', async () => {
  const line = await Line.start({ onTestFinished });
  await line.worker();
  const { open } = await aProcess(line);
  const dataset = datasetOf('slow', 3, { batchMs: 200 });
  const delivered = collect(await open(dataset));
  await expect.poll(async () => (await line.queue.depth()).generating, { interval: 10 }).toBeGreaterThan(0);
  await line.redis.kill();
  await expect.poll(() => line.queue.ping()).toBe(false);
  await line.redis.restart();
  checkWhole(dataset, await delivered);
});

test('what nobody waits for any more is taken back, unless the other process waits for it', async () => {
  const line = await Line.start({ onTestFinished });
  const [one, other] = await Promise.all([aProcess(line), aProcess(line)]);
  const dataset = datasetOf('quick', 3);
  const leaving = new AbortController();
  const gone = codeOf((await one.open(dataset, leaving.signal)).next());
  await expect.poll(async () => (await line.queue.depth()).queued).toBe(3);
  const stays = collect(await other.open(dataset));
  await expect.poll(() => other.flights.size).toBe(3);
  // The joining orders have been confirmed.
  await expect.poll(async () => (await line.queue.states()).size).toBe(3);
  leaving.abort(new Error('left'));
  expect(await gone).toBe('left');
  await expect.poll(() => one.flights.size).toBe(0);
  await line.worker();
  checkWhole(dataset, await stays);

  const alone = datasetOf('quick', 3);
  const last = new AbortController();
  const left = codeOf((await one.open(alone, last.signal)).next());
  last.abort(new Error('left'));
  expect(await left).toBe('left');
  await expect.poll(async () => (await line.queue.depth()).queued).toBe(0);
});

test('a scheduler leads, rebuilds the lost book, goes on after a flush and a restart, and hands over when it stops', async () => {
  const line = await Line.start({ onTestFinished });
  await line.worker();
  const { open } = await aProcess(line);
  const dataset = datasetOf('quick', 2);
  await collect(await open(dataset));
  const redis = { url: line.redis.url, prefix };
  const book = new RedisUsageBook(redis);
  onTestFinished(() => book.close());
  const start = async () => {
    const id = randomUUID();
    const lease = new RedisLease({ ...redis, id });
    const store = {
      list: line.store.list.bind(line.store),
      delete: line.store.delete.bind(line.store),
      removeLeftovers: async () => 0,
    };
    const catalog = new Catalog(line.store, systemTime);
    const time = { now: systemTime.now, after: (ms: number, act: () => void) => systemTime.after(ms / 20, act) };
    const housekeeping = new Housekeeping({ store, catalog, chunks: line.chunks, book, time, log: silentLog });
    const scheduler = await startScheduler({
      me: {
        id,
        role: 'scheduler',
        pid: process.pid,
        host: 'here',
        startedAt: new Date().toISOString(),
        storeId: 'a-store',
        registry: 'a-registry',
        version: '0',
      },
      processes: new Processes(redis),
      lease,
      lead: (signal) => housekeeping.keep(signal),
      counters: () => ({}),
      time,
      log: silentLog,
    });
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= scheduler.stop().then(() => lease.close());
      return stopped;
    };
    onTestFinished(stop);
    return { scheduler, stop };
  };
  const first = await start();
  await expect.poll(() => first.scheduler.leading).toBe(true);
  const second = await start();
  const delivered = await collect(await open(dataset));
  const total = delivered.reduce((sum, { stored }) => sum + stored.length, 0);
  const used = async () => (await book.usage().catch(() => undefined))?.usedBytes;
  await expect.poll(used).toBe(total);
  await line.redis.command('FLUSHALL');
  await expect.poll(used).toBe(total);
  await line.redis.restart();
  await expect.poll(used).toBe(total);
  await expect.poll(() => [first, second].filter(({ scheduler }) => scheduler.leading).length).toBe(1);
  const [leader, other] = first.scheduler.leading ? [first, second] : [second, first];
  await leader.stop();
  await expect.poll(() => other.scheduler.leading).toBe(true);
});
