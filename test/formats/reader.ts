// An independent reader of Arrow streams (Rust), and small helpers to look at what it found.
import pl from 'nodejs-polars';
import type { Column, EventColumns } from '../../core/columns.ts';

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
