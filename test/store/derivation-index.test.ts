import { expect, test } from 'vitest';
import { type Dataset, type DatasetName, formatDatasetName } from '../../core/dataset.ts';
import { DerivationIndex } from '../../store/derivation-index.ts';
import { aDataset } from './a-chunk.ts';

function setUp(listingMs = 0) {
  const datasets: Dataset[] = [];
  const asked: string[] = [];
  let listings = 0;
  const clock = { ms: 0, now: () => clock.ms };
  const index = new DerivationIndex({
    clock,
    async *names() {
      listings++;
      clock.ms += listingMs;
      yield datasets.slice(0, 2);
      yield datasets.slice(2);
    },
    async find(name: DatasetName) {
      asked.push(formatDatasetName(name));
      return datasets.find((dataset) => dataset.name === name.name);
    },
  });
  const find = async () => {
    const found = await index.find(aDataset().derivationId, 32);
    return found.map((dataset) => dataset.name);
  };
  return { index, datasets, asked, clock, find, listings: () => listings };
}

test('a record once read is not read again by a refresh', async () => {
  const { datasets, asked, clock, find } = setUp();
  for (const name of ['a', 'b', 'c', 'd']) datasets.push(aDataset({ name, batchEvents: 16 }));
  expect(await find()).toEqual([]);
  expect(asked).toHaveLength(4);
  clock.ms += 2001;
  expect(await find()).toEqual([]);
  expect(asked).toHaveLength(4);
});

test('many who ask at once cause one listing, and for two seconds no other', async () => {
  const { datasets, clock, find, listings } = setUp();
  datasets.push(aDataset({ name: 'a' }));
  expect(await Promise.all([find(), find(), find()])).toEqual([['a'], ['a'], ['a']]);
  clock.ms += 2000;
  await find();
  expect(listings()).toBe(1);
  clock.ms += 1;
  await find();
  expect(listings()).toBe(2);
});

test('a listing that takes long is asked for less often', async () => {
  const { clock, find, listings } = setUp(1000);
  await find();
  clock.ms += 9999;
  await find();
  expect(listings()).toBe(1);
  clock.ms += 2;
  await find();
  expect(listings()).toBe(2);
});

test('a dataset that was added is known without a listing, and once', async () => {
  const { index, datasets, clock, find } = setUp();
  await find();
  datasets.push(aDataset({ name: 'a' }));
  index.add(aDataset({ name: 'a' }));
  expect(await find()).toEqual(['a']);
  clock.ms += 2001;
  expect(await find()).toEqual(['a']);
});
