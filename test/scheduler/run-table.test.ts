import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ChunkSpan, chunkCount } from '../../core/chunk.ts';
import { neighbourhoods, surveySpans } from '../../scheduler/run-table.ts';
import { datasetOf, FakeChunks } from './fakes.ts';

const order = ['absent', 'queued', 'stored'] as const;
type State = (typeof order)[number];
const ample = () => ({ listings: 100, chunks: 100_000 });

const indices = ({ first, end }: ChunkSpan) => Array.from({ length: end - first }, (_, i) => first + i);

test('the table of many spans agrees with asking for each of their chunks', async () => {
  const span = fc
    .tuple(fc.nat({ max: 99 }), fc.integer({ min: 1, max: 20 }))
    .map(([first, length]) => ({ first, end: Math.min(100, first + length) }));
  const some = fc.uniqueArray(fc.nat({ max: 99 }), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(fc.array(span, { minLength: 1, maxLength: 20 }), some, some, async (spans, storedAt, queuedAt) => {
      const dataset = datasetOf(995, 10);
      const chunks = new FakeChunks();
      for (const index of storedAt) chunks.put(dataset, index);
      const special = new Map(queuedAt.map((index) => [index, 'queued' as State]));
      const naming = { stored: (): State => 'stored', absent: 'absent' as const, special };
      const table = await surveySpans<State>(dataset, spans, chunks, naming, ample());
      const stateOf = (index: number): State =>
        storedAt.includes(index) ? 'stored' : queuedAt.includes(index) ? 'queued' : 'absent';
      for (const each of spans) {
        const states = indices(each).map(stateOf);
        expect(table.firstOf(order, each)).toBe(order.find((state) => states.includes(state)));
        const missing = table.inStates(new Set<State>(['absent', 'queued']), each).flatMap(indices);
        expect(missing).toEqual(indices(each).filter((index) => stateOf(index) !== 'stored'));
      }
      expect(chunks.calls.list).toBe(1);
      expect(chunkCount(dataset)).toBe(100);
    }),
    { numRuns: 60 },
  );
});

test('neighbours are listed together, and however many are far apart, the listings are few', () => {
  expect(neighbourhoods([])).toEqual([]);
  expect(
    neighbourhoods([
      { first: 5_000, end: 5_001 },
      { first: 0, end: 2 },
      { first: 900, end: 950 },
      { first: 1, end: 10 },
    ]),
  ).toEqual([
    { first: 0, end: 950 },
    { first: 5_000, end: 5_001 },
  ]);
  const far = Array.from({ length: 10_000 }, (_, i) => ({ first: 1e9 * i ** 1.3, end: 1e9 * i ** 1.3 + 1 }));
  const few = neighbourhoods(far);
  expect(few.length).toBeLessThanOrEqual(64);
  for (const { first, end } of far.filter((_, i) => i % 100 === 0)) {
    expect(few.some((each) => each.first <= first && each.end >= end)).toBe(true);
  }
});

test('no more of the store is looked at than is allowed, and the rest counts as absent', async () => {
  const dataset = datasetOf(1e9, 10);
  const chunks = new FakeChunks();
  for (let index = 0; index < 50; index++) chunks.put(dataset, index);
  const naming = { stored: (): State => 'stored', absent: 'absent' as const, special: new Map<number, State>() };
  const spans = [
    { first: 0, end: 10 },
    { first: 40, end: 50 },
  ];
  const few = await surveySpans<State>(dataset, spans, chunks, naming, { listings: 5, chunks: 20 });
  expect(spans.map((span) => few.firstOf(order, span))).toEqual(['stored', 'absent']);
  const none = await surveySpans<State>(dataset, spans, chunks, naming, { listings: 0, chunks: 20 });
  expect(spans.map((span) => none.firstOf(order, span))).toEqual(['absent', 'absent']);
  expect(chunks.calls.list).toBe(1);
});
