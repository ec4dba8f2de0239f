// Where a chunk came from, and how long it stays.
import { chunkCount, chunkKey } from '../../core/chunk.ts';
import { chunkOf, type Dataset, type DatasetName, formatDatasetName } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { eventNumber } from '../../core/event-range.ts';
import { type Answer, type Input, json } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { type ChunkStateName, underway } from './underway.ts';

export async function getProvenance(
  { params }: Input<DatasetName & { chunk: number }>,
  deps: ApiDeps,
): Promise<Answer> {
  const dataset = await deps.catalog.get(params);
  const chunks = chunkCount(dataset);
  if (params.chunk >= chunks) {
    throw new EvokeError('CHUNK_NOT_FOUND', {
      detail: `${formatDatasetName(dataset)} has the chunks 0 to ${chunks - 1}.`,
      chunks,
    });
  }
  const chunk = chunkOf(dataset, params.chunk);
  const [stored, digests] = await Promise.all([deps.chunks.inspect(chunk), deps.chunks.recordedDigests(chunk)]);
  const about = {
    dataset: formatDatasetName(dataset),
    chunk: params.chunk,
    startEvent: eventNumber(chunk.range.first),
    lastEvent: chunk.range.end,
    batchEvents: dataset.batchEvents,
    derivationId: dataset.derivationId,
    derivation: dataset.derivation,
    digests,
  };
  if (stored === undefined) {
    return json(200, { ...about, ...chainOf(dataset), state: await stateOf(chunkKey(chunk), deps) });
  }
  const state: ChunkStateName = deps.registry.canRemake(dataset) ? 'materialized' : 'fossil';
  const { provenance, bytes } = stored;
  return json(200, { ...provenance, ...about, bytes, state, kept: await keptOf(dataset, state, deps) });
}

/** What it will be made of; of a stored chunk the trailer tells also what that took. */
function chainOf({ inputs }: Dataset) {
  if (inputs === undefined) return {};
  return {
    inputs: inputs.map(({ dataset, derivation, derivationId, batchEvents }) => ({
      dataset,
      derivation,
      derivationId,
      batchEvents,
    })),
  };
}

async function stateOf(key: string, deps: ApiDeps): Promise<ChunkStateName> {
  const { working, failed } = await underway(deps);
  return working.get(key) ?? ([...failed].includes(key) ? 'failed' : 'virtual');
}

async function keptOf(dataset: Dataset, state: ChunkStateName, { catalog }: ApiDeps) {
  if (state === 'fossil') return { until: null, why: 'it cannot be made again' };
  const pin = await catalog.pinOf(dataset);
  if (pin === undefined) {
    return { until: null, why: 'least recently used goes first when the capacity is reached' };
  }
  return { until: pin.expiresAt, why: pin.reason === undefined ? 'pinned' : `pinned: ${pin.reason}` };
}
