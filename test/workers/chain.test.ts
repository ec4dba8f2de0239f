// The chain by itself, with columns that have any number of values: whatever is stored of its links, however each is cut.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { batchesOf, type ChunkRef, chunkCount, chunkRange } from '../../core/chunk.ts';
import type { Column, EventColumns } from '../../core/columns.ts';
import { type EventRange, eventsIn } from '../../core/event-range.ts';
import { ChunkWriter } from '../../formats/arrow-writer.ts';
import type { Generator } from '../../generators/generator.ts';
import { GeneratorRegistry } from '../../generators/registry.ts';
import { EventChain, Makers } from '../../workers/chain.ts';
import { Stopwatch } from '../../workers/stopwatch.ts';
import type { ChunkTask, InputTask } from '../../workers/task.ts';
import { TaskWatch } from '../../workers/watch.ts';
import { aChain } from '../fixtures/orders.ts';

const columns: readonly Column[] = [
  { name: 'event', type: 'uint64', unit: '1', description: 'event number' },
  { name: 'nHit', type: 'int32', unit: '1', description: 'hits' },
  { name: 'Hit_e', type: 'float64', unit: 'GeV', description: 'energy', countedBy: 'nHit' },
];

const asked: EventRange[] = [];

/** Has up to four hits in an event; of an input it takes over all hits, one more of its own, and half of every energy. */
function hits(name: string, input: 'none' | 'required', cpuSeconds = 1e-6): Generator {
  const make = (range: EventRange, given?: EventColumns): EventColumns => {
    asked.push(range);
    const energies: number[] = [];
    const offsets = [0];
    for (let i = 0; i < eventsIn(range); i++) {
      const index = range.first + i;
      if (given === undefined) for (let hit = 0; hit < (index * 7) % 5; hit++) energies.push(index + hit / 8);
      else {
        const bounds = given.offsets['nHit'] as Int32Array;
        const all = given.values['Hit_e'] as Float64Array;
        for (let hit = bounds[i] as number; hit < (bounds[i + 1] as number); hit++) energies.push((all[hit] ?? 0) / 2);
        if (given.values['event']?.[i] !== BigInt(index + 1)) throw new Error('It was given other events.');
        energies.push(index);
      }
      offsets.push(energies.length);
    }
    const counts = Int32Array.from({ length: eventsIn(range) }, (_, i) => (offsets[i + 1] ?? 0) - (offsets[i] ?? 0));
    const event = BigUint64Array.from({ length: eventsIn(range) }, (_, i) => BigInt(range.first + i + 1));
    const values = { event, nHit: counts, Hit_e: Float64Array.from(energies) };
    return { events: eventsIn(range), values, offsets: { nHit: Int32Array.from(offsets) } };
  };
  return {
    name,
    version: '1',
    description: name,
    parameters: z.strictObject({}),
    columns,
    reproducibility: 'exact',
    input,
    cost: () => ({ cpuSeconds, rawBytes: 32 }),
    prepare: () => ({ make }),
  };
}

const makers = new Makers(
  new GeneratorRegistry([hits('leaf', 'none'), hits('more', 'required'), hits('heavy', 'none', 0.2)]),
);

/** The chunk's record batches from its chain, and what was taken from each link. */
function made(chunk: ChunkRef, inputs: readonly InputTask[], derivation: ChunkTask['derivation']) {
  const watch = TaskWatch.for(inputs.length);
  const origin = { code: '1', worker: { host: 'h', pid: 1, id: 'w' }, attempt: 1, requestId: 'r' };
  const task = { derivation, chunk, inputs, origin, watch: watch.memory };
  asked.length = 0;
  const chain = new EventChain(task, makers, watch, new Stopwatch(watch));
  const writer = new ChunkWriter(chunk, columns);
  for (const batch of batchesOf(chunk)) {
    const events = chain.make(batch);
    if (events === undefined) throw new Error('it was not asked to stop');
    writer.add(events);
  }
  const taken = inputs.map((_, i) => watch.taken(i + 1));
  return { ...writer.finish(), taken, largest: Math.max(...asked.map(eventsIn)) };
}

const anyGrid = fc.record({
  chunkEvents: fc.integer({ min: 1, max: 40 }),
  batchEvents: fc.integer({ min: 1, max: 20 }),
});
const anyLinks = fc.array(fc.tuple(anyGrid, fc.infiniteStream(fc.boolean())), { minLength: 2, maxLength: 4 });

test('a chunk is the same whatever is stored, and no link is asked for more than a record batch of any has', () => {
  fc.assert(
    fc.property(anyLinks, fc.integer({ min: 0, max: 95 }), fc.integer({ min: 1, max: 50 }), (wishes, first, events) => {
      const last = wishes.length - 1;
      const chain = aChain(wishes.map(([grid], at) => ({ generator: at === last ? 'leaf' : 'more', ...grid })));
      const chunkAt = (at: number, range: EventRange): ChunkRef => {
        const { derivationId, batchEvents } = chain[at] as (typeof chain)[number];
        return { derivation: derivationId, batchEvents, range };
      };
      const bare = chain.slice(1).map((link) => ({ ...link, stored: [] }));
      const derivationAt = (at: number) => (chain[at] as (typeof chain)[number]).derivation;
      const stored = bare.map((link, i) => {
        const indices = Array.from({ length: chunkCount(link) }, (_, index) => index);
        const there = indices.filter(() => wishes[i + 1]?.[1].next().value === true);
        return {
          ...link,
          stored: there.map((index) => {
            const chunk = chunkAt(i + 1, chunkRange(link, index));
            return { chunk, stream: made(chunk, bare.slice(i + 1), derivationAt(i + 1)).stream };
          }),
        };
      });
      const chunk = chunkAt(0, { first, end: Math.min(first + events, 96) });
      const remade = made(chunk, bare, derivationAt(0));
      const read = made(chunk, stored, derivationAt(0));
      expect(read.digest).toBe(remade.digest);
      for (const { largest } of [read, remade]) {
        expect(largest).toBeLessThanOrEqual(Math.min(...wishes.map(([grid]) => grid.batchEvents)));
      }
      // What is made of one link is what is needed of the next.
      let needed = eventsIn(chunk.range);
      for (const { readEvents, madeEvents } of read.taken) {
        expect(readEvents + madeEvents).toBe(needed);
        needed = madeEvents;
      }
    }),
    { numRuns: 60 },
  );
});

/** Of a chunk of eight events in two record batches. */
function chainOver(generator: string) {
  const [own, input] = aChain([{ generator: 'more' }, { generator }]);
  if (own === undefined || input === undefined) throw new Error('there are two');
  const watch = TaskWatch.for(1);
  const chunk = { derivation: own.derivationId, batchEvents: 4, range: { first: 0, end: 8 } };
  const origin = { code: '1', worker: { host: 'h', pid: 1, id: 'w' }, attempt: 1, requestId: 'r' };
  const inputs = [{ ...input, stored: [] }];
  const task = { derivation: own.derivation, chunk, inputs, origin, watch: watch.memory };
  return { watch, chain: new EventChain(task, makers, watch, new Stopwatch(watch)) };
}

test('events that take long, by any link’s word, are made a few at a time: whether to stop is looked at in between', () => {
  const { chain } = chainOver('heavy');
  asked.length = 0;
  expect(chain.make({ first: 0, end: 4 })?.events).toBe(4);
  expect(asked.map(eventsIn)).toEqual([2, 2, 2, 2]);
});

test('a chain that is to stop makes nothing more', () => {
  const { watch, chain } = chainOver('leaf');
  expect(chain.make({ first: 0, end: 4 })?.events).toBe(4);
  watch.stop();
  expect(chain.make({ first: 4, end: 8 })).toBeUndefined();
  expect(watch.taken(1).madeEvents).toBe(4);
});
