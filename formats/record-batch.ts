// One record batch, columns to bytes and back. The bytes are canonical: the same events in the same columns always give the
// same ones, so that a cut batch equals a fresh one and a projected batch equals a re-encoded one.
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { CompressionType, MessageHeader } from 'apache-arrow';
import { MetadataVersion } from 'apache-arrow/enum';
import { BodyCompression, BufferRegion, FieldNode, Message, RecordBatch } from 'apache-arrow/ipc/metadata/message';
import type { Column, ColumnArray, ColumnType, EventColumns } from '../core/columns.ts';
import { bytesOf } from '../core/columns.ts';
import type { BatchHead } from './ipc.ts';
import { frameHead, NotArrow, padded, readFrame } from './ipc.ts';

/** Length of the uncompressed data, int64, before each compressed buffer; −1 says that it is stored raw. */
const lengthBytes = 8;
/** The bytes depend on how the compressor is called: level 1, synchronous, default chunkSize, and never otherwise. */
const compression = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Collects nodes and buffers of a record batch in their order, and frames it. */
export class BatchAssembler {
  readonly #nodes: FieldNode[] = [];
  readonly #regions: BufferRegion[] = [];
  readonly #pieces: { at: number; bytes: Uint8Array }[] = [];
  readonly #compression: BodyCompression | null;
  #bodyBytes = 0;

  constructor(zstd: boolean) {
    this.#compression = zstd ? new BodyCompression(CompressionType.ZSTD) : null;
  }

  node(length: number, nulls = 0): void {
    this.#nodes.push(new FieldNode(length, nulls));
  }

  /** Adds a buffer as it stands in the body, given in pieces; without any it is empty. */
  buffer(...pieces: readonly Uint8Array[]): void {
    const start = this.#bodyBytes;
    let at = start;
    for (const bytes of pieces) {
      this.#pieces.push({ at, bytes });
      at += bytes.length;
    }
    this.#regions.push(new BufferRegion(start, at - start));
    this.#bodyBytes = padded(at);
  }

  /** The framed batch, in memory of its own. */
  finish(rows: number): Uint8Array<ArrayBuffer> {
    const batch = new RecordBatch(rows, this.#nodes, this.#regions, this.#compression);
    const head = frameHead(new Message(this.#bodyBytes, MetadataVersion.V5, MessageHeader.RecordBatch, batch));
    const framed = new Uint8Array(head.length + this.#bodyBytes);
    framed.set(head);
    for (const { at, bytes } of this.#pieces) framed.set(bytes, head.length + at);
    return framed;
  }
}

/** Encodes events as one framed record batch. Throws TypeError for columns that do not fit their declaration. */
export function encodeBatch(columns: readonly Column[], data: EventColumns): Uint8Array<ArrayBuffer> {
  const batch = new BatchAssembler(true);
  // All columns of a collection share their offsets: compressed once.
  const offsetsOf = new Map<string, Uint8Array[]>();
  for (const column of columns) {
    const { count, offsets } = extent(column, data);
    if (column.countedBy !== undefined && offsets !== undefined) {
      let pieces = offsetsOf.get(column.countedBy);
      if (pieces === undefined) {
        pieces = compressed(offsets);
        offsetsOf.set(column.countedBy, pieces);
      }
      batch.node(data.events);
      batch.buffer();
      batch.buffer(...pieces);
    }
    batch.node(count);
    batch.buffer();
    batch.buffer(...compressed(valuesOf(column, data, count)));
  }
  return batch.finish(data.events);
}

/**
 * Decodes one framed record batch that holds exactly `columns`, in this order.
 * @throws NotArrow when the bytes do not fit them.
 */
export function decodeBatchFrame(framed: Uint8Array, columns: readonly Column[]): EventColumns {
  const frame = readFrame(framed, 0);
  if (frame?.head.kind !== 'batch') throw new NotArrow('A record batch was expected.');
  const { head } = frame;
  const body = framed.subarray(frame.headBytes, frame.end);
  const values: Record<string, ColumnArray> = {};
  const offsets: Record<string, Int32Array> = {};
  let node = 0;
  let region = 0;
  for (const column of columns) {
    let count = head.rows;
    if (column.countedBy !== undefined) {
      checkNode(head, node, head.rows);
      offsets[column.countedBy] ??= readOffsets(head, body, region + 1);
      count = offsets[column.countedBy]?.[head.rows] ?? 0;
      node += 1;
      region += 2;
    }
    checkNode(head, node, count);
    values[column.name] = typed(column.type, rawBuffer(head, body, region + 1, count * bytesOf[column.type]));
    node += 1;
    region += 2;
  }
  if (head.nodes.length !== node || head.regions.length !== region) {
    throw new NotArrow('A record batch has other columns than it should.');
  }
  return { events: head.rows, values, offsets };
}

function extent(column: Column, data: EventColumns): { count: number; offsets?: Int32Array } {
  if (column.countedBy === undefined) return { count: data.events };
  const offsets = data.offsets[column.countedBy];
  if (offsets?.length !== data.events + 1 || offsets[0] !== 0) {
    throw new TypeError(`Column ${column.name} needs ${data.events + 1} offsets from 0 on, under ${column.countedBy}.`);
  }
  return { count: offsets[data.events] as number, offsets };
}

function valuesOf(column: Column, data: EventColumns, count: number): ColumnArray {
  const values = data.values[column.name];
  if (values?.length !== count || values.constructor !== arrays[column.type]) {
    throw new TypeError(`Column ${column.name} needs ${count} values of ${column.type}.`);
  }
  return values;
}

function compressed(values: ColumnArray): Uint8Array[] {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (raw.length === 0) return [];
  const small = zstdCompressSync(raw, compression);
  return small.length < raw.length ? [lengthPrefix(raw.length), small] : [lengthPrefix(-1), raw];
}

function lengthPrefix(length: number): Uint8Array {
  const prefix = new Uint8Array(lengthBytes);
  new DataView(prefix.buffer).setBigInt64(0, BigInt(length), true);
  return prefix;
}

function checkNode(head: BatchHead, index: number, length: number): void {
  const node = head.nodes[index];
  if (node?.length !== length || node.nulls !== 0)
    throw new NotArrow('A column has another length than it should, or nulls.');
}

function readOffsets(head: BatchHead, body: Uint8Array, region: number): Int32Array {
  const offsets = typed('int32', rawBuffer(head, body, region, (head.rows + 1) * 4)) as Int32Array;
  if (offsets[0] !== 0) throw new NotArrow('Offsets do not begin at 0.');
  for (let i = 1; i < offsets.length; i++) {
    if ((offsets[i] as number) < (offsets[i - 1] as number)) throw new NotArrow('Offsets go backwards.');
  }
  return offsets;
}

/** Some writers pad what they compress. */
const paddingMax = 64;
/** Output buffers up to this size are made in one piece; larger ones grow as data comes, whatever a header promises. */
const outputBytesMax = 8 * 1024 * 1024;

/** The uncompressed contents of a buffer that must hold `bytes`. @throws NotArrow */
function rawBuffer(head: BatchHead, body: Uint8Array, index: number, bytes: number): Uint8Array {
  const region = head.regions[index];
  if (region === undefined) throw new NotArrow('A buffer is missing.');
  const stored = body.subarray(region.offset, region.offset + region.length);
  if (bytes === 0) return stored.subarray(0, 0);
  const raw = head.zstd ? decompressed(stored, bytes) : stored;
  if (raw.length < bytes) throw new NotArrow('A buffer is shorter than it should be.');
  return raw.subarray(0, bytes);
}

function decompressed(stored: Uint8Array, bytes: number): Uint8Array {
  if (stored.length < lengthBytes) throw new NotArrow('A compressed buffer has no length.');
  const length = Number(new DataView(stored.buffer, stored.byteOffset).getBigInt64(0, true));
  const data = stored.subarray(lengthBytes);
  if (length === -1) return data;
  if (length < bytes || length > bytes + paddingMax) throw new NotArrow('A compressed buffer has another length.');
  try {
    const chunkSize = Math.max(64, Math.min(length, outputBytesMax));
    return zstdDecompressSync(data, { chunkSize, maxOutputLength: length });
  } catch (error) {
    throw new NotArrow('A buffer cannot be decompressed.', { cause: error });
  }
}

/** What a column's values are kept in. */
export const arrays = {
  int32: Int32Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  float32: Float32Array,
  float64: Float64Array,
} as const satisfies Record<ColumnType, unknown>;

function typed(type: ColumnType, raw: Uint8Array): ColumnArray {
  const aligned = raw.byteOffset % bytesOf[type] === 0 ? raw : raw.slice();
  return new arrays[type](aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / bytesOf[type]);
}
