// What the ledger is told of a stored chunk that is gone, whoever took it away.
import { type ChunkRef, parseChunkKey } from '../core/chunk.ts';
import type { Eviction, EvictionCause } from '../core/ledger.ts';
import type { Provenance } from '../core/provenance.ts';
import { readTrailer } from '../formats/chunk-file.ts';

/** `provenance`: the chunk's own, where it was legible: it says for which dataset, and by which generator, it was made. */
export function evictionOf(
  { derivation, batchEvents, range }: ChunkRef,
  gone: { atMs: number; bytes: number; cause: EvictionCause; provenance: Provenance | undefined },
): Eviction {
  const { provenance, atMs, bytes, cause } = gone;
  const { dataset = '', derivation: made } = provenance ?? {};
  const generator = made?.generator ?? '';
  return { kind: 'eviction', atMs, dataset, generator, derivation, batchEvents, range, bytes, cause };
}

/** Of a chunk that was put into quarantine, as far as it can still be read. */
export function evictionOfDamaged(key: string, stored: Buffer, atMs: number): Eviction {
  const gone = { atMs, bytes: stored.length, provenance: legible(key, stored) };
  return evictionOf(parseChunkKey(key), { ...gone, cause: 'damaged' });
}

function legible(key: string, stored: Buffer): Provenance | undefined {
  try {
    return readTrailer(key, stored);
  } catch {
    return undefined;
  }
}
