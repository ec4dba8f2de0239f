// A chunk at rest: an Arrow stream, followed by a trailer where readers have stopped already:
//   stream | provenance, JSON | its length, uint32 | SHA-256 of everything before | "EVK1"
// Whatever is not exactly that, for exactly the chunk it is said to be, is CHUNK_DAMAGED, and nothing else is ever thrown.
import { createHash, type Hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { chunkKey } from '../core/chunk.ts';
import { EvokeError } from '../core/errors.ts';
import { rangeOfEventNumbers } from '../core/event-range.ts';
import type { InputUse, Provenance } from '../core/provenance.ts';
import { endMarker, metadataBytes, NotArrow, prefixBytes, readHead } from './ipc.ts';

const magic = Buffer.from('EVK1', 'latin1');
const lengthBytes = 4;
const digestBytes = 32;
/** What follows the provenance. */
const tailBytes = lengthBytes + digestBytes + magic.length;

const count = z.int().min(1);
const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** Fields that a later version adds are let through. */
const derivation = z.looseObject({
  generator: z.string(),
  version: z.string(),
  parameters: z.record(z.string(), z.json()),
  seed: z.int().min(0),
  input: z.exactOptional(digest),
});

const inputUse: z.ZodType<InputUse> = z.looseObject({
  dataset: z.string(),
  derivation,
  derivationId: digest,
  batchEvents: count,
  readEvents: z.int().min(0),
  remadeEvents: z.int().min(0),
  cpuSeconds: z.number().min(0),
  wallSeconds: z.number().min(0),
});

const provenanceShape: z.ZodType<Provenance> = z.looseObject({
  derivation,
  derivationId: digest,
  startEvent: count,
  lastEvent: count,
  batchEvents: count,
  digest,
  writer: z.string(),
  runtime: z.looseObject({ node: z.string(), v8: z.string(), arch: z.string(), platform: z.string() }),
  code: z.string(),
  worker: z.looseObject({ host: z.string(), pid: z.int(), id: z.string() }),
  cpuSeconds: z.number().min(0),
  wallSeconds: z.number().min(0),
  inputs: z.exactOptional(z.array(inputUse)),
  attempt: count,
  generatedAt: z.string(),
  requestId: z.string(),
  dataset: z.exactOptional(z.string()),
  batch: z.exactOptional(z.string()),
});

export interface OpenedChunk {
  /** A view of the bytes given. */
  readonly stream: Buffer;
  readonly provenance: Provenance;
}

/** The parts that make the object: the stream as given, and the trailer. `hash`, which is used up, has the stream already. */
export function sealChunk(
  stream: Uint8Array,
  provenance: Provenance,
  hash: Hash = createHash('sha256').update(stream),
): [stream: Uint8Array, trailer: Uint8Array] {
  const json = Buffer.from(JSON.stringify(provenance), 'utf8');
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(json.length);
  const sha256 = hash.update(json).update(length).digest();
  return [stream, Buffer.concat([json, length, sha256, magic])];
}

/**
 * Takes a stored object apart and checks its structure: that it is whole and is the chunk of this key. Synchronous and quick;
 * flipped bits are found by `verifyChunk` only.
 * @throws EvokeError CHUNK_DAMAGED
 */
export function openChunk(key: string, bytes: Buffer): OpenedChunk {
  const { provenance, start } = trailerOf(key, bytes);
  const stream = bytes.subarray(0, start);
  if (!beginsWithSchema(stream)) throw damaged(key, 'The stream does not begin with a schema.');
  if (!stream.subarray(-endMarker.length).equals(endMarker))
    throw damaged(key, 'The stream does not end with its marker.');
  return { stream, provenance };
}

/** Enough for the trailer of any chunk. */
export const trailerBytesMax = 64 * 1024;

/**
 * The provenance in the last bytes of a chunk (all of it, or `trailerBytesMax`). Nothing is verified but that it is this
 * chunk's. @throws EvokeError CHUNK_DAMAGED
 */
export function readTrailer(key: string, end: Buffer): Provenance {
  return trailerOf(key, end).provenance;
}

function trailerOf(key: string, bytes: Buffer): { provenance: Provenance; start: number } {
  const jsonEnd = bytes.length - tailBytes;
  if (jsonEnd < 0 || !bytes.subarray(-magic.length).equals(magic)) throw damaged(key, 'The trailer is missing.');
  const start = jsonEnd - bytes.readUInt32LE(jsonEnd);
  if (start < 0) throw damaged(key, 'The trailer is longer than the object.');
  const provenance = parseProvenance(key, bytes.subarray(start, jsonEnd));
  const named = keyOf(provenance);
  if (named !== key) throw damaged(key, `This is chunk ${named}.`);
  return { provenance, start };
}

/**
 * Checks structure and seal; hashing lets the event loop go on every megabyte. The seal covers the provenance too, and with it the
 * stream's own digest: that is not worked out a second time.
 * @throws EvokeError CHUNK_DAMAGED
 */
export async function verifyChunk(key: string, bytes: Buffer): Promise<Provenance> {
  const { provenance } = openChunk(key, bytes);
  const sealed = bytes.length - magic.length - digestBytes;
  const actual = await sha256(bytes.subarray(0, sealed));
  if (!actual.equals(bytes.subarray(sealed, sealed + digestBytes))) throw damaged(key, 'The bytes have changed.');
  return provenance;
}

/** For whoever reads a chunk and finds that it is not what it should be. */
export function damaged(key: string, detail: string): EvokeError {
  return new EvokeError('CHUNK_DAMAGED', { chunk: key, detail: `Chunk ${key} is damaged: ${detail}` });
}

function parseProvenance(key: string, json: Buffer): Provenance {
  let value: unknown;
  try {
    value = JSON.parse(json.toString('utf8'));
  } catch {
    throw damaged(key, 'The provenance is not JSON.');
  }
  const { success, data } = provenanceShape.safeParse(value);
  if (!success || data.lastEvent < data.startEvent) throw damaged(key, 'The provenance lacks something.');
  return data;
}

function keyOf(provenance: Provenance): string {
  const { derivationId: derivation, batchEvents, startEvent, lastEvent } = provenance;
  return chunkKey({ derivation, batchEvents, range: rangeOfEventNumbers(startEvent, lastEvent) });
}

function beginsWithSchema(stream: Buffer): boolean {
  try {
    const bytes = metadataBytes(stream);
    return bytes > 0 && readHead(stream.subarray(prefixBytes, prefixBytes + bytes)).kind === 'schema';
  } catch (error) {
    if (error instanceof NotArrow) return false;
    throw error;
  }
}

/** About half a millisecond of hashing. In slices and not on another thread: that would need a copy of all bytes. */
const sliceBytes = 1024 * 1024;

async function sha256(bytes: Buffer): Promise<Buffer> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    if (at > 0) await nextTurn();
    hash.update(bytes.subarray(at, at + sliceBytes));
  }
  return hash.digest();
}
