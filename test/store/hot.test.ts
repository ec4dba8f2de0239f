import { expect, test } from 'vitest';
import { FsStore } from '../../store/fs-store.ts';
import { HotChunks } from '../../store/hot.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { temporaryFolder } from '../temp.ts';
import { storeSuite } from './conformance.ts';
import { failing, unavailable, watched } from './faults.ts';

const hotOptions = { bytesMax: 64 * 1024 * 1024, clock: { now: () => Date.now() } };
for (const folder of ['suite/', 'chunks/']) {
  storeSuite(
    `hot ${folder} over a folder`,
    async () => new HotChunks(new FsStore(await temporaryFolder()), hotOptions),
    folder,
  );
}
storeSuite(
  'hot that remembers nothing',
  async () => new HotChunks(new MemoryStore(), { ...hotOptions, bytesMax: 0 }),
  'chunks/',
);

const name = 'chunks/a';
const bytes = Buffer.from('the bytes');

/** A hot store over a watched one that holds the bytes, and a clock to turn. */
async function setUp(bytesMax = 1_000_000) {
  const inner = new MemoryStore();
  await inner.put(name, [bytes]);
  const { store, calls, state } = watched(inner);
  const clock = { ms: 1_000_000, now: () => clock.ms };
  return { inner, calls, state, clock, hot: new HotChunks(store, { bytesMax, clock }) };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('nothing can be peeked at that was not read before', async () => {
  const { hot, calls } = await setUp();
  expect(hot.peek(name)).toBeUndefined();
  expect(calls).toEqual([]);
  await hot.get(name);
  expect(hot.peek(name)).toEqual(bytes);
});

test('within a second nobody is asked', async () => {
  const { hot, calls, clock } = await setUp();
  await hot.get(name);
  calls.length = 0;
  clock.ms += 1000;
  expect(hot.peek(name)).toBe(await hot.get(name));
  expect(calls).toEqual([]);
});

test('past a second the store is asked in the background, once, and the answer counts from then', async () => {
  const { hot, calls, clock } = await setUp();
  await hot.get(name);
  calls.length = 0;
  for (let round = 0; round < 5; round++) {
    clock.ms += 1500;
    expect(hot.peek(name)).toEqual(bytes);
    expect(hot.peek(name)).toEqual(bytes);
    expect(await hot.get(name)).toEqual(bytes);
    await settled();
  }
  expect(calls).toEqual(Array(5).fill(`head ${name}`));
});

test('past two seconds the answer is waited for', async () => {
  const { hot, calls, clock, inner } = await setUp();
  await hot.get(name);
  clock.ms += 2001;
  expect(hot.peek(name)).toBeUndefined();
  expect(await hot.get(name)).toEqual(bytes);
  expect(calls).toEqual([`get ${name}`, `head ${name}`]);
  await inner.delete(name);
  clock.ms += 2001;
  expect(await hot.get(name)).toBeUndefined();
  expect(hot.peek(name)).toBeUndefined();
});

test('who has just looked whether a chunk is there need not look again to read it', async () => {
  const { hot, calls, clock } = await setUp();
  await hot.get(name);
  clock.ms += 3000;
  calls.length = 0;
  expect((await hot.head(name))?.bytes).toBe(bytes.length);
  expect(await hot.get(name)).toEqual(bytes);
  expect(calls).toEqual([`head ${name}`]);
  clock.ms += 3000;
  await hot.get(name);
  expect(calls).toEqual([`head ${name}`, `head ${name}`]);
});

test('what another process has evicted is forgotten within two seconds of asking', async () => {
  const { hot, clock, inner } = await setUp();
  await hot.get(name);
  await inner.delete(name);
  clock.ms += 1500;
  expect(hot.peek(name)).toEqual(bytes);
  await settled();
  expect(hot.peek(name)).toBeUndefined();
  expect(await hot.get(name)).toBeUndefined();
});

test('a file that changed its length is read again', async () => {
  const { hot, clock, inner } = await setUp();
  await hot.get(name);
  await inner.put(name, [Buffer.from('cut')]);
  clock.ms += 2001;
  expect((await hot.get(name))?.toString()).toBe('cut');
});

test('while the store fails, remembered bytes are served, and the store is not asked for each of them', async () => {
  const { hot, calls, clock, state } = await setUp();
  await hot.get(name);
  state.down = true;
  calls.length = 0;
  clock.ms += 60_000;
  for (let i = 0; i < 100; i++) expect(await hot.get(name)).toEqual(bytes);
  await settled();
  expect(calls.length).toBeLessThanOrEqual(2);
  await expect(hot.get('chunks/other')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  state.down = false;
  clock.ms += 2001;
  expect(await hot.get(name)).toEqual(bytes);
});

test('a store that does not answer is not waited for, and one that fails late is not asked for each of them', async () => {
  const inner = new MemoryStore();
  await inner.put(name, [bytes]);
  const clock = { ms: 1_000_000, now: () => clock.ms };
  let heads = 0;
  let giveUp: (() => void) | undefined;
  const silent = failing(inner, (operation) => {
    if (operation !== 'head') return;
    heads++;
    return new Promise((_, reject) => {
      giveUp = () => reject(unavailable());
    });
  });
  const hot = new HotChunks(silent, { bytesMax: 1_000_000, clock });
  await hot.get(name);
  clock.ms += 60_000;
  const began = performance.now();
  expect(await hot.get(name)).toEqual(bytes);
  expect(performance.now() - began).toBeLessThan(3000);
  clock.ms += 5000;
  giveUp?.();
  await settled();
  for (let i = 0; i < 10; i++) expect(await hot.get(name)).toEqual(bytes);
  expect(heads).toBe(1);
});

test('concurrent reads of one name are one', async () => {
  const { hot, calls } = await setUp();
  const found = await Promise.all(Array.from({ length: 10 }, () => hot.get(name)));
  expect(new Set(found).size).toBe(1);
  expect(calls).toEqual([`get ${name}`]);
});

test('a failed read fails everybody who waits, and the next one tries again', async () => {
  const { hot, calls, state } = await setUp();
  state.down = true;
  const outcomes = await Promise.allSettled([hot.get(name), hot.get(name)]);
  expect(outcomes.map((outcome) => outcome.status)).toEqual(['rejected', 'rejected']);
  state.down = false;
  expect(await hot.get(name)).toEqual(bytes);
  expect(calls).toHaveLength(2);
});

test('absence is not remembered', async () => {
  const { hot, inner } = await setUp();
  expect(await hot.get('chunks/later')).toBeUndefined();
  await inner.put('chunks/later', [bytes]);
  expect(await hot.get('chunks/later')).toEqual(bytes);
});

test('only chunks are remembered', async () => {
  const { hot, calls } = await setUp();
  await hot.put('pins/a/b.json', [bytes]);
  await hot.get('pins/a/b.json');
  await hot.get('pins/a/b.json');
  expect(hot.peek('pins/a/b.json')).toBeUndefined();
  expect(calls.filter((call) => call === 'get pins/a/b.json')).toHaveLength(2);
});

test('what was put or deleted through it is never served from before', async () => {
  const { hot } = await setUp();
  await hot.get(name);
  await hot.put(name, [Buffer.from('new')]);
  expect(hot.peek(name)).toBeUndefined();
  expect((await hot.get(name))?.toString()).toBe('new');
  await hot.delete(name);
  expect(hot.peek(name)).toBeUndefined();
  expect(await hot.get(name)).toBeUndefined();
});

test('what is read while its chunk is being replaced is not remembered', async () => {
  const inner = new MemoryStore();
  await inner.put(name, [bytes]);
  const gate = Promise.withResolvers<void>();
  const hot = new HotChunks(
    { ...failing(inner, () => undefined), put: (asked, parts) => gate.promise.then(() => inner.put(asked, parts)) },
    hotOptions,
  );
  const putting = hot.put(name, [Buffer.from('new')]);
  expect(await hot.get(name)).toEqual(bytes);
  gate.resolve();
  await putting;
  expect((await hot.get(name))?.toString()).toBe('new');
});

test('a read under way when its chunk is deleted is not remembered', async () => {
  const inner = new MemoryStore();
  await inner.put(name, [bytes]);
  const gate = Promise.withResolvers<void>();
  // The read has its bytes already, but has not come back.
  const slow = failing(inner, () => undefined);
  const hot = new HotChunks(
    { ...slow, get: async (asked) => inner.get(asked).then(async (found) => gate.promise.then(() => found)) },
    hotOptions,
  );
  const reading = hot.get(name);
  await hot.delete(name);
  gate.resolve();
  expect(await reading).toEqual(bytes);
  expect(hot.peek(name)).toBeUndefined();
});

test('a look under way when its chunk is deleted says nothing about the chunk that comes after', async () => {
  const { clock, inner } = await setUp();
  const gate = Promise.withResolvers<void>();
  let looks = 0;
  const slow = new HotChunks(
    {
      ...failing(inner, () => undefined),
      head: async (asked) => (looks++ === 0 ? gate.promise.then(() => undefined) : inner.head(asked)),
    },
    { bytesMax: 1_000_000, clock },
  );
  await slow.get(name);
  clock.ms += 1500;
  slow.peek(name);
  await slow.delete(name);
  await slow.put(name, [bytes]);
  await slow.get(name);
  clock.ms += 2001;
  const found = slow.get(name);
  gate.resolve();
  expect(await found).toEqual(bytes);
});

test('a clock that is set back makes nothing fresh', async () => {
  const { hot, clock, inner } = await setUp();
  await hot.get(name);
  await inner.delete(name);
  clock.ms -= 3_600_000;
  expect(hot.peek(name)).toBeUndefined();
  expect(await hot.get(name)).toBeUndefined();
});

test('the memory is bounded by bytes, and what was used last stays', async () => {
  const { hot, inner } = await setUp(10_000);
  for (const letter of ['a', 'b', 'c', 'd']) await inner.put(`chunks/${letter}`, [Buffer.alloc(2500)]);
  for (const letter of ['a', 'b', 'c']) await hot.get(`chunks/${letter}`);
  hot.peek('chunks/a');
  await hot.get('chunks/d');
  const held = ['a', 'b', 'c', 'd'].filter((letter) => hot.peek(`chunks/${letter}`) !== undefined);
  expect(held).toEqual(['a', 'c', 'd']);
});

test('a chunk larger than the memory is served and not kept', async () => {
  const { hot, inner } = await setUp(10_000);
  await hot.get(name);
  await inner.put('chunks/large', [Buffer.alloc(10_000)]);
  expect((await hot.get('chunks/large'))?.length).toBe(10_000);
  expect(hot.peek('chunks/large')).toBeUndefined();
  expect(hot.peek(name)).toEqual(bytes);
});

test('a memory of no bytes keeps nothing', async () => {
  const { hot, calls } = await setUp(0);
  await hot.get(name);
  await hot.get(name);
  expect(hot.peek(name)).toBeUndefined();
  expect(calls).toHaveLength(2);
});

test('a thousand empty chunks do not fit into no space', async () => {
  const { hot, inner } = await setUp(10_000);
  for (let i = 0; i < 100; i++) {
    await inner.put(`chunks/${i}`, []);
    await hot.get(`chunks/${i}`);
  }
  const held = Array.from({ length: 100 }, (_, i) => hot.peek(`chunks/${i}`)).filter((found) => found !== undefined);
  expect(held.length).toBeLessThan(25);
});
