import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChunkRef } from '../../core/chunk.ts';
import { batchesOf, chunkKey } from '../../core/chunk.ts';
import type { Column } from '../../core/columns.ts';
import type { EventRange } from '../../core/event-range.ts';
import { ChunkWriter } from '../../formats/arrow-writer.ts';
import { openChunk } from '../../formats/chunk-file.ts';
import { readColumns } from '../../formats/read-chunk.ts';
import { minbias } from '../../generators/minbias.ts';
import { expectSameBits, makerOf } from '../generators/sample.ts';
import { storedByAnother } from './another-writer.ts';
import { brokenWithin, chunkAt, columns, derivationId, make, stored, streamOf } from './synthetic.ts';

const chunk = chunkAt(1);
const { stream } = streamOf(chunk);
const another = openChunk(chunkKey(chunk), storedByAnother(chunk, columns)).stream;

const within = ({ range }: ChunkRef) =>
  fc
    .tuple(fc.integer({ min: range.first, max: range.end - 1 }), fc.integer({ min: 1, max: 256 }))
    .map(([first, length]): EventRange => ({ first, end: Math.min(first + length, range.end) }));

test('any range of a chunk reads as it was made, bit for bit, with all its collections, whichever writer stored it', () => {
  fc.assert(
    fc.property(within(chunk), fc.boolean(), (range, isOurs) => {
      expectSameBits(readColumns(isOurs ? stream : another, columns, range, chunk), make(range));
    }),
    {
      numRuns: 60,
      examples: [
        [chunk.range, true],
        [chunk.range, false],
        [{ first: 256 + 63, end: 256 + 65 }, true],
      ],
    },
  );
});

test('any range of a generator’s chunk reads as the generator makes it, wherever the record batches end', () => {
  const maker = makerOf(minbias, { mean: 2, k: 0.5 });
  const anyChunk = fc
    .record({
      first: fc.nat({ max: 500 }),
      length: fc.integer({ min: 1, max: 90 }),
      batchEvents: fc.constantFrom(1, 4, 16, 64),
    })
    .map(
      ({ first, length, batchEvents }): ChunkRef => ({
        derivation: derivationId,
        batchEvents,
        range: { first, end: first + length },
      }),
    );
  fc.assert(
    fc.property(
      anyChunk.chain((made) => fc.tuple(fc.constant(made), within(made))),
      ([made, range]) => {
        const writer = new ChunkWriter(made, minbias.columns);
        for (const batch of batchesOf(made)) writer.add(maker.make(batch));
        expectSameBits(readColumns(writer.finish().stream, minbias.columns, range, made), maker.make(range));
      },
    ),
    { numRuns: 40 },
  );
});

test('some of the columns can be read alone', () => {
  const chosen = columns.filter(({ name }) => ['event', 'Hit_cell'].includes(name));
  const range = { first: 300, end: 400 };
  const read = readColumns(stream, chosen, range, chunk);
  expect(Object.keys(read.values)).toEqual(['event', 'Hit_cell']);
  expect(read.values['Hit_cell']).toEqual(make(range).values['Hit_cell']);
  expect(Object.keys(read.offsets)).toEqual(['nHit']);
});

test('a stream that is somewhere in a larger memory is read where it lies', () => {
  const larger = Buffer.concat([Buffer.alloc(3), stream, Buffer.alloc(5)]);
  const inside = larger.subarray(3, 3 + stream.length);
  expectSameBits(readColumns(inside, columns, chunk.range, chunk), make(chunk.range));
});

test('a stream without a column of the declared name and type is damage, and says which column', () => {
  const stranger: Column = { name: 'stranger', type: 'int32', unit: '1', description: 'Not there' };
  const retyped = columns.map((column): Column => (column.name === 'run' ? { ...column, type: 'float32' } : column));
  const flattened = columns.map(({ countedBy: _, ...column }): Column => column);
  for (const [declared, name] of [
    [[...columns, stranger], 'stranger'],
    [retyped, 'run'],
    [flattened, 'GenPart_pdgId'],
  ] as const) {
    expect(() => readColumns(stream, declared, chunk.range, chunk)).toThrow(
      expect.objectContaining({ code: 'CHUNK_DAMAGED', message: expect.stringContaining(`no column ${name}`) }),
    );
  }
});

test('a stream of another chunk, cut, or broken within a record batch, is damage', () => {
  const damage = expect.objectContaining({ code: 'CHUNK_DAMAGED' });
  const clipped = chunkAt(3);
  expect(() => readColumns(streamOf(clipped).stream, columns, chunk.range, chunk)).toThrow(damage);
  for (let length = 0; length < stream.length; length += 977) {
    expect(() => readColumns(stream.slice(0, length), columns, chunk.range, chunk)).toThrow(damage);
  }
  const broken = openChunk(chunkKey(chunk), brokenWithin(stored(chunk), chunk)).stream;
  expect(() => readColumns(broken, columns, chunk.range, chunk)).toThrow(damage);
  // The first record batch is whole.
  const first = { first: 256, end: 320 };
  expectSameBits(readColumns(broken, columns, first, chunk), make(first));
});

test('events that are not in the chunk are refused', () => {
  for (const range of [
    { first: 255, end: 300 },
    { first: 500, end: 513 },
    { first: 300, end: 300 },
  ]) {
    expect(() => readColumns(stream, columns, range, chunk)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  }
});
