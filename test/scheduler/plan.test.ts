// Planning is pure arithmetic: runs cover the range's chunks in order, totals are the sums of the runs.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunksCovering } from '../../core/chunk.ts';
import type { Dataset } from '../../core/dataset.ts';
import type { EventRange } from '../../core/event-range.ts';
import type { Estimates, Means, Plan } from '../../scheduler/plan.ts';
import { PlanBuilder, RunMerger } from '../../scheduler/plan.ts';
import { datasetOf } from './fakes.ts';

const estimates: Estimates = {
  eventCost: { cpuSeconds: 0.01, rawBytes: 200, links: [0.01] },
  threads: 4,
  prices: { cpuCoreHour: 3600, waitHour: 0, egressGb: 0 },
};
const meansOf = fc.constantFrom<Means>('memory', 'near', 'join', 'generate');

/** Plans a range whose chunks are in these states. */
function planRange(
  dataset: Dataset,
  range: EventRange,
  stateOf: (chunkIndex: number) => { means: Means; bytes?: number },
  estimates: Estimates,
): Plan {
  const builder = new PlanBuilder(dataset, range, estimates);
  const merger = new RunMerger<Means>();
  const { first, end } = chunksCovering(range, dataset.chunkEvents);
  for (let index = first; index < end; index++) {
    const { means, bytes = 0 } = stateOf(index);
    const run = merger.push({ firstChunk: index, lastChunk: index, state: means, bytes });
    if (run !== undefined) builder.add(run);
  }
  const last = merger.end();
  if (last !== undefined) builder.add(last);
  return builder.plan();
}

test('consecutive chunks of equal means are one run', () => {
  const dataset = datasetOf(1000, 100);
  const means: Means[] = ['memory', 'memory', 'near', 'near', 'generate', 'generate', 'join', 'near', 'near', 'near'];
  const plan = planRange(dataset, { first: 0, end: 1000 }, (index) => ({ means: means[index] ?? 'near' }), estimates);
  expect(plan.runs.map(({ firstChunk, lastChunk, means }) => [firstChunk, lastChunk, means])).toEqual([
    [0, 1, 'memory'],
    [2, 3, 'near'],
    [4, 5, 'generate'],
    [6, 6, 'join'],
    [7, 9, 'near'],
  ]);
  expect(plan.summary).toEqual({ hit: 7, joined: 1, generated: 2 });
});

test('runs cover the chunks of the range exactly, in order, and neighbours differ', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 300 }),
      fc.array(meansOf, { minLength: 1, maxLength: 50 }),
      fc.nat(),
      fc.nat(),
      (events, chunkEvents, states, a, b) => {
        const dataset = datasetOf(events, chunkEvents);
        const [first, last] = [a % events, b % events].sort((x, y) => x - y) as [number, number];
        const range = { first, end: last + 1 };
        const stateOf = (index: number) => ({ means: states[index % states.length] ?? 'near', bytes: 10 });
        const { runs, total, summary } = planRange(dataset, range, stateOf, estimates);
        const span = chunksCovering(range, chunkEvents);
        let next = span.first;
        for (const [i, run] of runs.entries()) {
          expect(run.firstChunk).toBe(next);
          for (let index = run.firstChunk; index <= run.lastChunk; index++)
            expect(stateOf(index).means).toBe(run.means);
          expect(runs[i - 1]?.means).not.toBe(run.means);
          next = run.lastChunk + 1;
        }
        expect(next).toBe(span.end);
        expect(total.chunks).toBe(span.end - span.first);
        expect(summary.hit + summary.joined + summary.generated).toBe(total.chunks);
        expect(total.bytes).toBe(runs.reduce((sum, { bytes }) => sum + bytes, 0));
      },
    ),
  );
});

test('what is generated costs whole chunks, however few of their events are asked for', () => {
  const dataset = datasetOf(250, 100);
  const plan = planRange(dataset, { first: 50, end: 210 }, () => ({ means: 'generate' }), estimates);
  // 250 events: the last chunk is clipped to the dataset.
  expect(plan.total.cpuSeconds).toBeCloseTo(2.5);
  expect(plan.total.cost).toBeCloseTo(2.5);
  expect(plan.total.bytes).toBe(160 * 200);
});

test('chunks made for others add no CPU, and stored ones none', () => {
  const dataset = datasetOf(1000, 100);
  for (const means of ['memory', 'near', 'join'] as const) {
    const plan = planRange(dataset, { first: 0, end: 1000 }, () => ({ means, bytes: 1000 }), estimates);
    expect([plan.total.cpuSeconds, plan.total.cost]).toEqual([0, 0]);
  }
});

test('memory is ready at once, and generation takes as many rounds as the threads need', () => {
  const dataset = datasetOf(1000, 100);
  const secondsOf = (means: Means, threads = 4) =>
    planRange(dataset, { first: 0, end: 1000 }, () => ({ means, bytes: 1000 }), { ...estimates, threads }).total
      .seconds;
  expect(secondsOf('memory')).toBe(0);
  expect(secondsOf('near')).toBeGreaterThan(0);
  expect(secondsOf('near')).toBeLessThan(0.1);
  expect(secondsOf('generate', 1)).toBeCloseTo(10);
  expect(secondsOf('generate', 4)).toBeCloseTo(3);
  expect(secondsOf('generate', 100)).toBeCloseTo(1);
});

test('waiting and sending are priced as the settings say', () => {
  const dataset = datasetOf(100, 100);
  const prices = { cpuCoreHour: 0, waitHour: 3600, egressGb: 1e6, currency: 'EUR' };
  const plan = planRange(dataset, { first: 0, end: 50 }, () => ({ means: 'generate' }), { ...estimates, prices });
  // One second of waiting, and 50 of 100 events of 200 bytes sent.
  expect(plan.total.cost).toBeCloseTo(1 + 50 * 200 * 1e-3);
});

test('every run says why in one sentence', () => {
  const dataset = datasetOf(1000, 100);
  const whyOf = (means: Means, changes: Partial<Estimates> = {}) =>
    planRange(dataset, { first: 0, end: 200 }, () => ({ means }), { ...estimates, ...changes }).runs[0]?.why;
  expect(whyOf('memory')).toBe('The 2 chunks are in the memory of this process.');
  expect(whyOf('near')).toBe('The 2 chunks are in the store.');
  expect(whyOf('join')).toBe('The 2 chunks are being made for another request.');
  expect(whyOf('generate')).toBe('The 2 chunks are not stored and made by 4 generating threads.');
  expect(whyOf('generate', { threads: 0 })).toBe('The 2 chunks are not stored, and no worker is up to make more.');
  expect(whyOf('generate', { eventCost: undefined })).toMatch(/no generator is registered/);
});
