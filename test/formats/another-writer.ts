// Chunks that the library's own writer stored: what an earlier or another build might have left.
import { Data, type List, RecordBatch, RecordBatchStreamWriter, type Schema, Struct } from 'apache-arrow';
import type { ChunkRef } from '../../core/chunk.ts';
import { batchesOf } from '../../core/chunk.ts';
import type { Column, EventColumns } from '../../core/columns.ts';
import { arrowSchema, arrowType } from '../../formats/arrow-schema.ts';
import { sealChunk } from '../../formats/chunk-file.ts';
import { make, provenanceOf } from './synthetic.ts';

/** A chunk as another writer might have left it: no compression, columns in another order. */
export function storedByAnother(chunk: ChunkRef, declared: readonly Column[]): Buffer {
  const order = [...declared].reverse();
  const schema = arrowSchema(order, {
    derivationId: chunk.derivation,
    batchEvents: chunk.batchEvents,
    range: chunk.range,
  });
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (const range of batchesOf(chunk)) writer.write(recordBatch(schema, order, make(range)));
  writer.finish();
  const stream = writer.toUint8Array(true);
  return Buffer.concat(sealChunk(stream, provenanceOf(chunk, '0'.repeat(64), 'another/1')));
}

function recordBatch(schema: Schema, order: readonly Column[], { events, values, offsets }: EventColumns): RecordBatch {
  const children = order.map((column) => {
    const array = values[column.name];
    const type = arrowType(column);
    if (column.countedBy === undefined) return new Data(type, 0, events, 0, { 1: array } as never);
    const items = new Data((type as List).valueType, 0, array?.length ?? 0, 0, { 1: array } as never);
    return new Data(type, 0, events, 0, { 0: offsets[column.countedBy] } as never, [items]);
  });
  return new RecordBatch(schema, new Data(new Struct(schema.fields), 0, events, 0, undefined, children));
}
