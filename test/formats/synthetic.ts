// Columns made up for the tests of formats: shaped like a generator's, a pure function of event and column.
import { createHash } from 'node:crypto';
import type { ChunkRef, Grid } from '../../core/chunk.ts';
import { batchesOf, chunkKey, chunkRange, chunksCovering } from '../../core/chunk.ts';
import type { Column, ColumnArray, EventColumns } from '../../core/columns.ts';
import type { EventRange } from '../../core/event-range.ts';
import { intersection } from '../../core/event-range.ts';
import type { Provenance } from '../../core/provenance.ts';
import { arrowWriter, ChunkWriter } from '../../formats/arrow-writer.ts';
import { sealChunk } from '../../formats/chunk-file.ts';
import type { StoredBatch } from '../../formats/chunk-reader.ts';
import { storedChunk } from '../../formats/chunk-reader.ts';
import { createEncoder } from '../../formats/encoder.ts';
import type { Marshaller } from '../../formats/marshaller.ts';
import type { FormatName, Selection } from '../../formats/representation.ts';
import { formats } from '../../formats/representation.ts';

const scalar = (name: string, type: Column['type'], unit = '1'): Column => ({
  name,
  type,
  unit,
  description: `The ${name}`,
});
const jagged = (name: string, type: Column['type'], countedBy: string, unit = 'GeV'): Column => ({
  ...scalar(name, type, unit),
  countedBy,
});

/** Like those of minbias, with a second collection. */
export const columns: readonly Column[] = [
  scalar('run', 'uint32'),
  scalar('luminosityBlock', 'uint32'),
  scalar('event', 'uint64'),
  scalar('genWeight', 'float32'),
  scalar('nGenPart', 'int32'),
  jagged('GenPart_pdgId', 'int32', 'nGenPart', '1'),
  jagged('GenPart_status', 'int32', 'nGenPart', '1'),
  ...['px', 'py', 'pz', 'E'].map((name) => jagged(`GenPart_${name}`, 'float64', 'nGenPart')),
  ...['pt', 'eta', 'phi', 'mass'].map((name) => jagged(`GenPart_${name}`, 'float32', 'nGenPart')),
  scalar('nHit', 'int32'),
  jagged('Hit_cell', 'uint32', 'nHit', '1'),
];

/** A well mixed 32-bit word. */
function word(event: number, column: number, value: number): number {
  let h = Math.imul(event + 1, 0x9e3779b1) ^ Math.imul(column + 1, 0x85ebca6b) ^ Math.imul(value + 1, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}

const counts: Readonly<Record<string, number>> = { nGenPart: 40, nHit: 3 };

function countOf(event: number, countedBy: string): number {
  return word(event, 1000 + countedBy.length, 0) % (counts[countedBy] as number);
}

/** Events [first, end) of the made-up derivation. */
export function make(range: EventRange, of: readonly Column[] = columns): EventColumns {
  const events = range.end - range.first;
  const offsets: Record<string, Int32Array> = {};
  for (const countedBy of new Set(of.flatMap((column) => column.countedBy ?? []))) {
    const bounds = new Int32Array(events + 1);
    for (let i = 0; i < events; i++) bounds[i + 1] = (bounds[i] as number) + countOf(range.first + i, countedBy);
    offsets[countedBy] = bounds;
  }
  const values: Record<string, ColumnArray> = {};
  of.forEach((column, c) => {
    const bounds = column.countedBy === undefined ? undefined : (offsets[column.countedBy] as Int32Array);
    const array = emptyArray(column, bounds?.[events] ?? events);
    for (let i = 0; i < events; i++) {
      const from = bounds?.[i] ?? i;
      const to = bounds?.[i + 1] ?? i + 1;
      for (let at = from; at < to; at++) array[at] = valueAt(column, c, range.first + i, at - from);
    }
    values[column.name] = array;
  });
  return { events, values, offsets };
}

function emptyArray(column: Column, length: number): ColumnArray {
  switch (column.type) {
    case 'int32':
      return new Int32Array(length);
    case 'uint32':
      return new Uint32Array(length);
    case 'uint64':
      return new BigUint64Array(length);
    case 'float32':
      return new Float32Array(length);
    case 'float64':
      return new Float64Array(length);
  }
}

function valueAt(column: Column, c: number, event: number, value: number): number | bigint {
  const random = word(event, c, value);
  if (column.type === 'uint64') return BigInt(event + 1);
  if (column.name in counts) return countOf(event, column.name);
  if (column.name === 'run' || column.name === 'luminosityBlock' || column.name === 'genWeight') return 1;
  if (column.name === 'GenPart_pdgId') return random % 2 === 0 ? 211 : -211;
  if (column.name === 'GenPart_status') return 1;
  if (column.name === 'GenPart_mass') return 0.13957;
  if (column.type === 'uint32') return random;
  return ((random + word(event, c, value + 77) / 2 ** 32) / 2 ** 32 - 0.5) * 10;
}

export const derivationId = createHash('sha256').update('synthetic').digest('hex');

export const grid: Grid = { events: 1000, chunkEvents: 256, batchEvents: 64 };

export function chunkAt(index: number, on: Grid = grid): ChunkRef {
  return { derivation: derivationId, batchEvents: on.batchEvents, range: chunkRange(on, index) };
}

export function provenanceOf(chunk: ChunkRef, digest: string, writer = arrowWriter): Provenance {
  return {
    derivation: { generator: 'synthetic', version: '1', parameters: {}, seed: 1 },
    derivationId: chunk.derivation,
    startEvent: chunk.range.first + 1,
    lastEvent: chunk.range.end,
    batchEvents: chunk.batchEvents,
    digest,
    writer,
    runtime: { node: '24.21.0', v8: '13.6', arch: 'x64', platform: 'linux' },
    code: '0.1.0',
    worker: { host: 'here', pid: 1, id: 'w' },
    cpuSeconds: 0.5,
    wallSeconds: 0.6,
    attempt: 1,
    generatedAt: '2026-01-01T00:00:00.000Z',
    requestId: chunkKey(chunk).slice(-8),
  };
}

export function streamOf(
  chunk: ChunkRef,
  of: readonly Column[] = columns,
): { stream: Uint8Array<ArrayBuffer>; digest: string } {
  const writer = new ChunkWriter(chunk, of);
  for (const range of batchesOf(chunk)) writer.add(make(range, of));
  return writer.finish();
}

/** A chunk at rest. */
export function stored(chunk: ChunkRef, of: readonly Column[] = columns): Buffer {
  const { stream, digest } = streamOf(chunk, of);
  return Buffer.concat(sealChunk(stream, provenanceOf(chunk, digest)));
}

export function selectionOf(range: EventRange, chosen?: readonly string[], on: Grid = grid): Selection {
  return {
    derivationId,
    grid: on,
    range,
    datasetColumns: columns,
    columns: chosen === undefined ? columns : columns.filter((column) => chosen.includes(column.name)),
  };
}

/** Every chunk of the grid at rest, by index. */
export function storedChunks(on: Grid = grid): Buffer[] {
  return Array.from({ length: Math.ceil(on.events / on.chunkEvents) }, (_, index) => stored(chunkAt(index, on)));
}

/** The body of an answer. */
export async function bodyOf(
  format: FormatName,
  selection: Selection,
  chunks: readonly Buffer[],
  marshaller: Marshaller,
): Promise<Buffer> {
  const encoder = createEncoder(formats[format], selection, marshaller);
  const pieces = [...encoder.head()];
  const { first, end } = chunksCovering(selection.range, selection.grid.chunkEvents);
  for (let index = first; index < end; index++) {
    const part = intersection(chunkRange(selection.grid, index), selection.range) as EventRange;
    for await (const piece of encoder.chunk(chunks[index] as Buffer, part)) pieces.push(piece);
  }
  return Buffer.concat([...pieces, ...encoder.tail()]);
}

/** A copy of which the second record batch has a body that cannot be decompressed; its head is as it was. */
export function brokenWithin(bytes: Buffer, chunk: ChunkRef): Buffer {
  const { at, headBytes, end } = storedChunk(bytes, chunk).batches[1] as StoredBatch;
  return Buffer.from(bytes).fill(0x55, at + headBytes, end);
}
