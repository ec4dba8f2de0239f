// Event data in memory, as columns: what generators make and formats encode.
// Names and units follow NanoAOD: a jagged column belongs to the scalar column that counts its values.

/** Declared types. There is no Bool and no nullable column: slicing those is not canonical in Arrow. */
export type ColumnType = 'int32' | 'uint32' | 'uint64' | 'float32' | 'float64';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** For a jagged column, the name of the scalar int32 column with the number of values per event (`nGenPart`). */
  readonly countedBy?: string;
  /** `GeV`, `rad`; `1` for a pure number. */
  readonly unit: string;
  readonly description: string;
}

export type ColumnArray = Int32Array | Uint32Array | BigUint64Array | Float32Array | Float64Array;

/** Consecutive events as columns. */
export interface EventColumns {
  readonly events: number;
  /** By column name: one value per event for a scalar column, all events' values end to end for a jagged one. */
  readonly values: Readonly<Record<string, ColumnArray>>;
  /** By count column: `events + 1` offsets into the values of the columns it counts, starting at 0. */
  readonly offsets: Readonly<Record<string, Int32Array>>;
}

export const bytesOf: Readonly<Record<ColumnType, number>> = { int32: 4, uint32: 4, uint64: 8, float32: 4, float64: 8 };
