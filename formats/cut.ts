// Some of the events of a batch, as a batch of their own.
import type { Column, ColumnArray, EventColumns } from '../core/columns.ts';

/** Rows [first, end) of the given columns. Values are views of the given ones; offsets begin at 0 again. */
export function cut(columns: readonly Column[], data: EventColumns, first: number, end: number): EventColumns {
  if (first === 0 && end === data.events) return data;
  const values: Record<string, ColumnArray> = {};
  const offsets: Record<string, Int32Array> = {};
  for (const { name, countedBy } of columns) {
    const all = data.values[name] as ColumnArray;
    if (countedBy === undefined) {
      values[name] = all.subarray(first, end);
    } else {
      const bounds = data.offsets[countedBy] as Int32Array;
      const base = bounds[first] as number;
      values[name] = all.subarray(base, bounds[end]);
      offsets[countedBy] ??= bounds.slice(first, end + 1).map((offset) => offset - base);
    }
  }
  return { events: end - first, values, offsets };
}
