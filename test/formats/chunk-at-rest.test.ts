import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChunkRef } from '../../core/chunk.ts';
import { batchesOf } from '../../core/chunk.ts';
import type { Column, EventColumns } from '../../core/columns.ts';
import { EvokeError } from '../../core/errors.ts';
import { arrowWriter, ChunkWriter } from '../../formats/arrow-writer.ts';
import { readChunk } from '../../formats/chunk-reader.ts';
import { cut } from '../../formats/cut.ts';
import { endMarker } from '../../formats/ipc.ts';
import { decodeBatchFrame, encodeBatch } from '../../formats/record-batch.ts';
import { decodeBatch, plain, readIndependently } from './reader.ts';
import { chunkAt, columns, derivationId, make, stored, streamOf } from './synthetic.ts';

test('an independent reader finds every value of every column, in the stream alone and in the object with its trailer', () => {
  const chunk = chunkAt(1);
  const made = make(chunk.range);
  for (const bytes of [streamOf(chunk).stream, stored(chunk)]) {
    const read = readIndependently(bytes);
    expect(read.rows).toBe(256);
    expect(read.names).toEqual(columns.map((column) => column.name));
    for (const column of columns) expect(read.column(column.name), column.name).toEqual(plain(column, made));
  }
});

test('a batch without any particle is read like any other', () => {
  const chunk: ChunkRef = { derivation: derivationId, batchEvents: 4, range: { first: 0, end: 6 } };
  const writer = new ChunkWriter(chunk, columns);
  for (const range of batchesOf(chunk)) writer.add(withoutParticles(make(range)));
  const { stream } = writer.finish();
  const read = readIndependently(stream);
  expect(read.column('GenPart_px')).toEqual([[], [], [], [], [], []]);
  expect(read.column('event')).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
  const parsed = readChunk(Buffer.from(stream), chunk);
  expect(decodeBatch(parsed, 1, columns)).toEqual(withoutParticles(make({ first: 4, end: 6 })));
});

function withoutParticles(data: EventColumns): EventColumns {
  const values = Object.fromEntries(
    columns.map(({ name, countedBy }) => [
      name,
      countedBy === undefined ? data.values[name] : data.values[name]?.subarray(0, 0),
    ]),
  ) as EventColumns['values'];
  const offsets = Object.fromEntries(Object.keys(data.offsets).map((name) => [name, new Int32Array(data.events + 1)]));
  return { events: data.events, values, offsets };
}

test('a stream ends with the end marker, and its digest is the SHA-256 of the stream', () => {
  const { stream, digest } = streamOf(chunkAt(3));
  expect(Buffer.from(stream.subarray(-8))).toEqual(endMarker);
  expect(digest).toBe(createHash('sha256').update(stream).digest('hex'));
  expect(stream.byteLength).toBe(stream.buffer.byteLength);
});

// These bytes are what stands in people's stores. They may change only together with the writer's identity.
test('the bytes of a chunk change only when the writer does', () => {
  expect({
    writer: arrowWriter,
    whole: streamOf(chunkAt(0)).digest,
    clipped: streamOf(chunkAt(3)).digest,
    scalars: streamOf(chunkAt(2), columns.slice(0, 5)).digest,
  }).toEqual({
    writer: 'evoke-arrow/1 apache-arrow/21.2.0 zstd/1.5.7',
    whole: '8d41c2d633935563f4278ef7df00598be6cfd6f4dfd88a2116f2b303376dc5ea',
    clipped: 'c3edd8d89ca78350d6227832e9a50c9e85cd56bd6f8ca4069368533ea602060f',
    scalars: 'be54f7af95460b9412b4bbe3df1bdbee7ae48a2ec1679d2755cd3c03ef96927d',
  });
});

test('arrays that are used again for the next batch do not change the batches before', () => {
  const column: Column = { name: 'noise', type: 'float64', unit: '1', description: 'Does not compress' };
  const chunk: ChunkRef = { derivation: derivationId, batchEvents: 8, range: { first: 0, end: 16 } };
  const noise = new Float64Array(8);
  const writer = new ChunkWriter(chunk, [column]);
  for (const batch of [1, 2]) {
    for (let i = 0; i < 8; i++) noise[i] = Math.sqrt(batch * 8 + i);
    writer.add({ events: 8, values: { noise }, offsets: {} });
  }
  const expected = Array.from({ length: 16 }, (_, i) => Math.sqrt(8 + i));
  expect(readIndependently(writer.finish().stream).column('noise')).toEqual(expected);
});

test.each([
  ['GenPart_eta', Number.NaN],
  ['GenPart_px', Number.POSITIVE_INFINITY],
  ['genWeight', Number.NEGATIVE_INFINITY],
])('a %s of %s is a failure of that event', (name, value) => {
  const chunk = chunkAt(1);
  const [first, second] = [...batchesOf(chunk)];
  const writer = new ChunkWriter(chunk, columns);
  writer.add(make(first as ChunkRef['range']));
  const data = make(second as ChunkRef['range']);
  const event = 17;
  const at = name === 'genWeight' ? event : (data.offsets['nGenPart']?.[event] as number);
  (data.values[name] as Float64Array)[at] = value;
  const failure = expect(() => writer.add(data));
  failure.toThrow(EvokeError);
  failure.toThrow(
    expect.objectContaining({
      code: 'GENERATION_FAILED',
      details: expect.objectContaining({ event: 256 + 64 + 17 + 1 }),
    }),
  );
});

test('a chunk with too few, too many or misfitting events is not written', () => {
  const chunk = chunkAt(0);
  const writer = new ChunkWriter(chunk, columns);
  const internal = expect.objectContaining({ code: 'INTERNAL' });
  expect(() => writer.finish()).toThrow(internal);
  expect(() => writer.add(make({ first: 0, end: 63 }))).toThrow(internal);
  for (const range of batchesOf(chunk)) writer.add(make(range));
  expect(() => writer.add(make({ first: 256, end: 320 }))).toThrow(internal);
  const data = make({ first: 0, end: 4 });
  const without = { ...data, values: { ...data.values, GenPart_pt: new Float64Array(3) } };
  expect(() => encodeBatch(columns, without)).toThrow(TypeError);
});

test('every batch decodes to what was encoded', () => {
  const chunk = chunkAt(3);
  const parsed = readChunk(Buffer.from(streamOf(chunk).stream), chunk);
  expect(parsed.batches.map((batch) => batch.range)).toEqual([...batchesOf(chunk)]);
  parsed.batches.forEach((batch, index) => {
    expect(decodeBatch(parsed, index, columns)).toEqual(make(batch.range));
  });
});

test('a cut batch is byte for byte the batch that would have been made of those events alone', () => {
  const whole = decodeBatchFrame(encodeBatch(columns, make({ first: 100, end: 164 })), columns);
  fc.assert(
    fc.property(fc.nat({ max: 63 }), fc.integer({ min: 1, max: 64 }), (first, length) => {
      const end = Math.min(first + length, 64);
      const fresh = encodeBatch(columns, make({ first: 100 + first, end: 100 + end }));
      expect(Buffer.compare(encodeBatch(columns, cut(columns, whole, first, end)), fresh)).toBe(0);
    }),
    { numRuns: 60 },
  );
});
