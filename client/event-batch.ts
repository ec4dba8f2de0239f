// One record batch as a client gets it: consecutive events as columns, typed arrays throughout. The arrays are read by our own
// reader, which believes no length that it has not checked; `toArrow` shows them, uncopied, to everything that takes Arrow.
import { BufferType, Data, Field, RecordBatch, Schema, Struct } from 'apache-arrow';
import type { Column, ColumnType, EventColumns } from '../core/columns.ts';
import { arrowType } from '../formats/arrow-schema.ts';
import type { arrays } from '../formats/record-batch.ts';

/** The array that holds the values of a column of this type: a BigUint64Array for uint64. */
export type ColumnValues<Type extends ColumnType = ColumnType> = InstanceType<(typeof arrays)[Type]>;

/** A column of a batch. */
export interface BatchColumn<Type extends ColumnType = ColumnType> {
  readonly name: string;
  readonly type: Type;
  /** One value per event, or, in a jagged column, all events' values end to end. */
  readonly values: ColumnValues<Type>;
  /** Of a jagged column only: event `row` has `values` from `offsets[row]` to `offsets[row + 1]`. */
  readonly offsets?: Int32Array;
  /** The values of one event, uncopied; `row` counts from 0 within the batch. */
  of(row: number): ColumnValues<Type>;
}

export class EventBatch<Name extends string = string> {
  /** The number of the first event. */
  readonly startEvent: number;
  /** The number of the last event. */
  readonly lastEvent: number;
  readonly events: number;
  /** The names of the columns, in the dataset's order. */
  readonly columns: readonly Name[];
  readonly #columns: ReadonlyMap<string, Column>;
  readonly #data: EventColumns;
  readonly #metadata: ReadonlyMap<string, string>;

  /**
   * @param columns each jagged one counted by its own name: a stream does not say which columns share their offsets.
   * @param metadata of the schema, for `toArrow`
   */
  constructor(
    startEvent: number,
    columns: readonly Column[],
    data: EventColumns,
    metadata: ReadonlyMap<string, string>,
  ) {
    this.startEvent = startEvent;
    this.lastEvent = startEvent + data.events - 1;
    this.events = data.events;
    this.columns = columns.map(({ name }) => name as Name);
    this.#columns = new Map(columns.map((column) => [column.name, column]));
    this.#data = data;
    this.#metadata = metadata;
  }

  /**
   * A column, of whatever type it is.
   * @param type what you take it for: the values are then typed so.
   * @throws TypeError when there is no such column, or when it is of another type
   */
  column(name: Name): BatchColumn;
  column<Type extends ColumnType>(name: Name, type: Type): BatchColumn<Type>;
  column(name: Name, expected?: ColumnType): BatchColumn {
    const column = this.#columns.get(name);
    const values = this.#data.values[name] as ColumnValues | undefined;
    if (column === undefined || values === undefined) {
      throw new TypeError(`The batch has no column ${name}, but ${this.columns.join(', ')}.`);
    }
    const { type } = column;
    if (expected !== undefined && expected !== type)
      throw new TypeError(`Column ${name} is of ${type}, not ${expected}.`);
    const offsets = this.#data.offsets[name];
    if (offsets === undefined) return { name, type, values, of: (row) => values.subarray(row, row + 1) };
    const end = values.length;
    return { name, type, values, offsets, of: (row) => values.subarray(offsets[row] ?? end, offsets[row + 1] ?? end) };
  }

  /** The same events as Apache Arrow's record batch, in the same memory. */
  toArrow(): RecordBatch {
    const columns = [...this.#columns.values()];
    const fields = columns.map((column) => new Field(column.name, arrowType(column), false));
    const schema = new Schema(fields, new Map(this.#metadata));
    const children = columns.map((column) => this.#arrowData(column));
    return new RecordBatch(schema, new Data(new Struct(fields), 0, this.events, 0, {}, children));
  }

  #arrowData(column: Column): Data {
    const { countedBy, ...items } = column;
    const values = this.#data.values[column.name] as ColumnValues;
    const data = new Data(arrowType(items), 0, values.length, 0, { [BufferType.DATA]: values });
    if (countedBy === undefined) return data;
    const offsets = this.#data.offsets[countedBy];
    return new Data(arrowType(column), 0, this.events, 0, { [BufferType.OFFSET]: offsets }, [data]);
  }
}
