// What the ledger is told of a stored chunk that is gone, whoever took it away.
import { type ChunkRef, parseChunkKey } from '../core/chunk.ts';
import type { Eviction, EvictionCause, LedgerSink } from '../core/ledger.ts';
import type { Provenance } from '../core/provenance.ts';
import { readTrailer } from '../formats/chunk-file.ts';
import { makingOf } from './making.ts';

/** Reconciling comes to a chunk long before it is so old. */
const youngMs = 3_600_000;

interface Gone {
  /** From before it went: what is made in its place is made later. */
  readonly atMs: number;
  readonly bytes: number;
  readonly cause: EvictionCause;
}

/**
 * Of a whole chunk that was taken away. The making of a young one is told too: its worker may have been killed before it
 * could, and from now on nobody knows.
 */
export function tellGone(ledger: LedgerSink, chunk: ChunkRef, gone: Gone & { readonly provenance: Provenance }): void {
  const { remakes, generation, put } = makingOf(chunk, gone.bytes, gone.provenance);
  if (gone.atMs - generation.atMs < youngMs) {
    for (const entry of [...remakes, generation, put]) ledger.record(entry);
  }
  ledger.record(evictionOf(chunk, gone));
}

/** `provenance`: the chunk's own, where it was legible: it says for which dataset, and by which generator, it was made. */
function evictionOf(
  { derivation, batchEvents, range }: ChunkRef,
  gone: Gone & { readonly provenance: Provenance | undefined },
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
