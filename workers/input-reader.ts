// Fetches the stored chunks of a chunk's inputs that are worth reading (costs/input-reads.ts), before a thread makes the chunk.
// Only tried: what is absent or damaged, and everything while the store cannot be used, is made again, to the same bits.
import { type ChunkRef, chunkKey, chunkRange, chunksCovering } from '../core/chunk.ts';
import type { InputLink } from '../core/dataset.ts';
import { messageOf } from '../core/errors.ts';
import { type EventRange, eventsIn, within, without } from '../core/event-range.ts';
import type { Log } from '../core/log.ts';
import { chunksToRead, inputBytesMax, inputLooksMax, isWorthReading } from '../costs/input-reads.ts';
import { openChunk } from '../formats/chunk-file.ts';
import type { ChunkJob } from '../queue/job.ts';
import type { Chunks } from '../store/chunks.ts';
import type { InputTask, StoredStream } from './task.ts';

const callsAtOnce = 8;

/** A chunk of an input was read. */
export interface InputRead {
  readonly link: InputLink;
  readonly chunk: ChunkRef;
  /** Those of its events that the chunk is made of. */
  readonly events: number;
}

export interface InputsRead {
  readonly inputs: readonly InputTask[];
  readonly reads: readonly InputRead[];
}

type InputChunks = Pick<Chunks, 'head' | 'get'>;

interface Found {
  readonly chunk: ChunkRef;
  readonly range: EventRange;
  readonly bytes: number;
}

/**
 * What the thread is given of the order's inputs, the nearest first. Where a link is read, nothing is looked for behind it.
 * `linkSeconds`: CPU seconds of an event of each link alone, the chunk's own first. Never fails.
 */
export async function readInputs(
  chunks: InputChunks,
  { chunk, inputs = [] }: Pick<ChunkJob, 'chunk' | 'inputs'>,
  linkSeconds: readonly number[],
  log: Log,
): Promise<InputsRead> {
  const tasks: InputTask[] = [];
  const reads: InputRead[] = [];
  let wanted: readonly EventRange[] = [chunk.range];
  let bytesMax = inputBytesMax;
  let looks = inputLooksMax;
  for (const [at, link] of inputs.entries()) {
    const secondsPerEvent = linkSeconds.slice(at + 1).reduce((sum, seconds) => sum + seconds, 0);
    const stored: StoredStream[] = [];
    try {
      const candidates = candidatesOf(link, wanted, secondsPerEvent, looks);
      looks -= candidates.length;
      const found = (await several(candidates, (one) => lookFor(chunks, one))).filter((one) => one !== undefined);
      const { read } = chunksToRead(found, wanted, { secondsPerEvent, bytesMax });
      for (const [i, stream] of (await several(read, (one) => fetched(chunks, one.chunk))).entries()) {
        const one = read[i];
        if (stream === undefined || one === undefined) continue;
        stored.push({ chunk: one.chunk, stream });
        reads.push({ link, chunk: one.chunk, events: countIn(wanted, one.range) });
        bytesMax -= one.bytes;
      }
    } catch (error) {
      // A store that cannot be used is not asked again for this chunk.
      log.warn({ input: link.dataset, error: messageOf(error) }, 'an input could not be read; it is made again');
      looks = 0;
    }
    tasks.push({ ...link, stored });
    for (const { chunk: read } of stored) wanted = without(wanted, read.range);
  }
  return { inputs: tasks, reads };
}

/** Chunks of the input's grid that hold wanted events, and enough of them to be worth a look. */
function candidatesOf(
  link: InputLink,
  wanted: readonly EventRange[],
  secondsPerEvent: number,
  max: number,
): readonly ChunkRef[] {
  const found: ChunkRef[] = [];
  let next = 0;
  let looks = 0;
  for (const range of wanted) {
    const { first, end } = chunksCovering(range, link.chunkEvents);
    // Two wanted ranges may lie in one chunk.
    for (next = Math.max(next, first); next < end && looks < max; next++, looks++) {
      const chunk = { derivation: link.derivationId, batchEvents: link.batchEvents, range: chunkRange(link, next) };
      if (isWorthReading(countIn(wanted, chunk.range), 0, secondsPerEvent)) found.push(chunk);
    }
  }
  return found;
}

async function lookFor(chunks: InputChunks, chunk: ChunkRef): Promise<Found | undefined> {
  const stored = await chunks.head(chunk);
  return stored && { chunk, range: chunk.range, bytes: stored.bytes };
}

/** Undefined when it is gone, or was found damaged. */
async function fetched(chunks: InputChunks, chunk: ChunkRef): Promise<Uint8Array | undefined> {
  const stored = await chunks.get(chunk);
  return stored && openChunk(chunkKey(chunk), stored).stream;
}

function countIn(ranges: readonly EventRange[], range: EventRange): number {
  return within(ranges, range).reduce((sum, common) => sum + eventsIn(common), 0);
}

/** The results in the order of the items; a few at once. */
async function several<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let first = 0; first < items.length; first += callsAtOnce) {
    results.push(...(await Promise.all(items.slice(first, first + callsAtOnce).map(work))));
  }
  return results;
}
