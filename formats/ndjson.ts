// Events as lines of JSON: one object an event, columns in the dataset's order, jagged columns as arrays.
// float32 is widened to double and every double is printed with the fewest digits that read back the same, as ECMAScript
// lays down; −0 prints as 0. Lines depend on nothing but their own event, so ranges can be put end to end.
import type { Column, ColumnArray, EventColumns } from '../core/columns.ts';
import { isFiniteThroughout } from './finite.ts';
import { NotArrow } from './ipc.ts';

/** Numbers are printed as the language's standard says, whatever the engine: no library shows in the bytes. */
export const ndjsonWriter: string = 'evoke-ndjson/1';

/**
 * The lines of events [first, end) of a batch, in memory of their own.
 * @throws NotArrow for a NaN or an infinity: no chunk has one, so the bytes are not what was written.
 */
export function ndjsonLines(
  columns: readonly Column[],
  data: EventColumns,
  first: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  const printers = columns.map((column, index) => printer(column, index, data));
  const lines: string[] = [];
  for (let event = first; event < end; event++) {
    let line = '';
    for (const print of printers) line += print(event);
    lines.push(line);
  }
  const text = lines.length === 0 ? '' : `${lines.join('}\n')}}\n`;
  const bytes = Buffer.from(new ArrayBuffer(text.length));
  bytes.write(text, 'latin1');
  return new Uint8Array(bytes.buffer);
}

/** Prints a column's member of an event's object, the brace or comma before it included. */
function printer(column: Column, index: number, data: EventColumns): (event: number) => string {
  const values = data.values[column.name] as ColumnArray;
  if (!isFiniteThroughout(values)) throw new NotArrow(`Column ${column.name} has a NaN or an infinity.`);
  const name = `${index === 0 ? '{' : ','}${asciiJson(column.name)}:`;
  if (column.countedBy === undefined) return (event) => name + values[event];
  const offsets = data.offsets[column.countedBy] as Int32Array;
  return (event) => `${name}[${values.subarray(offsets[event], offsets[event + 1]).join()}]`;
}

/** A JSON string of one byte a character, whatever the name. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replace(/[^\0-\x7f]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
