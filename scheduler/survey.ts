// The state of every chunk of a range, from a listing of what is stored: a dataset may have 2^53 chunks, so what is absent
// is only ever a gap between what is present, and what is held is one page and one run.
import type { ChunkRef, ChunkSpan } from '../core/chunk.ts';
import { chunksCovering, isChunkKey, parseChunkKey } from '../core/chunk.ts';
import type { Dataset } from '../core/dataset.ts';
import type { EventRange } from '../core/event-range.ts';
import { isOnGrid } from '../store/chunks.ts';
import { InputSurvey } from './input-survey.ts';
import type { ListedChunks } from './listed-chunks.ts';
import type { ChunkRun, Estimates, Means, Plan } from './plan.ts';
import { PlanBuilder, RunMerger, wholeChunks } from './plan.ts';

/** How chunks are called: those stored, those absent, and the few absent ones that have a state of their own. */
export interface Naming<S> {
  stored(index: number, bytes: number): S;
  readonly absent: S;
  /** By chunk index; those outside the range or stored after all are ignored. */
  readonly special: ReadonlyMap<number, S>;
}

/** The runs of equal state that cover the range's chunks, in order. */
export async function* surveyRange<S>(
  dataset: Dataset,
  range: EventRange,
  chunks: ListedChunks,
  naming: Naming<S>,
): AsyncGenerator<ChunkRun<S>> {
  const span = chunksCovering(range, dataset.chunkEvents);
  const special = [...naming.special].filter(([index]) => index >= span.first && index < span.end);
  special.sort(([a], [b]) => a - b);
  const merger = new RunMerger<S>();
  let cursor = span.first;
  let nextSpecial = 0;

  function* gapUntil(end: number): Generator<ChunkRun<S>> {
    for (; nextSpecial < special.length; nextSpecial++) {
      const [index, state] = special[nextSpecial] as [number, S];
      if (index >= end) break;
      if (index < cursor) continue;
      if (index > cursor) yield { firstChunk: cursor, lastChunk: index - 1, state: naming.absent, bytes: 0 };
      yield { firstChunk: index, lastChunk: index, state, bytes: 0 };
      cursor = index + 1;
    }
    if (cursor < end) yield { firstChunk: cursor, lastChunk: end - 1, state: naming.absent, bytes: 0 };
    cursor = end;
  }

  const listed = chunks.list(dataset.derivationId, dataset.batchEvents, wholeChunks(dataset, span));
  for await (const { chunk, bytes } of listed) {
    const index = chunkIndexOf(dataset, chunk);
    if (index === undefined || index < cursor || index >= span.end) continue;
    for (const run of gapUntil(index)) {
      const finished = merger.push(run);
      if (finished !== undefined) yield finished;
    }
    const finished = merger.push({ firstChunk: index, lastChunk: index, state: naming.stored(index, bytes), bytes });
    if (finished !== undefined) yield finished;
    cursor = index + 1;
  }
  for (const run of gapUntil(span.end)) {
    const finished = merger.push(run);
    if (finished !== undefined) yield finished;
  }
  const last = merger.end();
  if (last !== undefined) yield last;
}

/** Where a chunk lies on the dataset's grid; undefined for chunks of another grid or derivation. */
export function chunkIndexOf(dataset: Dataset, chunk: ChunkRef): number | undefined {
  if (chunk.derivation !== dataset.derivationId || chunk.batchEvents !== dataset.batchEvents) return undefined;
  return isOnGrid(chunk.range, dataset) ? chunk.range.first / dataset.chunkEvents : undefined;
}

/** Those of the chunk keys that lie on the dataset's grid and in the span. */
export function indicesAmong(dataset: Dataset, span: ChunkSpan, keys: Iterable<string>): Set<number> {
  const prefix = `${dataset.derivationId}/${dataset.batchEvents}/`;
  const indices = new Set<number>();
  for (const key of keys) {
    if (!key.startsWith(prefix) || !isChunkKey(key)) continue;
    const index = chunkIndexOf(dataset, parseChunkKey(key));
    if (index !== undefined && index >= span.first && index < span.end) indices.add(index);
  }
  return indices;
}

export interface ExplainSources {
  readonly chunks: ListedChunks;
  inMemory(index: number): boolean;
  /** Keys of the chunks that are being made or wait to be. */
  readonly underway: Iterable<string>;
  readonly estimates: Estimates;
  /** Most runs to keep; the totals are of all. */
  readonly limit: number;
}

/** The plan of a range of any size, and where to go on (the first chunk that is not in its runs) when it was cut. */
export async function explainRange(
  dataset: Dataset,
  range: EventRange,
  { chunks, inMemory, underway, estimates, limit }: ExplainSources,
): Promise<Plan & { readonly nextChunk: number | undefined }> {
  const span = chunksCovering(range, dataset.chunkEvents);
  const special = new Map<number, Means>();
  for (const index of indicesAmong(dataset, span, underway)) special.set(index, 'join');
  const naming: Naming<Means> = {
    stored: (index) => (inMemory(index) ? 'memory' : 'near'),
    absent: 'generate',
    special,
  };
  const builder = new PlanBuilder(dataset, range, estimates, limit);
  const links = dataset.inputs && estimates.eventCost?.links;
  const needs = links && new InputSurvey(dataset, wholeChunks(dataset, span), chunks, links);
  for await (const run of surveyRange(dataset, range, chunks, naming)) {
    const made = run.state === 'generate' ? { first: run.firstChunk, end: run.lastChunk + 1 } : undefined;
    builder.add(run, made && (await needs?.needOf(made)));
  }
  const plan = builder.plan();
  const next = (plan.runs.at(-1)?.lastChunk ?? span.first - 1) + 1;
  return { ...plan, nextChunk: next < span.end ? next : undefined };
}
