import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Dataset, DatasetName } from '../../core/dataset.ts';
import { lfnOf } from '../../core/files.ts';
import { FileIndex } from '../../store/file-index.ts';
import { aDataset } from './a-chunk.ts';

function setUp(...declared: Dataset[]) {
  const datasets = [...declared];
  const clock = { ms: 0, now: () => clock.ms };
  const asked = { listings: [] as string[], records: 0 };
  const index = new FileIndex({
    clock,
    async *names(scope: string) {
      asked.listings.push(scope);
      yield datasets.filter((dataset) => dataset.scope === scope);
    },
    async find({ scope, name }: DatasetName) {
      asked.records++;
      return datasets.find((dataset) => dataset.scope === scope && dataset.name === name);
    },
  });
  const find = async (lfn: string, scope = 'test') => (await index.of(scope)).datasetsWith(lfn);
  return { index, datasets, clock, asked, find };
}

const withFiles = (name: string, lfn: string, eventsPerFile = 100, fields: Partial<Dataset> = {}) =>
  aDataset({ name, files: { lfn, eventsPerFile }, ...fields });

test('a file is found with the dataset that has it, and a dataset under its own name', async () => {
  const { find } = setUp(withFiles('a', 'a.{n:03}.root'), withFiles('b', 'b.{n}'), aDataset({ name: 'plain' }));
  expect(await find('a.001.root')).toEqual(['a']);
  expect(await find('a.010.root')).toEqual(['a']);
  expect(await find('b.7')).toEqual(['b']);
  expect(await find('plain')).toEqual(['plain']);
  for (const none of ['a.011.root', 'a.000.root', 'a.1.root', 'b.11', 'c.1', '', '{n}', '__proto__', 'constructor']) {
    expect(await find(none), none).toEqual([]);
  }
  expect(await find('a.001.root', 'other')).toEqual([]);
});

test('digits that touch the number do not hide it', async () => {
  const { find } = setUp(withFiles('a', 'run2{n:02}5'), withFiles('b', '9{n}'));
  expect(await find('run2015')).toEqual(['a']);
  expect(await find('run2105')).toEqual(['a']);
  expect(await find('97')).toEqual(['b']);
});

test('every file of every dataset is found, among whatever others', async () => {
  const patterns = fc.uniqueArray(
    fc.tuple(
      fc.string({ unit: fc.constantFrom(...'ax0.'), maxLength: 4 }),
      fc.constantFrom('{n}', '{n:02}', '{n:03}'),
      fc.string({ unit: fc.constantFrom(...'ax0.'), maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 8, selector: (parts) => parts.join('') },
  );
  await fc.assert(
    fc.asyncProperty(patterns, fc.integer({ min: 1, max: 10 }), async (parts, n) => {
      const lfns = parts.map((each) => `F${each.join('')}`);
      const { find } = setUp(...lfns.map((lfn, i) => withFiles(`d${i}`, lfn)));
      for (const [i, lfn] of lfns.entries()) {
        const name = lfnOf({ lfn }, n);
        const found = await find(name);
        expect(found).toContain(`d${i}`);
        const all = lfns.flatMap((other, k) =>
          Array.from({ length: 10 }, (_, f) => lfnOf({ lfn: other }, f + 1)).includes(name) ? [`d${k}`] : [],
        );
        expect(found.sort()).toEqual(all.sort());
      }
    }),
    { numRuns: 50 },
  );
});

test('a flood of unknown files asks the store nothing, and what others declare is known within two seconds', async () => {
  const { find, datasets, clock, asked } = setUp(withFiles('a', 'a.{n}'));
  for (let i = 0; i < 1000; i++) expect(await find(`unknown.${i}`)).toEqual([]);
  expect(asked).toEqual({ listings: ['test'], records: 1 });
  datasets.push(withFiles('b', 'b.{n}'));
  clock.ms += 2000;
  expect(await find('b.1')).toEqual([]);
  clock.ms += 1;
  expect(await Promise.all([find('b.1'), find('b.2')])).toEqual([['b'], ['b']]);
  // A record is read once.
  expect(asked).toEqual({ listings: ['test', 'test'], records: 2 });
});

test('what is declared here is known at once', async () => {
  const { find, index, datasets } = setUp();
  expect(await find('a.1')).toEqual([]);
  const dataset = withFiles('a', 'a.{n}');
  datasets.push(dataset);
  index.add(dataset);
  index.add(withFiles('far', 'far.{n}', 100, { scope: 'far' }));
  expect(await find('a.1')).toEqual(['a']);
});

test('scopes that were not asked about for long are forgotten when there are very many datasets', async () => {
  const { find, clock, asked, index, datasets } = setUp();
  await find('x', 'empty');
  for (let scope = 0; scope < 4; scope++) {
    await find('x', `s${scope}`);
    for (let i = 0; i < 99_000; i++) index.add({ scope: `s${scope}`, name: `d${i}` } as Dataset);
  }
  await find('x', 's3');
  asked.listings.length = 0;
  for (const scope of ['s3', 's2', 's1', 's0', 'empty']) await find('x', scope);
  expect(asked.listings).toEqual(['s0', 'empty']);
  expect([clock.ms, datasets.length]).toEqual([0, 0]);
});
