// What a store holds, counted by walking it: chunks by the datasets that have them, and those that no dataset has. Takes
// memory by the number of datasets and derivations, not of chunks.
import type { ChunkRef } from '../core/chunk.ts';
import { type Dataset, formatDatasetName } from '../core/dataset.ts';
import type { Catalog } from './catalog.ts';
import { type Chunks, isOnGrid, type StoredChunk } from './chunks.ts';

export interface Held {
  chunks: number;
  bytes: number;
}

/** Chunks of one derivation, in record batches of one size, that no declared dataset has. */
export interface Orphans extends Held {
  readonly sample: ChunkRef;
  /** Of the longest: all but a dataset's last chunk are that long. */
  chunkEvents: number;
  lastEvent: number;
}

export interface Census {
  /** Every chunk once. */
  readonly total: Held;
  /** By `scope:name`; a chunk that datasets share counts for each of them. */
  readonly byDataset: ReadonlyMap<string, Held>;
  readonly orphans: readonly Orphans[];
}

export interface CensusParts {
  readonly chunks: Pick<Chunks, 'all'>;
  readonly catalog: Pick<Catalog, 'datasetsSharing'>;
  readonly signal: AbortSignal;
  /** Called for every chunk. */
  readonly step: (total: Held) => void;
}

/** @throws EvokeError STORE_UNAVAILABLE, or the signal's reason */
export async function takeCensus({ chunks, catalog, signal, step }: CensusParts): Promise<Census> {
  const total = { chunks: 0, bytes: 0 };
  const byDataset = new Map<string, Held>();
  const orphans = new Map<string, Orphans>();
  for await (const stored of chunks.all()) {
    signal.throwIfAborted();
    const { chunk } = stored;
    add(total, stored);
    const sharing = await catalog.datasetsSharing(chunk.derivation, chunk.batchEvents);
    const having = sharing.filter((dataset) => isOnGrid(chunk.range, dataset));
    for (const dataset of having) add(heldBy(byDataset, dataset), stored);
    if (having.length === 0) addOrphan(orphans, stored);
    step(total);
  }
  return { total, byDataset, orphans: [...orphans.values()] };
}

function add(held: Held, { bytes }: StoredChunk): void {
  held.chunks++;
  held.bytes += bytes;
}

function heldBy(byDataset: Map<string, Held>, dataset: Dataset): Held {
  const name = formatDatasetName(dataset);
  const held = byDataset.get(name) ?? { chunks: 0, bytes: 0 };
  byDataset.set(name, held);
  return held;
}

function addOrphan(orphans: Map<string, Orphans>, stored: StoredChunk): void {
  const { chunk } = stored;
  const key = `${chunk.derivation}/${chunk.batchEvents}`;
  const known = orphans.get(key) ?? { sample: chunk, chunks: 0, bytes: 0, chunkEvents: 0, lastEvent: 0 };
  add(known, stored);
  known.chunkEvents = Math.max(known.chunkEvents, chunk.range.end - chunk.range.first);
  known.lastEvent = Math.max(known.lastEvent, chunk.range.end);
  orphans.set(key, known);
}
