// Event data has no NaN and no infinity: what would be one is a failure of its event, found before it is written.
import type { Column, ColumnArray, EventColumns } from '../core/columns.ts';
import { EvokeError } from '../core/errors.ts';
import { eventNumber } from '../core/event-range.ts';

/** Whether there is neither a NaN nor an infinity. */
export function isFiniteThroughout(values: ColumnArray): boolean {
  if (!(values instanceof Float32Array || values instanceof Float64Array)) return true;
  // Either would make this sum of zeros a NaN; one pass without a branch costs next to nothing.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) * 0;
  return sum === 0;
}

/** @throws EvokeError GENERATION_FAILED with the `event` number of the first offender; `first` is the index of the first event. */
export function checkFinite(column: Column, data: EventColumns, first: number): void {
  const values = data.values[column.name];
  if (values === undefined || isFiniteThroughout(values)) return;
  const at = values.findIndex((value: number | bigint) => !Number.isFinite(value));
  const index = column.countedBy === undefined ? at : eventOfValue(data.offsets[column.countedBy] as Int32Array, at);
  const event = eventNumber(first + index);
  throw new EvokeError('GENERATION_FAILED', {
    detail: `Event ${event} has ${values[at]} in column ${column.name}.`,
    event,
  });
}

/** The event whose values hold position `at`: the last one that begins at or before it. */
function eventOfValue(offsets: Int32Array, at: number): number {
  let event = 0;
  while ((offsets[event + 1] as number) <= at) event++;
  return event;
}
