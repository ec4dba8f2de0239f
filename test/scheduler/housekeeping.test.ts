// Housekeeping on a real store on disk: what has expired or was interrupted goes, what is in use stays, and the book of the
// capacity agrees with the store afterwards.

import { randomUUID } from 'node:crypto';
import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { chunkOf } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { emptyTally } from '../../core/work-state.ts';
import { Housekeeping } from '../../scheduler/housekeeping.ts';
import { Catalog } from '../../store/catalog.ts';
import { chunkName } from '../../store/chunk-names.ts';
import { Chunks } from '../../store/chunks.ts';
import { FsStore } from '../../store/fs-store.ts';
import { MemoryUsageBook } from '../../store/memory-usage-book.ts';
import { Requests } from '../../store/requests.ts';
import { temporaryFolder } from '../temp.ts';
import { datasetOf } from './fakes.ts';
import { ManualTime } from './manual-time.ts';

const dataset = datasetOf(1000, 10);
const running = new AbortController().signal;

async function setUp() {
  const folder = await temporaryFolder();
  const time = new ManualTime();
  const store = new FsStore(folder);
  const chunks = new Chunks(store);
  const catalog = new Catalog(store, time);
  const book = new MemoryUsageBook(time);
  const housekeeping = new Housekeeping({ store, catalog, chunks, book, time, log: silentLog });
  const put = (index: number, bytes: number) => store.put(chunkName(chunkOf(dataset, index)), [Buffer.alloc(bytes)]);
  const pin = (name: string, forMs: number) =>
    catalog.pin({
      scope: 'test',
      name,
      pinnedAt: new Date(time.now()).toISOString(),
      expiresAt: new Date(time.now() + forMs).toISOString(),
    });
  return { folder, time, store, chunks, catalog, book, housekeeping, put, pin };
}

test('expired pins are removed, the others stay', async () => {
  const { time, store, catalog, housekeeping, pin } = await setUp();
  await pin('old', 1_000);
  await pin('older', 500);
  await pin('new', 100_000);
  await time.pass(2_000);
  expect(await housekeeping.once(running, false)).toMatchObject({ pinsRemoved: 2 });
  expect((await store.list('pins/')).map(({ name }) => name)).toEqual(['pins/test/new.json']);
  expect(await catalog.pinOf({ scope: 'test', name: 'new' })).toBeDefined();
  expect(await housekeeping.once(running, false)).toMatchObject({ pinsRemoved: 0 });
});

test('requests that ended more than a day ago are removed when the store is walked, the others stay', async () => {
  const { time, store, housekeeping } = await setUp();
  const requests = new Requests(store);
  const request = { dataset: 'test:data', range: { first: 0, end: 1 }, chunks: 1, result: '/v1/x' };
  for (const id of [randomUUID(), randomUUID()]) {
    await requests.accept({ ...request, id, acceptedAt: new Date(time.now()).toISOString() });
    await requests.end(id, { state: 'completed', ...emptyTally, endedAt: new Date(time.now()).toISOString() });
  }
  expect(await housekeeping.once(running, true)).toMatchObject({ requestsRemoved: 0 });
  await time.pass(Date.now() - time.now() + 25 * 3_600_000);
  expect(await housekeeping.once(running, false)).toMatchObject({ requestsRemoved: 0 });
  expect(await housekeeping.once(running, true)).toMatchObject({ requestsRemoved: 2 });
  expect(await store.list('requests/')).toEqual([]);
});

test('a book that was lost is rebuilt at the next round, and one that is known only now and then', async () => {
  const { book, housekeeping, put } = await setUp();
  await put(0, 100);
  await put(1, 50);
  expect(await housekeeping.once(running, false)).toMatchObject({ bookRebuilt: true });
  expect(await book.usage()).toEqual({ usedBytes: 150, reservedBytes: 0 });
  await put(2, 25);
  expect(await housekeeping.once(running, false)).toMatchObject({ bookRebuilt: false });
  expect(await housekeeping.once(running, true)).toMatchObject({ bookRebuilt: true });
  expect(await book.usage()).toEqual({ usedBytes: 175, reservedBytes: 0 });
});

test('chunks that vanished behind the book are taken out of it', async () => {
  const { book, chunks, housekeeping, put } = await setUp();
  await put(0, 100);
  await put(1, 50);
  await housekeeping.once(running, true);
  await chunks.delete(chunkOf(dataset, 0));
  expect(await housekeeping.once(running, false)).toMatchObject({ entriesForgotten: 0 });
  expect(await housekeeping.once(running, true)).toMatchObject({ entriesForgotten: 1 });
  expect(await book.usage()).toEqual({ usedBytes: 50, reservedBytes: 0 });
  expect(await book.oldest(10)).toEqual([{ key: chunkKey(chunkOf(dataset, 1)) }]);
});

test('interrupted writes go after an hour; younger ones may still be under way', async () => {
  const { folder, store, housekeeping, put } = await setUp();
  await put(0, 100);
  const inside = join(folder, 'chunks', dataset.derivationId, '10');
  const part = (n: number) => join(inside, `.0000000${n}-0000-4000-8000-000000000000.part`);
  for (const n of [1, 2]) await writeFile(part(n), 'half');
  const hourAgo = Date.now() / 1000 - 3700;
  await utimes(part(1), hourAgo, hourAgo);
  expect(await housekeeping.once(running, true)).toMatchObject({ leftoversRemoved: 1 });
  expect(await store.list('chunks/')).toHaveLength(1);
});

test('what fails is left for the next round and does not keep the rest from being done', async () => {
  const { time, store, chunks, catalog, housekeeping, pin } = await setUp();
  await pin('old', 1_000);
  await time.pass(2_000);
  const away = async () => {
    throw new EvokeError('QUEUE_UNAVAILABLE');
  };
  const book = { usage: away, rebuild: away, oldest: away, mark: away, forget: away };
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (_: object, message: string) => warnings.push(message) };
  const troubled = new Housekeeping({ store, catalog, chunks, book, time, log });
  expect(await troubled.once(running, true)).toEqual({
    pinsRemoved: 1,
    leftoversRemoved: 0,
    requestsRemoved: 0,
    bookRebuilt: false,
    entriesForgotten: 0,
  });
  expect(warnings).toHaveLength(2);
  expect(await housekeeping.once(running, true)).toMatchObject({ bookRebuilt: true });
});

test('who is told to end in the middle of a walk through the store does not walk on', async () => {
  const { housekeeping, book, chunks, put } = await setUp();
  for (let index = 0; index < 10; index++) await put(index, 1);
  const stop = new AbortController();
  let listed = 0;
  const all = chunks.all.bind(chunks);
  chunks.all = async function* () {
    for await (const stored of all()) {
      if (++listed === 3) stop.abort();
      yield stored;
    }
  };
  expect(await housekeeping.once(stop.signal, true)).toMatchObject({ bookRebuilt: false, leftoversRemoved: 0 });
  expect(listed).toBe(3);
  expect(await book.usage()).toBeUndefined();
});

test('rounds come every thirty seconds, and end at once when told to', async () => {
  const { time, chunks, catalog, book } = await setUp();
  const walks: boolean[] = [];
  let rounds = 0;
  const store = {
    list: async (prefix: string) => {
      if (prefix === 'pins/') rounds++;
      return [];
    },
    delete: async () => false,
    removeLeftovers: async () => {
      walks.push(true);
      return 0;
    },
  };
  const instantBook = {
    usage: () => book.usage(),
    rebuild: async () => undefined,
    oldest: async () => [],
    mark: async () => undefined,
    forget: async () => undefined,
  };
  const housekeeping = new Housekeeping({ store, catalog, chunks, book: instantBook, time, log: silentLog });
  const stop = new AbortController();
  const keeping = housekeeping.keep(stop.signal);
  await time.pass(0);
  expect(rounds).toBe(1);
  await time.pass(20 * 30_000);
  expect(rounds).toBe(21);
  expect(walks).toHaveLength(2);
  stop.abort();
  await keeping;
  expect(time.alarms).toBe(0);
});
