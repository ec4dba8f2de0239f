// The schema of a stream that somebody wrote: its fields, as far as they can be columns.
import { MessageHeader, Precision, Type } from 'apache-arrow';
import type { Column, ColumnType } from '../core/columns.ts';
import { indirect, NotArrow, readTables, slot, tables, text } from './flatbuffer.ts';
import { headerOf, metadataBytes, prefixBytes } from './ipc.ts';

export interface StoredField {
  readonly name: string;
  readonly type: ColumnType;
  readonly isJagged: boolean;
}

// Slots of the flatbuffer tables in Arrow's Schema.fbs, in the order of their fields.
const schemaSlot = { fields: 1, metadata: 2 } as const;
const pairSlot = { key: 0, value: 1 } as const;
const fieldSlot = { name: 0, typeType: 2, type: 3, children: 5 } as const;
const intSlot = { bitWidth: 0, isSigned: 1 } as const;
const floatSlot = { precision: 0 } as const;

/** The fields that columns become. */
export function fieldsOf(columns: readonly Column[]): StoredField[] {
  return columns.map(({ name, type, countedBy }) => ({ name, type, isJagged: countedBy !== undefined }));
}

/** The fields of a framed schema message. @throws NotArrow also for fields that no column of ours could be. */
export function readFields(framed: Uint8Array): StoredField[] {
  return readSchema(framed, (view, schema) =>
    tables(view, slot(view, schema, schemaSlot.fields)).map((field) => storedField(view, field)),
  );
}

/** What a framed schema message says of the stream as a whole (`derivation`, `startEvent`, …). @throws NotArrow */
export function readSchemaMetadata(framed: Uint8Array): ReadonlyMap<string, string> {
  return readSchema(framed, (view, schema) => {
    const pairs = tables(view, slot(view, schema, schemaSlot.metadata));
    return new Map(
      pairs.map((pair) => [text(view, slot(view, pair, pairSlot.key)), text(view, slot(view, pair, pairSlot.value))]),
    );
  });
}

function readSchema<T>(framed: Uint8Array, read: (view: DataView, schema: number) => T): T {
  const metadata = framed.subarray(prefixBytes, prefixBytes + metadataBytes(framed));
  return readTables(metadata, (view, message) => {
    const { type, header } = headerOf(view, message);
    if (type !== MessageHeader.Schema) throw new NotArrow('A schema was expected.');
    return read(view, header);
  });
}

function storedField(view: DataView, field: number): StoredField {
  const name = text(view, slot(view, field, fieldSlot.name));
  const isJagged = typeOf(view, field) === Type.List;
  const [item] = isJagged ? tables(view, slot(view, field, fieldSlot.children)) : [field];
  const type = item === undefined ? undefined : columnType(view, item);
  if (type === undefined) throw new NotArrow(`Field ${name.slice(0, 80)} is of a type that no column has.`);
  return { name, type, isJagged };
}

function typeOf(view: DataView, field: number): number | undefined {
  const at = slot(view, field, fieldSlot.typeType);
  return at === undefined ? undefined : view.getUint8(at);
}

function columnType(view: DataView, field: number): ColumnType | undefined {
  const at = slot(view, field, fieldSlot.type);
  if (at === undefined) return undefined;
  const table = indirect(view, at);
  switch (typeOf(view, field)) {
    case Type.Int: {
      const widthAt = slot(view, table, intSlot.bitWidth);
      const signedAt = slot(view, table, intSlot.isSigned);
      const isSigned = signedAt !== undefined && view.getUint8(signedAt) === 1;
      const width = widthAt === undefined ? 0 : view.getInt32(widthAt, true);
      if (width === 32) return isSigned ? 'int32' : 'uint32';
      return width === 64 && !isSigned ? 'uint64' : undefined;
    }
    case Type.Float: {
      const precisionAt = slot(view, table, floatSlot.precision);
      const precision = precisionAt === undefined ? Precision.HALF : view.getInt16(precisionAt, true);
      if (precision === Precision.SINGLE) return 'float32';
      return precision === Precision.DOUBLE ? 'float64' : undefined;
    }
    default:
      return undefined;
  }
}
