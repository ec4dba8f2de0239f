// A stored chunk back as columns, for whoever makes events from it: bit for bit what its generator had returned, whatever
// writer stored it and wherever in its record batches the asked events begin and end.
import type { ChunkRef } from '../core/chunk.ts';
import type { Column, ColumnArray, ColumnType, EventColumns } from '../core/columns.ts';
import { EvokeError } from '../core/errors.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventsIn, formatEventRange } from '../core/event-range.ts';
import { batchesTouched } from './batch-works.ts';
import type { ParsedChunk } from './chunk-reader.ts';
import { asDamage, layoutOf, readChunk } from './chunk-reader.ts';
import { cut } from './cut.ts';
import { project } from './projection.ts';
import { arrays, decodeBatchFrame } from './record-batch.ts';

/** Taken apart once, however often a stream is read: a chunk is read a record batch at a time. */
const parsedChunks = new WeakMap<Uint8Array, ParsedChunk>();

/**
 * The events `range`, which lie within the chunk, in the given columns; offsets begin at 0. `stream` is the chunk's Arrow stream
 * without its trailer, and its contents must not change: the arrays may be views of it, and are not to be written into.
 * @throws EvokeError CHUNK_DAMAGED when the stream is not this chunk's or lacks a column of the declared type.
 */
export function readColumns(
  stream: Uint8Array,
  columns: readonly Column[],
  range: EventRange,
  chunk: ChunkRef,
): EventColumns {
  if (range.first < chunk.range.first || range.end > chunk.range.end || eventsIn(range) < 1) {
    throw new EvokeError('INTERNAL', { detail: `${formatEventRange(range)} is not within the chunk that is read.` });
  }
  const parsed = parsedChunk(stream, chunk);
  const { slots } = layoutOf(parsed, columns);
  try {
    const pieces: EventColumns[] = [];
    for (const [batch, wanted] of batchesTouched(parsed, range)) {
      const data = decodeBatchFrame(project(parsed.stream, batch, slots, columns), columns);
      pieces.push(cut(columns, data, wanted.first - batch.range.first, wanted.end - batch.range.first));
    }
    return joined(columns, pieces);
  } catch (error) {
    throw asDamage(error, chunk);
  }
}

function parsedChunk(stream: Uint8Array, chunk: ChunkRef): ParsedChunk {
  const known = parsedChunks.get(stream);
  if (known?.chunk === chunk) return known;
  const parsed = readChunk(Buffer.from(stream.buffer, stream.byteOffset, stream.byteLength), chunk);
  parsedChunks.set(stream, parsed);
  return parsed;
}

/** Consecutive events put end to end, at least one piece. */
export function joined(columns: readonly Column[], pieces: readonly EventColumns[]): EventColumns {
  const [only, ...others] = pieces;
  if (only !== undefined && others.length === 0) return only;
  const offsets: Record<string, Int32Array> = {};
  const values: Record<string, ColumnArray> = {};
  for (const { name, type, countedBy } of columns) {
    values[name] = endToEnd(
      type,
      pieces.map((piece) => piece.values[name] as ColumnArray),
    );
    if (countedBy !== undefined) {
      offsets[countedBy] ??= joinedOffsets(pieces.map((piece) => piece.offsets[countedBy] as Int32Array));
    }
  }
  return { events: pieces.reduce((sum, { events }) => sum + events, 0), values, offsets };
}

function endToEnd(type: ColumnType, pieces: readonly ColumnArray[]): ColumnArray {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const whole = new arrays[type](length);
  let at = 0;
  for (const piece of pieces) {
    // Both are of the column's own type.
    (whole as Float64Array).set(piece as Float64Array, at);
    at += piece.length;
  }
  return whole;
}

function joinedOffsets(pieces: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(pieces.reduce((sum, piece) => sum + piece.length - 1, 1));
  let at = 0;
  for (const piece of pieces) {
    const base = whole[at] as number;
    for (let i = 1; i < piece.length; i++) whole[++at] = base + (piece[i] as number);
  }
  return whole;
}
