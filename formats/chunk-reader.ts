// Where everything lies in a stored chunk. What is found is remembered with the buffer, so that a hot chunk is
// taken apart once and then only sliced.
import type { ChunkRef } from '../core/chunk.ts';
import { batchesOf, chunkKey } from '../core/chunk.ts';
import type { Column } from '../core/columns.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventsIn } from '../core/event-range.ts';
import type { Provenance } from '../core/provenance.ts';
import { streamHead } from './arrow-schema.ts';
import { damaged, openChunk } from './chunk-file.ts';
import type { BatchHead, Frame } from './ipc.ts';
import { endMarker, NotArrow, readFrame } from './ipc.ts';
import { type Slots, slotsOf } from './projection.ts';
import { fieldsOf, readFields } from './schema-reader.ts';

export interface StoredBatch {
  readonly range: EventRange;
  /** Position of its frame in the stream. */
  readonly at: number;
  readonly end: number;
  /** Prefix and metadata; the body follows. */
  readonly headBytes: number;
  readonly head: BatchHead;
}

export interface ParsedChunk {
  readonly chunk: ChunkRef;
  readonly stream: Buffer;
  /** Bytes of the framed schema message. */
  readonly schemaBytes: number;
  readonly batches: readonly StoredBatch[];
}

export interface StoredChunk extends ParsedChunk {
  readonly provenance: Provenance;
}

/**
 * Finds the schema and the record batches of a chunk's stream, and that they are the chunk's.
 * @throws EvokeError CHUNK_DAMAGED
 */
export function readChunk(stream: Buffer, chunk: ChunkRef): ParsedChunk {
  try {
    const schema = readFrame(stream, 0);
    if (schema?.head.kind !== 'schema') throw new NotArrow('The stream does not begin with a schema.');
    const batches: StoredBatch[] = [];
    let at = schema.end;
    for (const range of batchesOf(chunk)) {
      const batch = storedBatch(readFrame(stream, at), range);
      batches.push(batch);
      at = batch.end;
    }
    if (readFrame(stream, at) !== undefined || at + endMarker.length !== stream.length) {
      throw new NotArrow('The stream goes on after the last event.');
    }
    return { chunk, stream, schemaBytes: schema.end, batches };
  } catch (error) {
    throw asDamage(error, chunk);
  }
}

function storedBatch(frame: Frame | undefined, range: EventRange): StoredBatch {
  if (frame === undefined) throw new NotArrow('The stream ends before the last event.');
  const { at, end, headBytes, head } = frame;
  if (head.kind !== 'batch' || head.rows !== eventsIn(range)) throw new NotArrow('A record batch has other events.');
  return { range, at, end, headBytes, head };
}

const opened = new WeakMap<Buffer, StoredChunk>();

/**
 * A stored object as chunk, remembered with the buffer: its contents must not change, as the store promises.
 * @throws EvokeError CHUNK_DAMAGED
 */
export function storedChunk(stored: Buffer, chunk: ChunkRef): StoredChunk {
  const remembered = opened.get(stored);
  if (remembered !== undefined && isSame(remembered.chunk, chunk)) return remembered;
  const { stream, provenance } = openChunk(chunkKey(chunk), stored);
  const parsed: StoredChunk = { ...readChunk(stream, chunk), provenance };
  opened.set(stored, parsed);
  return parsed;
}

function isSame(a: ChunkRef, b: ChunkRef): boolean {
  return (
    a.derivation === b.derivation &&
    a.batchEvents === b.batchEvents &&
    a.range.first === b.range.first &&
    a.range.end === b.range.end
  );
}

export interface Layout {
  /** The schema is byte for byte the one that we would write: record batches can be served as they lie. */
  readonly isDeclared: boolean;
  readonly slots: Slots;
}

const layouts = new WeakMap<ParsedChunk, { columns: readonly Column[]; layout: Layout }>();

/**
 * Where the columns of the dataset lie in the record batches of the chunk.
 * @throws EvokeError CHUNK_DAMAGED when the chunk does not have them.
 */
export function layoutOf(parsed: ParsedChunk, columns: readonly Column[]): Layout {
  const remembered = layouts.get(parsed);
  if (remembered?.columns === columns) return remembered.layout;
  const { derivation: derivationId, batchEvents, range } = parsed.chunk;
  const identity = { derivationId, batchEvents, range };
  const head = parsed.stream.subarray(0, parsed.schemaBytes);
  const isDeclared = head.equals(streamHead(columns, identity));
  try {
    const fields = isDeclared ? fieldsOf(columns) : readFields(head);
    const layout = { isDeclared, slots: slotsOf(fields, columns) };
    layouts.set(parsed, { columns, layout });
    return layout;
  } catch (error) {
    throw asDamage(error, parsed.chunk);
  }
}

/** Tells which chunk it was whose bytes made no sense; other errors stay what they are. */
export function asDamage(error: unknown, chunk: ChunkRef): unknown {
  return error instanceof NotArrow ? damaged(chunkKey(chunk), error.message) : error;
}
