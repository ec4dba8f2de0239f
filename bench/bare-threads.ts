// Generating, filling and encoding alone: the worker's own threads, with no queue, store or server around them.
import { type ChunkRef, chunkRange } from '../core/chunk.ts';
import { type Derivation, derivationId } from '../core/derivation.ts';
import { builtInGenerators } from '../generators/registry.ts';
import type { DatasetShown } from '../test/service.ts';
import { ThreadPool } from '../workers/pool.ts';

const wallMsMax = 60_000;
const origin = {
  code: 'bench',
  worker: { host: 'bench', pid: process.pid, id: 'bench' },
  attempt: 1,
  requestId: 'bench',
};

/** A `minbias` derivation with all defaults filled in, as a declaration with this seed would be. */
export function minbiasDerivation(seed: number): Derivation {
  const generator = builtInGenerators.find('minbias');
  if (generator === undefined) throw new Error('minbias is not registered');
  return { generator: generator.name, version: generator.version, parameters: generator.parameters.parse({}), seed };
}

export class BareThreads {
  readonly #pool: ThreadPool;

  constructor(threads: number) {
    const generators = new URL('../generators/registry.ts', import.meta.url).href;
    this.#pool = new ThreadPool({ threads, queueMax: 1_000_000, generators });
  }

  /** Chunk `index` of a dataset; resolves when its bytes are in memory, and says how many. */
  async make(derivation: Derivation, dataset: DatasetShown, index: number): Promise<number> {
    const chunk: ChunkRef = {
      derivation: derivationId(derivation),
      batchEvents: dataset.batchEvents,
      range: chunkRange(dataset, index),
    };
    const result = await this.#pool.run({ derivation, chunk, origin }, wallMsMax);
    if (result.state !== 'made') throw new Error(result.detail);
    return result.sealed[0].byteLength;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}
