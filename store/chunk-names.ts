// Where chunks and what is known of them lie in a store.
import { type ChunkRef, chunkKey, parseChunkKey } from '../core/chunk.ts';

export const chunksPrefix = 'chunks/';

const pattern = /^chunks\/([0-9a-f]{64}\/[1-9]\d{0,15}\/\d{16}-\d{16})\.arrows$/;

/** `chunks/<key>.arrows` */
export function chunkName(chunk: ChunkRef): string {
  return `${chunksPrefix}${chunkKey(chunk)}.arrows`;
}

/** The chunk's key, or undefined when the object is no chunk. */
export function keyOfChunkName(name: string): string | undefined {
  return pattern.exec(name)?.[1];
}

export function chunkOfName(name: string): ChunkRef | undefined {
  const key = keyOfChunkName(name);
  return key === undefined ? undefined : parseChunkKey(key);
}

/** `digests/<key>.ndjson`: the log of a chunk's digests, which survives its eviction. */
export function digestsName(chunk: ChunkRef): string {
  return `digests/${chunkKey(chunk)}.ndjson`;
}
