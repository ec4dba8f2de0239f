// The state of ranges of any size, from listings.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkCount, chunkKey, chunksCovering } from '../../core/chunk.ts';
import { chunkOf } from '../../core/dataset.ts';
import type { ChunkRun } from '../../scheduler/plan.ts';
import { chunkIndexOf, explainRange, indicesAmong, surveyRange } from '../../scheduler/survey.ts';
import { allIndices, datasetOf, FakeChunks } from './fakes.ts';

const estimates = {
  eventCost: { cpuSeconds: 0.001, rawBytes: 100, links: [0.001] },
  threads: 2,
  prices: { cpuCoreHour: 1, waitHour: 0, egressGb: 0, currency: 'EUR' },
};

async function all<S>(runs: AsyncIterable<ChunkRun<S>>): Promise<ChunkRun<S>[]> {
  const collected: ChunkRun<S>[] = [];
  for await (const run of runs) collected.push(run);
  return collected;
}

test('the survey of a range agrees with asking for each of its chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.nat({ max: 400 }), { maxLength: 100 }),
      fc.array(fc.nat({ max: 400 }), { maxLength: 20 }),
      fc.nat(),
      fc.nat(),
      async (events, chunkEvents, storedAt, specialAt, a, b) => {
        const dataset = datasetOf(events, chunkEvents);
        const chunks = new FakeChunks();
        const stored = new Set(storedAt.filter((index) => index < chunkCount(dataset)));
        const special = new Map(specialAt.map((index) => [index, 'special']));
        for (const index of stored) chunks.put(dataset, index);
        const [first, last] = [a % events, b % events].sort((x, y) => x - y) as [number, number];
        const range = { first, end: last + 1 };
        const runs = await all(
          surveyRange(dataset, range, chunks, { stored: () => 'stored', absent: 'absent', special }),
        );
        const states = runs.flatMap(({ firstChunk, lastChunk, state }) =>
          Array.from({ length: lastChunk - firstChunk + 1 }, (_, i) => [firstChunk + i, state]),
        );
        const span = chunksCovering(range, chunkEvents);
        const expected = allIndices(dataset)
          .filter((index) => index >= span.first && index < span.end)
          .map((index) => [index, stored.has(index) ? 'stored' : (special.get(index) ?? 'absent')]);
        expect(states).toEqual(expected);
        expect(runs.every(({ state }, i) => state !== runs[i - 1]?.state)).toBe(true);
      },
    ),
  );
});

test('a range of 2^53 events is surveyed with as many steps as it has stored chunks', async () => {
  const dataset = datasetOf(Number.MAX_SAFE_INTEGER, 1);
  const chunks = new FakeChunks();
  for (const index of [0, 1, 5, 2 ** 52]) chunks.put(dataset, index);
  const special = new Map([[7, 'queued']]);
  const naming = { stored: () => 'stored', absent: 'absent', special };
  const runs = await all(surveyRange(dataset, { first: 0, end: dataset.events }, chunks, naming));
  expect(runs.map(({ firstChunk, lastChunk, state }) => [firstChunk, lastChunk, state])).toEqual([
    [0, 1, 'stored'],
    [2, 4, 'absent'],
    [5, 5, 'stored'],
    [6, 6, 'absent'],
    [7, 7, 'queued'],
    [8, 2 ** 52 - 1, 'absent'],
    [2 ** 52, 2 ** 52, 'stored'],
    [2 ** 52 + 1, Number.MAX_SAFE_INTEGER - 1, 'absent'],
  ]);
});

test('chunks of another grid over the same derivation are not taken for ours', async () => {
  const ours = datasetOf(100, 10);
  const theirs = { ...ours, chunkEvents: 20 };
  const longer = { ...ours, events: 105 };
  const chunks = new FakeChunks();
  for (const index of allIndices(theirs)) chunks.put(theirs, index);
  chunks.put(longer, 10);
  chunks.put(ours, 4);
  const naming = { stored: () => true, absent: false, special: new Map<number, boolean>() };
  const runs = await all(surveyRange(ours, { first: 0, end: 100 }, chunks, naming));
  expect(runs.filter(({ state }) => state)).toEqual([{ firstChunk: 4, lastChunk: 4, state: true, bytes: 100 }]);
  expect(chunkIndexOf(ours, chunkOf(theirs, 0))).toBeUndefined();
  expect(chunkIndexOf(ours, chunkOf(datasetOf(100, 10, 2), 0))).toBeUndefined();
  expect(chunkIndexOf(ours, chunkOf(ours, 9))).toBe(9);
});

test('keys under way are told by dataset and span', () => {
  const ours = datasetOf(100, 10);
  const other = datasetOf(100, 10, 2);
  const keys = [chunkKey(chunkOf(ours, 1)), chunkKey(chunkOf(ours, 8)), chunkKey(chunkOf(other, 2))];
  expect(indicesAmong(ours, { first: 0, end: 5 }, keys)).toEqual(new Set([1]));
});

test('a plan of many runs is cut, says where to go on, and its totals are of all', async () => {
  const dataset = datasetOf(1000, 10);
  const chunks = new FakeChunks();
  for (let index = 0; index < 100; index += 2) chunks.put(dataset, index);
  const sources = {
    chunks,
    inMemory: (index: number) => index === 0,
    underway: [chunkKey(chunkOf(dataset, 1))],
    estimates,
  };
  const cut = await explainRange(dataset, { first: 0, end: 1000 }, { ...sources, limit: 3 });
  expect(cut.runs.map(({ means }) => means)).toEqual(['memory', 'join', 'near']);
  expect(cut.nextChunk).toBe(3);
  expect(cut.total.chunks).toBe(100);
  expect(cut.summary).toEqual({ hit: 50, joined: 1, generated: 49 });
  const whole = await explainRange(dataset, { first: 0, end: 1000 }, { ...sources, limit: 1000 });
  expect(whole.nextChunk).toBeUndefined();
  expect(whole.total).toEqual(cut.total);
  const rest = await explainRange(dataset, { first: 30, end: 1000 }, { ...sources, limit: 1000 });
  expect(rest.runs[0]?.firstChunk).toBe(3);
});
