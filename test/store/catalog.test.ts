import { expect, test } from 'vitest';
import { chunkOf, type Dataset } from '../../core/dataset.ts';
import { derivationId } from '../../core/derivation.ts';
import { Catalog } from '../../store/catalog.ts';
import { FsStore } from '../../store/fs-store.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { temporaryFolder } from '../temp.ts';
import { aDataset, aDerivation } from './a-chunk.ts';
import { failing, unavailable, watched } from './faults.ts';

function setUp() {
  const inner = new MemoryStore();
  const { store, calls, state } = watched(inner);
  const clock = { ms: Date.parse('2030-06-01T00:00:00Z'), now: () => clock.ms };
  return { inner, calls, state, clock, catalog: new Catalog(store, clock), other: new Catalog(inner, clock) };
}

const dataset = aDataset();
const link = (({ derivation, derivationId, events, chunkEvents, batchEvents }) => {
  return { dataset: 'test:numbers', derivation, derivationId, events, chunkEvents, batchEvents };
})(dataset);
/** A dataset that reads `dataset`. */
const derived: Dataset = (() => {
  const derivation = { ...aDerivation(7), input: dataset.derivationId };
  return { ...dataset, derivation, derivationId: derivationId(derivation), inputs: [link] };
})();
const fullName = (found: Dataset) => `${found.scope}:${found.name}`;

function aPin(fields: object = {}) {
  return {
    scope: 'test',
    name: 'numbers',
    pinnedAt: '2030-06-01T00:00:00.000Z',
    expiresAt: '2030-06-02T00:00:00.000Z',
    ...fields,
  };
}

test('a store gets its id when it is first used, and every process finds the same', async () => {
  const store = new FsStore(await temporaryFolder());
  const clock = { now: () => 0 };
  const ids = await Promise.all(Array.from({ length: 8 }, () => new Catalog(store, clock).identity()));
  expect(new Set(ids).size).toBe(1);
  expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(await new Catalog(new FsStore(await temporaryFolder()), clock).identity()).not.toBe(ids[0]);
});

test('a store with an id is opened also when nothing can be written; one without is not', async () => {
  const inner = new MemoryStore();
  const full = failing(inner, (operation) => {
    if (operation === 'put') throw unavailable();
  });
  const { clock } = setUp();
  await expect(new Catalog(full, clock).identity()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  const id = await new Catalog(inner, clock).identity();
  expect(await new Catalog(full, clock).identity()).toBe(id);
});

test('a declared dataset is found, as it was declared, by every process', async () => {
  const { catalog, other } = setUp();
  expect(await catalog.declare(dataset)).toEqual({ dataset, created: true });
  expect(await catalog.find(dataset)).toEqual(dataset);
  expect(await other.get(dataset)).toEqual(dataset);
});

test('a name that is taken keeps what was declared first', async () => {
  const { catalog, other } = setUp();
  await catalog.declare(dataset);
  expect(await other.declare({ ...dataset, events: 5 })).toEqual({ dataset, created: false });
  expect(await other.find(dataset)).toEqual(dataset);
});

test('of declarations that race, one is created and all get the same', async () => {
  const { inner, clock } = setUp();
  const outcomes = await Promise.all(
    Array.from({ length: 10 }, (_, i) => new Catalog(inner, clock).declare({ ...dataset, events: 100 + i })),
  );
  expect(outcomes.filter((outcome) => outcome.created)).toHaveLength(1);
  expect(new Set(outcomes.map((outcome) => outcome.dataset.events)).size).toBe(1);
});

test('a dataset once found is remembered, an absent one is asked for again', async () => {
  const { catalog, other, calls } = setUp();
  expect(await catalog.find(dataset)).toBeUndefined();
  await expect(catalog.get(dataset)).rejects.toMatchObject({ code: 'DATASET_NOT_FOUND' });
  await other.declare(dataset);
  await catalog.get(dataset);
  calls.length = 0;
  await catalog.get(dataset);
  expect(calls).toEqual([]);
});

test('a name that is none is refused and reaches no file', async () => {
  const { catalog, calls } = setUp();
  for (const name of [
    { scope: '..', name: 'x' },
    { scope: 'a/b', name: 'x' },
    { scope: 'a', name: '' },
  ]) {
    await expect(catalog.find(name)).rejects.toMatchObject({ code: 'MALFORMED_NAME' });
    await expect(catalog.isRetired(name)).rejects.toMatchObject({ code: 'MALFORMED_NAME' });
    await expect(catalog.pinOf(name)).rejects.toMatchObject({ code: 'MALFORMED_NAME' });
  }
  expect(calls).toEqual([]);
});

for (const [what, text] of [
  ['cut', JSON.stringify(dataset).slice(0, 50)],
  ['empty', ''],
  ['not an object', '[1]'],
  ['without its events', JSON.stringify({ ...dataset, events: undefined })],
  ['of no events', JSON.stringify({ ...dataset, events: 0 })],
  ['of another derivation than its id says', JSON.stringify({ ...dataset, derivation: aDerivation(2) })],
  ['another dataset', JSON.stringify({ ...dataset, name: 'other' })],
  ['derived from nothing that it names', JSON.stringify({ ...derived, inputs: undefined })],
  ['derived from an input too many', JSON.stringify({ ...derived, inputs: [link, link] })],
  ['derived from something that its derivation does not name', JSON.stringify({ ...dataset, inputs: [link] })],
  [
    'derived from what is not its id',
    JSON.stringify({ ...derived, inputs: [{ ...link, derivation: aDerivation(3) }] }),
  ],
  ['derived from fewer events than it has', JSON.stringify({ ...derived, inputs: [{ ...link, events: 1 }] })],
  ['derived from a dataset without a name', JSON.stringify({ ...derived, inputs: [{ ...link, dataset: '../x' }] })],
] as const) {
  test(`a record that is ${what} is a clear error, and troubles no other dataset`, async () => {
    const { catalog, inner } = setUp();
    await inner.put('datasets/test/numbers.json', [Buffer.from(text)]);
    const fine = aDataset({ name: 'fine' });
    await catalog.declare(fine);
    const failure = {
      code: 'STORE_UNAVAILABLE',
      details: { detail: expect.stringContaining('datasets/test/numbers.json') },
    };
    await expect(catalog.find(dataset)).rejects.toMatchObject(failure);
    await expect(catalog.declare(dataset)).rejects.toMatchObject(failure);
    expect(await catalog.get(fine)).toEqual(fine);
    expect(await catalog.datasetsSharing(fine.derivationId, fine.batchEvents)).toEqual([fine]);
  });
}

test('the record of a derived dataset reads as it was declared, with its chain', async () => {
  const { catalog, other } = setUp();
  const derivation = { ...aDerivation(8), input: derived.derivationId };
  const inputs = [
    { ...link, dataset: 'test:first', derivation: derived.derivation, derivationId: derived.derivationId },
  ];
  const second = { ...derived, derivation, derivationId: derivationId(derivation), inputs: [...inputs, link] };
  await catalog.declare(second);
  expect(await other.get(second)).toEqual(second);
});

test('a record with more fields than this build knows still reads', async () => {
  const { catalog, inner } = setUp();
  await inner.put('datasets/test/numbers.json', [Buffer.from(JSON.stringify({ ...dataset, label: { of: 'later' } }))]);
  expect(await catalog.get(dataset)).toMatchObject(dataset);
});

test('datasets are listed in the order of their objects, by pages of any size', async () => {
  const { catalog, inner } = setUp();
  const names = ['b:1', 'a:b', 'a-b:z', 'a:b-c', 'a:b.json', '_:x', 'A:x'];
  for (const name of names) {
    const [scope, own] = name.split(':') as [string, string];
    await catalog.declare(aDataset({ scope, name: own }));
  }
  await inner.put('datasets/a/notes.txt', [Buffer.from('hello')]);
  const whole = ['A:x', '_:x', 'a-b:z', 'a:b-c', 'a:b', 'a:b.json', 'b:1'].sort((x, y) => {
    const [one, two] = [x, y].map((name) => `${name.replace(':', '/')}.json`) as [string, string];
    return one < two ? -1 : 1;
  });
  expect((await catalog.list({ limit: 100 })).map(fullName)).toEqual(whole);
  for (const limit of [1, 2, 3]) {
    const paged: string[] = [];
    for (let after: Dataset | undefined; ; ) {
      const page = await catalog.list({ after, limit });
      paged.push(...page.map(fullName));
      after = page.at(-1);
      if (page.length < limit) break;
    }
    expect(paged).toEqual(whole);
  }
});

test('retirement is for ever, and other processes know of it within two seconds', async () => {
  const { catalog, other, clock, calls } = setUp();
  await catalog.declare(dataset);
  expect(await catalog.isRetired(dataset)).toBe(false);
  expect(catalog.peekRetired(dataset)).toBe(false);
  calls.length = 0;
  expect(await catalog.isRetired(dataset)).toBe(false);
  expect(calls).toEqual([]);
  expect(await other.isRetired(dataset)).toBe(false);
  await other.retire(dataset);
  await other.retire(dataset);
  expect(await other.isRetired(dataset)).toBe(true);
  clock.ms += 2001;
  expect(catalog.peekRetired(dataset)).toBeUndefined();
  expect(await catalog.isRetired(dataset)).toBe(true);
  expect(await catalog.declare(dataset)).toEqual({ dataset, created: false });
  await expect(catalog.retire({ scope: 'no', name: 'such' })).rejects.toMatchObject({ code: 'DATASET_NOT_FOUND' });
});

test('while the store fails, what was last known of a retirement counts', async () => {
  const { catalog, clock, state } = setUp();
  await catalog.declare(dataset);
  await catalog.isRetired(dataset);
  state.down = true;
  clock.ms += 60_000;
  expect(await catalog.isRetired(dataset)).toBe(false);
  expect(await catalog.get(dataset)).toEqual(dataset);
  state.down = false;
  await catalog.retire(dataset);
  state.down = true;
  expect(await catalog.isRetired(dataset)).toBe(true);
  await expect(catalog.isRetired({ scope: 'test', name: 'unseen' })).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
  });
});

test('a store that does not answer is not waited for when a retirement is known', async () => {
  const { inner, clock } = setUp();
  let isSilent = false;
  const silent = failing(inner, () => (isSilent ? new Promise(() => {}) : undefined));
  const catalog = new Catalog(silent, clock);
  await catalog.declare(dataset);
  await catalog.isRetired(dataset);
  isSilent = true;
  clock.ms += 60_000;
  const began = performance.now();
  expect(await catalog.isRetired(dataset)).toBe(false);
  expect(performance.now() - began).toBeLessThan(3000);
});

test('a pin counts until it expires or is removed, and other processes know within two seconds', async () => {
  const { catalog, other, clock } = setUp();
  expect(await catalog.pinOf(dataset)).toBeUndefined();
  await catalog.pin(aPin({ reason: 'campaign' }));
  expect(await catalog.pinOf(dataset)).toEqual(aPin({ reason: 'campaign' }));
  expect(await other.pinOf(dataset)).toEqual(aPin({ reason: 'campaign' }));
  await catalog.pin(aPin({ expiresAt: '2030-07-01T00:00:00.000Z' }));
  clock.ms += 2001;
  expect((await other.pinOf(dataset))?.expiresAt).toBe('2030-07-01T00:00:00.000Z');
  expect(await catalog.unpin(dataset)).toBe(true);
  expect(await catalog.unpin(dataset)).toBe(false);
  expect(await catalog.pinOf(dataset)).toBeUndefined();
  await catalog.pin(aPin());
  clock.ms = Date.parse('2030-06-02T00:00:00.000Z');
  expect(await catalog.pinOf(dataset)).toBeUndefined();
});

test('datasets of one derivation are found together, those declared elsewhere within two seconds', async () => {
  const { catalog, other, clock, calls } = setUp();
  const sharing = async () => (await catalog.datasetsSharing(dataset.derivationId, 32)).map(fullName).sort();
  await catalog.declare(dataset);
  await catalog.declare(aDataset({ name: 'second', events: 77 }));
  await catalog.declare(aDataset({ name: 'other-batch', batchEvents: 16 }));
  const elsewhere = aDerivation(2);
  await other.declare({ ...aDataset({ name: 'other-seed', derivation: elsewhere }) });
  expect(await sharing()).toEqual(['test:numbers', 'test:second']);
  await other.declare(aDataset({ name: 'third' }));
  calls.length = 0;
  await sharing();
  expect(calls).toEqual([]);
  clock.ms += 2001;
  expect(await sharing()).toEqual(['test:numbers', 'test:second', 'test:third']);
  // One listing, and one read of the one new record.
  expect(calls).toEqual(['list datasets/', 'get datasets/test/third.json']);
});

test('a chunk is pinned by every dataset that has it, and by none that cuts elsewhere', async () => {
  const { catalog, other } = setUp();
  const short = aDataset({ name: 'short', events: 100 });
  await catalog.declare(dataset);
  await catalog.declare(short);
  await catalog.declare(aDataset({ name: 'finer', chunkEvents: 32 }));
  expect(await catalog.isPinned(chunkOf(dataset, 0))).toBe(false);
  await other.pin(aPin({ name: 'short' }));
  expect(await catalog.isPinned(chunkOf(dataset, 0))).toBe(true);
  expect(await catalog.isPinned(chunkOf(short, 1))).toBe(true);
  expect(await catalog.isPinned(chunkOf(dataset, 1))).toBe(false);
  expect(await catalog.isPinned(chunkOf(aDataset({ chunkEvents: 32 }), 0))).toBe(false);
  await other.unpin(short);
  expect(await catalog.isPinned(chunkOf(dataset, 0))).toBe(false);
});

test('an index that cannot be refreshed is an error, not an empty answer', async () => {
  const { catalog, state } = setUp();
  state.down = true;
  await expect(catalog.datasetsSharing(dataset.derivationId, 32)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await expect(catalog.isPinned(chunkOf(dataset, 0))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

test('a damaged record hides its own dataset from the list, and no other; a failing store is still an error', async () => {
  const { inner, catalog, state } = setUp();
  for (const name of ['a', 'b', 'c']) await catalog.declare(aDataset({ name }));
  await inner.put('datasets/test/b.json', [Buffer.from('{"half":')]);
  const fresh = new Catalog(inner, { now: () => 0 });
  expect((await fresh.list({ limit: 10 })).map(fullName)).toEqual(['test:a', 'test:c']);
  await expect(fresh.get({ scope: 'test', name: 'b' })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  state.down = true;
  await expect(catalog.list({ limit: 10 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});
