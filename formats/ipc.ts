// The frames of an Arrow IPC stream: ff ff ff ff, int32 length of the metadata, metadata (a flatbuffer) padded to 8, body.
import { MessageHeader } from 'apache-arrow';
import { Message } from 'apache-arrow/ipc/metadata/message';
import { elements, indirect, NotArrow, readTables, size, slot, viewOf } from './flatbuffer.ts';

export { NotArrow } from './flatbuffer.ts';

/** What ends a stream. */
export const endMarker: Buffer = Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/** Continuation marker and metadata length. */
export const prefixBytes = 8;

export interface Region {
  /** Within the body. */
  readonly offset: number;
  readonly length: number;
}

export interface SchemaHead {
  readonly kind: 'schema';
  readonly bodyBytes: number;
}

export interface BatchHead {
  readonly kind: 'batch';
  readonly bodyBytes: number;
  readonly rows: number;
  /** Length and number of nulls, depth first, one per field and child. */
  readonly nodes: readonly { readonly length: number; readonly nulls: number }[];
  /** Buffers in the body, in the order of the nodes. */
  readonly regions: readonly Region[];
  readonly zstd: boolean;
}

/** Where a message lies. */
export interface Frame {
  readonly at: number;
  /** Prefix and padded metadata. */
  readonly headBytes: number;
  readonly head: SchemaHead | BatchHead;
  /** Just after the body: where the next frame begins. */
  readonly end: number;
}

export function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Prefix and metadata of a message, padded as they stand in a stream. */
export function frameHead(message: Message): Uint8Array<ArrayBuffer> {
  const metadata = Message.encode(message);
  const bytes = padded(prefixBytes + metadata.length);
  const head = new Uint8Array(bytes);
  const view = new DataView(head.buffer);
  view.setInt32(0, -1, true);
  view.setInt32(4, bytes - prefixBytes, true);
  head.set(metadata, prefixBytes);
  return head;
}

/** Bytes of the metadata that follows a prefix; 0 at the end of the stream. @throws NotArrow */
export function metadataBytes(prefix: Uint8Array): number {
  const view = viewOf(prefix);
  if (view.byteLength < prefixBytes) throw new NotArrow('The stream ends within a prefix.');
  if (view.getInt32(0, true) !== -1) throw new NotArrow('A message does not begin with the continuation marker.');
  const bytes = view.getInt32(4, true);
  if (bytes < 0) throw new NotArrow('A message has a negative length.');
  return bytes;
}

/** The frame that begins at `at`, undefined at the end marker. @throws NotArrow also when the stream is cut before its end. */
export function readFrame(stream: Uint8Array, at: number): Frame | undefined {
  const bytes = metadataBytes(stream.subarray(at, at + prefixBytes));
  if (bytes === 0) return undefined;
  const headBytes = prefixBytes + bytes;
  if (at + headBytes > stream.length) throw new NotArrow('The stream ends within the metadata of a message.');
  const head = readHead(stream.subarray(at + prefixBytes, at + headBytes));
  const end = at + headBytes + head.bodyBytes;
  if (end > stream.length) throw new NotArrow('The stream ends within the body of a message.');
  return { at, headBytes, head, end };
}

// Slots of the flatbuffer tables in Arrow's Message.fbs and Schema.fbs, in the order of their fields.
const messageSlot = { headerType: 1, header: 2, bodyLength: 3 } as const;
const batchSlot = { length: 0, nodes: 1, buffers: 2, compression: 3 } as const;
const compressionSlot = { codec: 0 } as const;
const zstdCodec = 1;

/** Reads the metadata of one message. @throws NotArrow */
export function readHead(metadata: Uint8Array): SchemaHead | BatchHead {
  return readTables(metadata, (view, message) => {
    const lengthAt = slot(view, message, messageSlot.bodyLength);
    const bodyBytes = lengthAt === undefined ? 0 : size(view, lengthAt);
    const { type, header } = headerOf(view, message);
    if (type === MessageHeader.Schema) return { kind: 'schema', bodyBytes };
    if (type === MessageHeader.RecordBatch) return batchHead(view, header, bodyBytes);
    throw new NotArrow(`A message has a header of type ${type}.`);
  });
}

/** The header's type and table. @throws NotArrow */
export function headerOf(view: DataView, message: number): { type: number; header: number } {
  const typeAt = slot(view, message, messageSlot.headerType);
  const headerAt = slot(view, message, messageSlot.header);
  if (typeAt === undefined || headerAt === undefined) throw new NotArrow('A message has no header.');
  return { type: view.getUint8(typeAt), header: indirect(view, headerAt) };
}

function batchHead(view: DataView, batch: number, bodyBytes: number): BatchHead {
  const lengthAt = slot(view, batch, batchSlot.length);
  const compressionAt = slot(view, batch, batchSlot.compression);
  if (compressionAt !== undefined && codec(view, indirect(view, compressionAt)) !== zstdCodec) {
    throw new NotArrow('A record batch is compressed with another codec than ZSTD.');
  }
  const regions = pairs(view, slot(view, batch, batchSlot.buffers)).map(([offset, length]) => ({ offset, length }));
  if (regions.some(({ offset, length }) => offset + length > bodyBytes)) {
    throw new NotArrow('A buffer lies outside of its record batch.');
  }
  return {
    kind: 'batch',
    bodyBytes,
    rows: lengthAt === undefined ? 0 : size(view, lengthAt),
    nodes: pairs(view, slot(view, batch, batchSlot.nodes)).map(([length, nulls]) => ({ length, nulls })),
    regions,
    zstd: compressionAt !== undefined,
  };
}

function codec(view: DataView, compression: number): number {
  const at = slot(view, compression, compressionSlot.codec);
  return at === undefined ? 0 : view.getInt8(at);
}

/** A vector of structs of two int64. */
function pairs(view: DataView, at: number | undefined): [number, number][] {
  return elements(view, at, 16).map((pair) => [size(view, pair), size(view, pair + 8)]);
}
