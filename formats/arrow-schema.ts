// How a dataset's columns look in Arrow: a scalar column is a field, a jagged one a list, nothing is nullable. The schema's
// metadata names the events, and nothing that varies from run to run: the bytes are a function of columns and identity.
import {
  type DataType,
  Field,
  Float32,
  Float64,
  Int32,
  List,
  MessageHeader,
  Schema,
  Uint32,
  Uint64,
} from 'apache-arrow';
import { MetadataVersion } from 'apache-arrow/enum';
import { Message } from 'apache-arrow/ipc/metadata/message';
import { LRUCache } from 'lru-cache';
import type { Column, ColumnType } from '../core/columns.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventNumber } from '../core/event-range.ts';
import { frameHead } from './ipc.ts';

/** Which events a stream holds: a chunk's at rest, the asked range's in a response. */
export interface StreamIdentity {
  readonly derivationId: string;
  readonly batchEvents: number;
  readonly range: EventRange;
}

const arrowTypes: Readonly<Record<ColumnType, () => DataType>> = {
  int32: () => new Int32(),
  uint32: () => new Uint32(),
  uint64: () => new Uint64(),
  float32: () => new Float32(),
  float64: () => new Float64(),
};

/** A column's type in Arrow; the items of a list are called `item`, and never null. */
export function arrowType(column: Column): DataType {
  const type = arrowTypes[column.type]();
  return column.countedBy === undefined ? type : new List(new Field('item', type, false));
}

/** Field metadata carries `unit` and `description`; the schema's carries `derivation`, `startEvent`, `lastEvent`, `batchEvents`. */
export function arrowSchema(columns: readonly Column[], identity: StreamIdentity): Schema {
  const fields = columns.map((column) => {
    const about = new Map([
      ['unit', column.unit],
      ['description', column.description],
    ]);
    return new Field(column.name, arrowType(column), false, about);
  });
  return new Schema(
    fields,
    new Map([
      ['derivation', identity.derivationId],
      ['startEvent', String(eventNumber(identity.range.first))],
      ['lastEvent', String(identity.range.end)],
      ['batchEvents', String(identity.batchEvents)],
    ]),
  );
}

/** A head costs some hundred microseconds to write: the ones in use are remembered, a few KB each. */
const heads = new LRUCache<string, Buffer>({ max: 512 });
/** Columns are constants of their generators: an object's number stands for its contents. */
const columnNumbers = new WeakMap<Column, number>();
let columnsSeen = 0;

/** The framed schema message: the first bytes of a stream. Shared; not to be written into. */
export function streamHead(columns: readonly Column[], identity: StreamIdentity): Buffer {
  const { derivationId, batchEvents, range } = identity;
  const key = `${derivationId}/${batchEvents}/${range.first}-${range.end}/${columns.map(numberOf).join()}`;
  const remembered = heads.get(key);
  if (remembered !== undefined) return remembered;
  const schema = arrowSchema(columns, identity);
  const head = Buffer.from(frameHead(new Message(0, MetadataVersion.V5, MessageHeader.Schema, schema)).buffer);
  heads.set(key, head);
  return head;
}

function numberOf(column: Column): number {
  let number = columnNumbers.get(column);
  if (number === undefined) {
    number = columnsSeen++;
    columnNumbers.set(column, number);
  }
  return number;
}
