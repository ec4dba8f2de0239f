// Choosing columns without decompressing: the chosen buffers are copied under a new header. The bytes equal those of
// decoding the batch and encoding the chosen columns again.
import type { Column } from '../core/columns.ts';
import type { BatchHead } from './ipc.ts';
import { NotArrow } from './ipc.ts';
import { BatchAssembler } from './record-batch.ts';
import type { StoredField } from './schema-reader.ts';

/** Where a column lies: its first node and its first buffer, and how many there are. */
interface Slot {
  readonly node: number;
  readonly nodes: number;
  readonly region: number;
  readonly regions: number;
}

/** By column name. */
export type Slots = ReadonlyMap<string, Slot>;

/** @throws NotArrow when a column is not among the fields with its type. */
export function slotsOf(fields: readonly StoredField[], columns: readonly Column[]): Slots {
  const lying = new Map<string, { field: StoredField; slot: Slot }>();
  let node = 0;
  let region = 0;
  for (const field of fields) {
    const slot = { node, nodes: field.isJagged ? 2 : 1, region, regions: field.isJagged ? 4 : 2 };
    lying.set(field.name, { field, slot });
    node += slot.nodes;
    region += slot.regions;
  }
  return new Map(
    columns.map(({ name, type, countedBy }) => {
      const { field, slot } = lying.get(name) ?? {};
      if (slot === undefined || field?.type !== type || field.isJagged !== (countedBy !== undefined)) {
        throw new NotArrow(`There is no column ${name} of the declared type.`);
      }
      return [name, slot];
    }),
  );
}

/**
 * One record batch of a stream with these columns only, framed, in memory of its own.
 * @throws NotArrow when the batch does not have the buffers it should.
 */
export function project(
  stream: Uint8Array,
  batch: { readonly at: number; readonly headBytes: number; readonly head: BatchHead },
  slots: Slots,
  columns: readonly Column[],
): Uint8Array<ArrayBuffer> {
  const { head } = batch;
  const body = stream.subarray(batch.at + batch.headBytes, batch.at + batch.headBytes + head.bodyBytes);
  const chosen = new BatchAssembler(head.zstd);
  for (const { name } of columns) {
    const slot = slots.get(name);
    if (slot === undefined) throw new NotArrow(`There is no column ${name}.`);
    for (const node of head.nodes.slice(slot.node, slot.node + slot.nodes)) chosen.node(node.length, node.nulls);
    for (const region of head.regions.slice(slot.region, slot.region + slot.regions)) {
      if (region.length === 0) chosen.buffer();
      else chosen.buffer(body.subarray(region.offset, region.offset + region.length));
    }
  }
  return chosen.finish(head.rows);
}
