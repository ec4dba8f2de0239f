// An independent reader of Arrow streams (Rust), and small helpers to look at what it found.
import pl from 'nodejs-polars';
import type { Column, EventColumns } from '../../core/columns.ts';
import type { ParsedChunk, StoredBatch } from '../../formats/chunk-reader.ts';
import { asDamage, layoutOf } from '../../formats/chunk-reader.ts';
import { project } from '../../formats/projection.ts';
import { decodeBatchFrame } from '../../formats/record-batch.ts';

/** Columns of a stream as plain arrays, jagged ones as arrays of arrays. */
export function readIndependently(stream: Uint8Array): {
  rows: number;
  names: string[];
  column(name: string): unknown[];
} {
  const frame = pl.readIPCStream(Buffer.from(stream));
  return { rows: frame.height, names: frame.columns, column: (name) => frame.getColumn(name).toArray() };
}

/** The same of columns in memory. */
export function plain(column: Column, data: EventColumns): unknown[] {
  const values = [...(data.values[column.name] as Iterable<number | bigint>)];
  if (column.countedBy === undefined) return values;
  const offsets = data.offsets[column.countedBy] as Int32Array;
  return Array.from({ length: data.events }, (_, i) => values.slice(offsets[i], offsets[i + 1]));
}

/** The columns of one record batch of a chunk, by the batch's index: what answers are made of, in one step. */
export function decodeBatch(parsed: ParsedChunk, index: number, columns: readonly Column[]): EventColumns {
  const { slots } = layoutOf(parsed, columns);
  try {
    return decodeBatchFrame(project(parsed.stream, parsed.batches[index] as StoredBatch, slots, columns), columns);
  } catch (error) {
    throw asDamage(error, parsed.chunk);
  }
}
