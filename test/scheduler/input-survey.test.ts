// What a plan says of inputs is what the worker decides for each chunk, found in as many steps as inputs have stored chunks.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkCount, chunkRange } from '../../core/chunk.ts';
import type { Dataset } from '../../core/dataset.ts';
import { derivationId } from '../../core/derivation.ts';
import { type EventRange, eventsIn, intersection } from '../../core/event-range.ts';
import { chunksToRead, inputBytesMax, inputLooksMax } from '../../costs/input-reads.ts';
import { InputSurvey } from '../../scheduler/input-survey.ts';
import type { Estimates, PlannedRun } from '../../scheduler/plan.ts';
import { explainRange } from '../../scheduler/survey.ts';
import { datasetOf, FakeChunks } from './fakes.ts';

/** A dataset on this grid that reads the given one. */
function derivedFrom(input: Dataset, events: number, chunkEvents: number): Dataset {
  const own = datasetOf(events, chunkEvents, 99);
  const derivation = { ...own.derivation, generator: 'derived', input: input.derivationId };
  const { derivation: made, derivationId: id, events: all, chunkEvents: cut, batchEvents } = input;
  const link = { derivation: made, derivationId: id, events: all, chunkEvents: cut, batchEvents };
  const inputs = [{ dataset: `test:${input.name}`, ...link }, ...(input.inputs ?? [])];
  return { ...own, name: `on_${input.name}`, derivation, derivationId: derivationId(derivation), inputs };
}

/** The stored chunks of one link, as the worker finds them for one chunk. */
function storedOf(chunks: FakeChunks, link: NonNullable<Dataset['inputs']>[number], range: EventRange) {
  const found: { range: EventRange; bytes: number }[] = [];
  for (let index = 0; index < chunkCount(link); index++) {
    const whole = chunkRange(link, index);
    const first = String(whole.first + 1).padStart(16, '0');
    const last = String(whole.end).padStart(16, '0');
    const bytes = chunks.stored.get(`${link.derivationId}/${link.batchEvents}/${first}-${last}`)?.length;
    if (bytes !== undefined && intersection(whole, range) !== undefined) found.push({ range: whole, bytes });
  }
  return found;
}

/** As if every stored chunk had so many bytes. */
function ofSize(chunks: FakeChunks, bytes: number) {
  return {
    async *list(...wanted: Parameters<FakeChunks['list']>) {
      for await (const { chunk } of chunks.list(...wanted)) yield { chunk, bytes };
    },
  };
}

test('the survey of inputs agrees with deciding for each chunk alone', async () => {
  const grid = fc.integer({ min: 1, max: 12 });
  const places = fc.array(fc.nat({ max: 60 }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60 }),
      fc.tuple(grid, grid, grid),
      fc.tuple(fc.nat({ max: 10 }), fc.nat({ max: 10 })),
      fc.tuple(places, places),
      // From never worth reading to always.
      fc.tuple(fc.constantFrom(0, 0.0001, 0.0004, 0.01, 1), fc.constantFrom(0, 0.0002, 0.01, 1)),
      fc.constantFrom(100, 12_000_000),
      fc.array(fc.nat({ max: 60 }), { maxLength: 6 }),
      async (events, [cut, cut1, cut2], [more1, more2], [at1, at2], [cost1, cost2], bytes, ends) => {
        const second = datasetOf(events + more1 + more2, cut2, 2);
        const first = { ...derivedFrom(second, events + more1, cut1), name: 'first' };
        const dataset = derivedFrom(first, events, cut);
        const [link1, link2] = dataset.inputs as [never, never];
        const chunks = new FakeChunks();
        const put = (to: Dataset, index: number) => {
          if (index < chunkCount(to)) chunks.put(to, index, 1);
        };
        for (const index of at1) put(first, index);
        for (const index of at2) put(second, index);
        const linkSeconds = [1, cost1, cost2];
        const survey = new InputSurvey(dataset, { first: 0, end: events }, ofSize(chunks, bytes), linkSeconds);

        // Some runs, in order, with gaps between them.
        const cuts = [...new Set(ends.map((end) => end % (chunkCount(dataset) + 1)))].sort((a, b) => a - b);
        for (const [i, end] of [...cuts, chunkCount(dataset)].entries()) {
          const span = { first: cuts[i - 1] ?? 0, end };
          if (i % 3 === 1 || span.first >= span.end) continue;
          const expected = [link1, link2].map(() => ({ chunksRead: 0, bytesRead: 0, eventsRemade: 0 }));
          for (let index = span.first; index < span.end; index++) {
            let wanted: readonly EventRange[] = [chunkRange(dataset, index)];
            let bytesMax = inputBytesMax;
            for (const [at, link] of [link1, link2].entries()) {
              const stored = storedOf(chunks, link, chunkRange(dataset, index)).map((one) => ({ ...one, bytes }));
              const secondsPerEvent = at === 0 ? cost1 + cost2 : cost2;
              const { read, left } = chunksToRead(stored, wanted, { secondsPerEvent, bytesMax });
              const sum = expected[at] as (typeof expected)[0];
              sum.chunksRead += read.length;
              sum.bytesRead += read.length * bytes;
              sum.eventsRemade += left.reduce((all, range) => all + eventsIn(range), 0);
              bytesMax -= read.length * bytes;
              wanted = left;
            }
          }
          const found = await survey.needOf(span);
          expect(
            found.map(({ chunksRead, bytesRead, eventsRemade }) => ({ chunksRead, bytesRead, eventsRemade })),
          ).toEqual(expected);
          for (const [at, { cpuSeconds, eventsRemade }] of found.entries()) {
            expect(cpuSeconds).toBeCloseTo(eventsRemade * (linkSeconds[at + 1] ?? 0));
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('what is read for one chunk is bounded over all of its inputs together', async () => {
  const base = datasetOf(100, 25, 2);
  const middle = { ...derivedFrom(base, 100, 25), name: 'middle' };
  const dataset = derivedFrom(middle, 100, 100);
  const chunks = new FakeChunks();
  for (const index of [0, 1]) chunks.put(middle, index);
  for (const index of [2, 3]) chunks.put(base, index);
  const chunksRead = async (bytes: number) => {
    const survey = new InputSurvey(dataset, { first: 0, end: 100 }, ofSize(chunks, bytes), [1, 1, 1]);
    return (await survey.needOf({ first: 0, end: 1 })).map((need) => need.chunksRead);
  };
  expect(await chunksRead(inputBytesMax / 4)).toEqual([2, 2]);
  expect(await chunksRead(inputBytesMax / 3)).toEqual([2, 1]);
  expect(await chunksRead(inputBytesMax / 2)).toEqual([2, 0]);
});

test('inputs of 2^53 chunks are surveyed in as many steps as they have stored ones', async () => {
  const many = Number.MAX_SAFE_INTEGER;
  const base = datasetOf(many, 1, 2);
  const dataset = derivedFrom(base, many, 1);
  const chunks = new FakeChunks();
  for (const index of [0, 1, 5, 2 ** 52]) chunks.put(base, index);
  const survey = new InputSurvey(dataset, { first: 0, end: many }, chunks, [1, 1]);
  const [need] = await survey.needOf({ first: 0, end: chunkCount(dataset) });
  expect(need).toMatchObject({ chunksRead: 4, eventsRemade: many - 4, isStored: true });
});

test('as many chunks of an input are looked at for one chunk as a worker looks for', async () => {
  const events = inputLooksMax * 3;
  const base = datasetOf(events, 1, 2);
  const dataset = derivedFrom(base, events, inputLooksMax * 2);
  const chunks = new FakeChunks();
  for (let index = 0; index < events; index++) chunks.put(base, index);
  const survey = new InputSurvey(dataset, { first: 0, end: events }, chunks, [1, 1]);
  expect(await survey.needOf({ first: 0, end: 1 })).toMatchObject([{ chunksRead: inputLooksMax }]);
  expect(await survey.needOf({ first: 1, end: 2 })).toMatchObject([{ chunksRead: inputLooksMax, eventsRemade: 0 }]);
});

test('one stored chunk of an input that holds those of 10^15 chunks is one step', async () => {
  const many = 10 ** 15;
  const base = datasetOf(many, many, 2);
  const dataset = derivedFrom(base, many, 1);
  const chunks = new FakeChunks();
  chunks.put(base, 0);
  const survey = new InputSurvey(dataset, { first: 0, end: many }, chunks, [1, 1]);
  const [need] = await survey.needOf({ first: 0, end: many });
  expect(need).toMatchObject({ chunksRead: many, eventsRemade: 0 });
});

test('inputs are listed only where something has to be made, and once for all runs', async () => {
  const base = datasetOf(1000, 10, 2);
  const dataset = derivedFrom(base, 1000, 10);
  const chunks = new FakeChunks();
  for (let index = 0; index < 100; index++) chunks.put(dataset, index);
  const explained = () => explain(dataset, chunks);
  await explained();
  expect(chunks.calls.list).toBe(1);
  chunks.stored.clear();
  for (let index = 1; index < 100; index += 2) chunks.put(dataset, index);
  const { runs } = await explained();
  expect(runs).toHaveLength(100);
  expect(chunks.calls.list).toBe(3);
});

const estimates: Estimates = {
  eventCost: { cpuSeconds: 0.03, rawBytes: 200, links: [0.02, 0.01] },
  threads: 2,
  prices: { cpuCoreHour: 3600, waitHour: 0, egressGb: 0 },
};

function explain(dataset: Dataset, chunks: FakeChunks, changes: Partial<Estimates> = {}, end = dataset.events) {
  const sources = { chunks, inMemory: () => false, underway: [], limit: 1000 };
  return explainRange(dataset, { first: 0, end }, { ...sources, estimates: { ...estimates, ...changes } });
}

function setUp() {
  const base = datasetOf(1000, 50, 2);
  return { base, dataset: derivedFrom(base, 1000, 100), chunks: new FakeChunks() };
}

test('what is generated costs its own CPU and that of the inputs made on the way, each told apart', async () => {
  const { base, dataset, chunks } = setUp();
  // Chunks 0 and 1 of the base are stored: all of the first chunk.
  for (const index of [0, 1]) chunks.put(base, index);
  const { runs, total } = await explain(dataset, chunks);
  expect(runs).toHaveLength(1);
  const [run] = runs as [PlannedRun];
  expect(run.inputs).toHaveLength(1);
  expect(run.inputs?.[0]).toMatchObject({
    dataset: `test:${base.name}`,
    derivation: base.derivationId,
    means: 'both',
    chunksRead: 2,
    eventsRemade: 900,
    cpuSeconds: 9,
  });
  expect(run.cpuSeconds).toBeCloseTo(1000 * 0.02 + 9);
  expect(run.cost).toBeCloseTo(29);
  // Ten chunks on two threads.
  expect(run.seconds).toBeCloseTo((1000 * 0.02) / 2 + (run.inputs?.[0]?.seconds ?? 0));
  expect(run.inputs?.[0]?.seconds).toBeCloseTo(9 / 2, 1);
  expect(total).toMatchObject({ cpuSeconds: run.cpuSeconds, cost: run.cost });
});

test('every link says what becomes of it, and why in one sentence', async () => {
  const linkOf = async (stored: readonly number[], links: readonly number[] = [0.02, 0.01]) => {
    const { base, dataset, chunks } = setUp();
    for (const index of stored) chunks.put(base, index);
    const { runs } = await explain(dataset, chunks, { eventCost: { cpuSeconds: 1, rawBytes: 1, links } }, 100);
    const { means, why } = runs[0]?.inputs?.[0] ?? {};
    return [means, why];
  };
  expect(await linkOf([])).toEqual(['remake', 'None of it is stored: it is made on the way, and not kept.']);
  expect(await linkOf([0, 1])).toEqual(['read', expect.stringMatching(/^All that is needed is stored/)]);
  expect(await linkOf([1])).toEqual(['both', expect.stringMatching(/read; the rest is made on the way/)]);
  expect(await linkOf([0, 1], [0.02, 1e-9])).toEqual(['remake', expect.stringMatching(/less than reading/)]);
});

test('what lies behind an input that is read is not needed', async () => {
  const base = datasetOf(100, 50, 2);
  const middle = { ...derivedFrom(base, 100, 100), name: 'middle' };
  const dataset = derivedFrom(middle, 100, 100);
  const chunks = new FakeChunks();
  chunks.put(middle, 0);
  const links = [0.1, 0.1, 0.1];
  const { runs } = await explain(dataset, chunks, { eventCost: { cpuSeconds: 0.3, rawBytes: 1, links } });
  expect(runs[0]?.inputs?.map(({ means, cpuSeconds }) => [means, cpuSeconds])).toEqual([
    ['read', 0],
    ['none', 0],
  ]);
  expect(runs[0]?.cpuSeconds).toBeCloseTo(10);
});

test('chunks of an input that lie on another grid than the one written down are not read', async () => {
  const { base, dataset, chunks } = setUp();
  chunks.put({ ...base, chunkEvents: 25 }, 0);
  const { runs } = await explain(dataset, chunks);
  expect(runs[0]?.inputs?.[0]).toMatchObject({ means: 'remake', chunksRead: 0 });
});

test('stored, joined and unmakeable runs say nothing of inputs', async () => {
  const { base, dataset, chunks } = setUp();
  chunks.put(base, 0);
  chunks.put(dataset, 0);
  expect((await explain(dataset, chunks)).runs[0]).not.toHaveProperty('inputs');
  const unmakeable = await explain(dataset, chunks, { eventCost: undefined });
  for (const run of unmakeable.runs) expect(run).not.toHaveProperty('inputs');
});
