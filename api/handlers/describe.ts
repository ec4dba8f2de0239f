// How datasets are shown.
import { chunkCount } from '../../core/chunk.ts';
import { type Dataset, type DatasetName, parseDatasetName } from '../../core/dataset.ts';
import { isOnGrid } from '../../store/chunks.ts';
import type { ApiDeps, Generator } from '../deps.ts';

export function datasetPathOf({ scope, name }: DatasetName): string {
  return `/v1/datasets/${scope}/${name}`;
}

/** What never changes of a dataset. */
export function definitionOf(dataset: Dataset) {
  const { scope, name, derivation, events, chunkEvents, batchEvents, derivationId, declaredAt, files } = dataset;
  const { generator, version, parameters, seed } = derivation;
  const input = dataset.inputs?.[0]?.dataset;
  return {
    scope,
    name,
    generator,
    version,
    parameters,
    seed,
    ...(input === undefined ? {} : { input }),
    ...(files === undefined ? {} : { files: { eventsPerFile: files.eventsPerFile, lfn: files.lfn } }),
    events,
    chunkEvents,
    batchEvents,
    chunks: chunkCount(dataset),
    derivation: derivationId,
    declaredAt,
  };
}

/** The definition, and how the dataset stands now. */
export async function describe(dataset: Dataset, deps: ApiDeps) {
  const [stored, pin, retired, inputs] = await Promise.all([
    countStored(dataset, deps),
    deps.catalog.pinOf(dataset),
    deps.catalog.isRetired(dataset),
    inputsShown(dataset, deps),
  ]);
  const { generator, version, parameters } = dataset.derivation;
  const registered: Generator | undefined = deps.registry.find(generator, version);
  const crossSection = registered?.crossSection?.(parameters);
  return {
    ...definitionOf(dataset),
    ...(inputs === undefined ? {} : { inputs }),
    columns: dataset.columns,
    reproducibility: dataset.reproducibility,
    materializedChunks: stored.chunks,
    materializedBytes: stored.bytes,
    pinned: pin !== undefined,
    retired,
    ...(crossSection === undefined ? {} : { crossSection }),
  };
}

/** What is derived from a retired dataset goes on being served, and says what it came from. */
async function inputsShown({ inputs }: Dataset, { catalog }: ApiDeps) {
  if (inputs === undefined) return undefined;
  return Promise.all(
    inputs.map(async ({ dataset, derivation, derivationId }) => {
      const { generator, version, parameters, seed } = derivation;
      const isRetired = await catalog.isRetired(parseDatasetName(dataset));
      const link = { dataset, generator, version, parameters, seed, derivation: derivationId };
      return isRetired ? { ...link, retired: true } : link;
    }),
  );
}

async function countStored(dataset: Dataset, { chunks }: ApiDeps): Promise<{ chunks: number; bytes: number }> {
  const total = { chunks: 0, bytes: 0 };
  for await (const { chunk, bytes } of chunks.list(dataset.derivationId, dataset.batchEvents)) {
    if (!isOnGrid(chunk.range, dataset)) continue;
    total.chunks += 1;
    total.bytes += bytes;
  }
  return total;
}
