import { expect, test } from 'vitest';
import type { Dataset } from '../../core/dataset.ts';
import { checkWithin, chunkOf, parseDatasetName } from '../../core/dataset.ts';

const dataset: Dataset = {
  scope: 'demo',
  name: 'zmumu',
  events: 1000,
  chunkEvents: 300,
  batchEvents: 128,
  derivation: { generator: 'ee_mumu', version: '1.0.0', parameters: {}, seed: 1 },
  derivationId: 'cd'.repeat(32),
  columns: [{ name: 'event', type: 'uint64', unit: '1', description: 'event number' }],
  reproducibility: 'exact',
  declaredAt: '2026-01-01T00:00:00.000Z',
};

test('scope:name is read', () => {
  expect(parseDatasetName('mc23_13p6TeV:evgen.ee-mumu_v1')).toEqual({
    scope: 'mc23_13p6TeV',
    name: 'evgen.ee-mumu_v1',
  });
});

test.each([
  '',
  'demo',
  ':',
  'a:',
  ':b',
  'a:b:c',
  '..:x',
  'a:.hidden',
  'a:-x',
  'a:b/c',
  'a:b c',
  'ä:b',
  `a:${'x'.repeat(201)}`,
])('%j is refused as a dataset name', (text) => {
  expect(() => parseDatasetName(text)).toThrow(expect.objectContaining({ code: 'MALFORMED_NAME' }));
});

test('the last chunk is clipped to the dataset', () => {
  expect(chunkOf(dataset, 3)).toEqual({
    derivation: 'cd'.repeat(32),
    batchEvents: 128,
    range: { first: 900, end: 1000 },
  });
});

test('a range within the dataset passes, one beyond it says how many events there are', () => {
  expect(checkWithin({ first: 0, end: 1000 }, dataset)).toEqual({ first: 0, end: 1000 });
  expect(() => checkWithin({ first: 0, end: 1001 }, dataset)).toThrow(
    expect.objectContaining({ code: 'BEYOND_DATASET', details: expect.objectContaining({ events: 1000 }) }),
  );
});
