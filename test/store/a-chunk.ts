// Small real chunks for tests: sealed as a worker seals them, of a derivation that no generator makes.
import { type ChunkRef, chunkKey } from '../../core/chunk.ts';
import type { Column } from '../../core/columns.ts';
import { chunkOf, type Dataset } from '../../core/dataset.ts';
import { type Derivation, derivationId } from '../../core/derivation.ts';
import type { InputUse, Provenance } from '../../core/provenance.ts';
import { ChunkWriter } from '../../formats/arrow-writer.ts';
import { sealChunk } from '../../formats/chunk-file.ts';
import { chunkName } from '../../store/chunk-names.ts';

export const chunkBytes = 4096;

const columns: readonly Column[] = [{ name: 'event', type: 'uint64', unit: '1', description: 'event number' }];

export function aDerivation(seed = 1): Derivation {
  return { generator: 'counting', version: '1', parameters: {}, seed };
}

export function aDataset(fields: Partial<Dataset> = {}): Dataset {
  const derivation = fields.derivation ?? aDerivation();
  return {
    scope: 'test',
    name: 'numbers',
    derivation,
    derivationId: derivationId(derivation),
    columns,
    reproducibility: 'exact',
    events: 1000,
    chunkEvents: 64,
    batchEvents: 32,
    declaredAt: '2030-01-01T00:00:00.000Z',
    ...fields,
  };
}

/** Of every input's events half were read, and half made again. */
export function anInputUse(seed: number, cpuSeconds: number): InputUse {
  const derivation = aDerivation(seed);
  return {
    dataset: `test:input-${seed}`,
    derivation,
    derivationId: derivationId(derivation),
    batchEvents: 16,
    readEvents: 32,
    remadeEvents: 32,
    cpuSeconds,
    wallSeconds: 2 * cpuSeconds,
  };
}

/** Chunk `index` of a dataset, whose events are their numbers. All chunks have `chunkBytes` bytes, however they compress. */
export function aChunk(
  options: { dataset?: Dataset; index?: number; writer?: string; inputs?: readonly InputUse[] } = {},
) {
  const { dataset = aDataset(), index = 0, writer = 'test-writer/1', inputs } = options;
  const chunk = chunkOf(dataset, index);
  const { stream, digest } = streamOf(chunk);
  const provenance: Provenance = {
    derivation: dataset.derivation,
    derivationId: dataset.derivationId,
    startEvent: chunk.range.first + 1,
    lastEvent: chunk.range.end,
    batchEvents: dataset.batchEvents,
    digest,
    writer,
    runtime: { node: process.version, v8: '1', arch: 'test', platform: 'test' },
    code: '0',
    worker: { host: 'here', pid: 1, id: 'w' },
    cpuSeconds: 0.1,
    wallSeconds: 0.1,
    ...(inputs === undefined ? {} : { inputs }),
    attempt: 1,
    generatedAt: '2030-01-01T00:00:00.000Z',
    requestId: '',
  };
  const spare = chunkBytes - Buffer.concat(sealChunk(stream, provenance)).length;
  const parts = sealChunk(stream, { ...provenance, requestId: 'x'.repeat(spare) });
  return { chunk, key: chunkKey(chunk), name: chunkName(chunk), parts, bytes: Buffer.concat(parts), digest, writer };
}

function streamOf(chunk: ChunkRef) {
  const writer = new ChunkWriter(chunk, columns);
  for (let first = chunk.range.first; first < chunk.range.end; first += chunk.batchEvents) {
    const events = Math.min(chunk.batchEvents, chunk.range.end - first);
    const values = BigUint64Array.from({ length: events }, (_, i) => BigInt(first + i + 1));
    writer.add({ events, values: { event: values }, offsets: {} });
  }
  return writer.finish();
}
