// What the ledger is told of a chunk's making by those who only have the chunk: from its trailer, the very entries that its
// worker told, or was killed before it could. Telling twice is once.
import type { ChunkRef } from '../core/chunk.ts';
import type { Generation, Put, Remake } from '../core/ledger.ts';
import type { InputUse, Provenance } from '../core/provenance.ts';

/** What the ledger is told of a chunk that was made, in the order in which it is told. */
export interface Making {
  /** What remaking its inputs took: told first, so that whatever knows the generation knows these. */
  readonly remakes: readonly Remake[];
  readonly generation: Generation;
  readonly put: Put;
}

/** `bytes`: at rest. */
export function makingOf({ derivation, batchEvents, range }: ChunkRef, bytes: number, provenance: Provenance): Making {
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
  const remakes = remakesOf(provenance.inputs ?? [], generation);
  return { remakes, generation, put: { kind: 'put', ...base } };
}

/** One for each input on which anything was spent, on the way to a chunk of this range. */
export function remakesOf(
  inputs: readonly InputUse[],
  { atMs, range, attempt, requestId, batch }: Pick<Generation, 'atMs' | 'range' | 'attempt' | 'requestId' | 'batch'>,
): Remake[] {
  const remakes = inputs.map(({ dataset, derivation, derivationId, batchEvents, cpuSeconds, wallSeconds }) => ({
    kind: 'remake' as const,
    atMs,
    dataset,
    generator: derivation.generator,
    derivation: derivationId,
    batchEvents,
    range,
    cpuMicros: Math.round(cpuSeconds * 1e6),
    wallMicros: Math.round(wallSeconds * 1e6),
    attempt,
    requestId,
    batch,
  }));
  return remakes.filter(({ cpuMicros, wallMicros }) => cpuMicros + wallMicros > 0);
}
