// The states of the chunks of many ranges of one dataset, from as few listings of the store as will do: ranges are mostly
// neighbours, and a listing brings a thousand chunks.
import { firstThat } from '../core/bisect.ts';
import type { ChunkSpan } from '../core/chunk.ts';
import { chunkRange } from '../core/chunk.ts';
import type { Dataset } from '../core/dataset.ts';
import type { ListedChunks } from './listed-chunks.ts';
import type { ChunkRun } from './plan.ts';
import { type Naming, surveyRange } from './survey.ts';

/** How much of the store may be looked at for one answer. What is not looked at counts as absent. */
export interface LookBudget {
  listings: number;
  chunks: number;
}

/** Ranges further apart than this are listed apart, unless there are many of them. */
const gapChunksMin = 1_000;
const listingsOfDatasetMax = 64;

/** Runs of equal state, in order, over the chunks of all spans; what lies between the spans may be among them. */
export class RunTable<S> {
  readonly #runs: readonly ChunkRun<S>[];
  readonly #absent: S;
  /** For each state, how many of the first runs have it. */
  readonly #counts = new Map<S, Int32Array>();

  constructor(runs: readonly ChunkRun<S>[], absent: S) {
    this.#runs = runs;
    this.#absent = absent;
    for (const state of new Set(runs.map((run) => run.state))) {
      const counts = new Int32Array(runs.length + 1);
      for (const [i, run] of runs.entries()) counts[i + 1] = (counts[i] as number) + (run.state === state ? 1 : 0);
      this.#counts.set(state, counts);
    }
  }

  /** The first of the states in this order that a chunk of the span has. */
  firstOf(order: readonly S[], span: ChunkSpan): S {
    const [from, to] = [this.#at(span.first), this.#at(span.end - 1) + 1];
    const found = order.find((state) => {
      const counts = this.#counts.get(state);
      return counts !== undefined && (counts[to] as number) > (counts[from] as number);
    });
    return found ?? this.#absent;
  }

  /** The chunks of the span that are in one of these states. */
  inStates(states: ReadonlySet<S>, span: ChunkSpan): ChunkSpan[] {
    const found: ChunkSpan[] = [];
    for (let i = this.#at(span.first); i < this.#runs.length; i++) {
      const { firstChunk, lastChunk, state } = this.#runs[i] as ChunkRun<S>;
      if (firstChunk >= span.end) break;
      if (!states.has(state)) continue;
      found.push({ first: Math.max(firstChunk, span.first), end: Math.min(lastChunk + 1, span.end) });
    }
    return found;
  }

  /** The run that has this chunk. */
  #at(chunk: number): number {
    return firstThat(this.#runs, ({ lastChunk }) => lastChunk >= chunk);
  }
}

/** @throws EvokeError STORE_UNAVAILABLE */
export async function surveySpans<S>(
  dataset: Dataset,
  spans: readonly ChunkSpan[],
  chunks: ListedChunks,
  naming: Naming<S>,
  budget: LookBudget,
): Promise<RunTable<S>> {
  const runs: ChunkRun<S>[] = [];
  for (const { first, end } of neighbourhoods(spans)) {
    const range = { first: chunkRange(dataset, first).first, end: chunkRange(dataset, end - 1).end };
    for await (const run of surveyRange(dataset, range, within(budget, chunks), naming)) runs.push(run);
  }
  return new RunTable(runs, naming.absent);
}

/** The spans, in order and disjoint, with the gaps between them closed that are not worth a listing of their own. */
export function neighbourhoods(spans: readonly ChunkSpan[]): ChunkSpan[] {
  let merged = [...spans].sort((a, b) => a.first - b.first);
  for (let gap = gapChunksMin; ; gap *= 2) {
    merged = closed(merged, gap);
    if (merged.length <= listingsOfDatasetMax) return merged;
  }
}

function closed(spans: readonly ChunkSpan[], gap: number): ChunkSpan[] {
  const merged: ChunkSpan[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    if (last !== undefined && span.first - last.end <= gap) {
      merged[merged.length - 1] = { first: last.first, end: Math.max(last.end, span.end) };
    } else merged.push(span);
  }
  return merged;
}

/** Listings that end where the budget does. */
function within(budget: LookBudget, chunks: ListedChunks): ListedChunks {
  return {
    async *list(derivation, batchEvents, range) {
      if (budget.listings-- <= 0) return;
      for await (const chunk of chunks.list(derivation, batchEvents, range)) {
        if (budget.chunks-- <= 0) return;
        yield chunk;
      }
    },
  };
}
