// What the ledger is told of a chunk's making by those who only have the chunk: from its trailer, the very entries that its
// worker told, or was killed before it could. Telling twice is once.
import type { ChunkRef } from '../core/chunk.ts';
import type { Generation, Put } from '../core/ledger.ts';
import type { Provenance } from '../core/provenance.ts';

/** `bytes`: at rest. */
export function makingOf(
  { derivation, batchEvents, range }: ChunkRef,
  bytes: number,
  provenance: Provenance,
): { generation: Generation; put: Put } {
  const base = {
    atMs: Date.parse(provenance.generatedAt),
    dataset: provenance.dataset ?? '',
    generator: provenance.derivation.generator,
    derivation,
    batchEvents,
    range,
    bytes,
  };
  const generation: Generation = {
    kind: 'generation',
    ...base,
    cpuMicros: Math.round(provenance.cpuSeconds * 1e6),
    wallMicros: Math.round(provenance.wallSeconds * 1e6),
    attempt: provenance.attempt,
    requestId: provenance.requestId,
    batch: provenance.batch ?? '',
  };
  return { generation, put: { kind: 'put', ...base } };
}
