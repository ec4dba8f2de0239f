// How far an Arrow stream goes that may still grow, or was cut: what a broken download needs to be resumed at the last whole
// record batch. Only headers are read; bodies are skipped, so a file of many gigabytes takes little time and no memory.
import type { FileHandle } from 'node:fs/promises';
import { metadataBytes, NotArrow, prefixBytes, readHead } from './ipc.ts';
import { readSchema } from './schema-reader.ts';

/** Bytes that can be read in any order. */
export interface ByteSource {
  readonly bytes: number;
  read(at: number, length: number): Promise<Uint8Array>;
}

export interface ArrowScan {
  /** Bytes of the schema message at the beginning; 0 while it is not whole. */
  readonly schemaBytes: number;
  /** The schema's own metadata: `derivation`, `startEvent`, `lastEvent`, `batchEvents`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Whole record batches, and the events in them. */
  readonly batches: number;
  readonly events: number;
  /** Just after the last whole record batch (or the schema): what may be kept, and where the rest goes. */
  readonly end: number;
  /** The end marker follows there. Without it something is missing, however well the stream reads. */
  readonly isEnded: boolean;
}

const nothing: ArrowScan = { schemaBytes: 0, metadata: new Map(), batches: 0, events: 0, end: 0, isEnded: false };
/** Thousands of columns fit in; more is no header of ours. */
const metadataBytesMax = 1024 * 1024;

/**
 * Scans a stream, or goes on where an earlier scan of the same growing stream ended. What is not a whole and sound message
 * ends the scan, and is never an error: a cut stream and a broken one are resumed alike.
 */
export async function scanArrowStream(source: ByteSource | Uint8Array, from: ArrowScan = nothing): Promise<ArrowScan> {
  const bytes = source instanceof Uint8Array ? sourceOf(source) : source;
  let scan = from;
  for (;;) {
    const next = scan.isEnded ? undefined : await advance(bytes, scan);
    if (next === undefined) return scan;
    scan = next;
  }
}

/** A file as it is now; it may have grown by the next call. */
export async function fileSource(file: FileHandle): Promise<ByteSource> {
  const { size } = await file.stat();
  return {
    bytes: size,
    read: async (at, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, at);
      return buffer.subarray(0, bytesRead);
    },
  };
}

function sourceOf(bytes: Uint8Array): ByteSource {
  return { bytes: bytes.length, read: async (at, length) => bytes.subarray(at, at + length) };
}

async function advance(source: ByteSource, scan: ArrowScan): Promise<ArrowScan | undefined> {
  try {
    const at = scan.end;
    const length = metadataBytes(await source.read(at, prefixBytes));
    if (length === 0) return scan.schemaBytes > 0 ? { ...scan, isEnded: true } : undefined;
    if (length > metadataBytesMax || at + prefixBytes + length > source.bytes) return undefined;
    const framed = await source.read(at, prefixBytes + length);
    const head = readHead(framed.subarray(prefixBytes));
    const end = at + prefixBytes + length + head.bodyBytes;
    if (end > source.bytes || (head.kind === 'schema') !== (at === 0)) return undefined;
    if (head.kind === 'schema') return { ...scan, schemaBytes: end, metadata: readSchema(framed).metadata, end };
    return { ...scan, batches: scan.batches + 1, events: scan.events + head.rows, end };
  } catch (error) {
    if (error instanceof NotArrow) return undefined;
    throw error;
  }
}
