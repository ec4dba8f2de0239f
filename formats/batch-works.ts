// What both formats do with a stored chunk: find the record batches that are asked for, and hand those that are not served
// as they lie to the marshalling threads.
import type { ChunkRef } from '../core/chunk.ts';
import { chunkKey, chunkRange } from '../core/chunk.ts';
import { EvokeError } from '../core/errors.ts';
import type { EventRange } from '../core/event-range.ts';
import { formatEventRange, intersection } from '../core/event-range.ts';
import { damaged } from './chunk-file.ts';
import type { ParsedChunk, StoredBatch, StoredChunk } from './chunk-reader.ts';
import { asDamage, layoutOf, storedChunk } from './chunk-reader.ts';
import type { MarshalTask } from './marshal-task.ts';
import type { MarshallerTurn } from './marshaller.ts';
import { project } from './projection.ts';
import type { Selection } from './representation.ts';

/** The stored chunk that holds a part of the selection. @throws EvokeError CHUNK_DAMAGED */
export function chunkOfPart(stored: Buffer, part: EventRange, selection: Selection): StoredChunk {
  const { derivationId: derivation, grid } = selection;
  const range = chunkRange(grid, Math.floor(part.first / grid.chunkEvents));
  if (part.end > range.end) {
    throw new EvokeError('INTERNAL', { detail: `${formatEventRange(part)} is not within one chunk.` });
  }
  const chunk: ChunkRef = { derivation, batchEvents: grid.batchEvents, range };
  return storedChunk(stored, chunk);
}

/** The batches that hold events of the part, each with those. */
export function* batchesTouched(parsed: ParsedChunk, part: EventRange): Generator<[StoredBatch, EventRange]> {
  for (const batch of parsed.batches) {
    const wanted = intersection(batch.range, part);
    if (wanted !== undefined) yield [batch, wanted];
  }
}

/** The selected columns of a batch as they lie, in a frame and memory of their own. @throws EvokeError CHUNK_DAMAGED */
export function projected(parsed: ParsedChunk, batch: StoredBatch, selection: Selection): Uint8Array<ArrayBuffer> {
  const { slots } = layoutOf(parsed, selection.datasetColumns);
  try {
    return project(parsed.stream, batch, slots, selection.columns);
  } catch (error) {
    throw asDamage(error, parsed.chunk);
  }
}

/** The selected columns of some events of a batch, made in a thread. @throws EvokeError CHUNK_DAMAGED, OVERLOADED */
export async function marshalled(
  into: MarshalTask['into'],
  parsed: ParsedChunk,
  [batch, wanted]: [StoredBatch, EventRange],
  selection: Selection,
  turn: MarshallerTurn,
): Promise<Buffer> {
  const result = await turn.run({
    into,
    batch: projected(parsed, batch, selection),
    columns: selection.columns,
    first: wanted.first - batch.range.first,
    end: wanted.end - batch.range.first,
  });
  if (result.state === 'damaged') throw damaged(chunkKey(parsed.chunk), result.detail);
  return Buffer.from(result.bytes.buffer);
}
