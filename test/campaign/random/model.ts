// What has to be true of the service, from what it was told and what it acknowledged. A change that is under way, or whose
// answer was lost, may have happened or not; what was acknowledged has happened, for ever.
import type { Certainty } from './judge.ts';
import type { PlannedDataset, Span } from './operations.ts';
import { type TrueDataset, Truth } from './truth.ts';

/** How far behind the store an api may be with what is retired, and a little for the clocks. */
const behindMsMax = 2_500;

/** One attempt to change something, and whether it was acknowledged. */
interface Attempt {
  readonly to: boolean;
  readonly fromMs: number;
  /** Undefined while it is under way. */
  untilMs: number | undefined;
  acknowledged: boolean;
}

/** A yes-or-no that operations change. */
export class Switch {
  readonly #attempts: Attempt[] = [];

  /** To be ended with whether it was acknowledged. */
  begin(to: boolean): { end(acknowledged: boolean): void } {
    const attempt: Attempt = { to, fromMs: Date.now(), untilMs: undefined, acknowledged: false };
    this.#attempts.push(attempt);
    return {
      end: (acknowledged) => {
        attempt.untilMs = Date.now();
        attempt.acknowledged = acknowledged;
      },
    };
  }

  /** What it was throughout a time; changes count as seen only `lagMs` after they were acknowledged. */
  during(fromMs: number, lagMs = 0): Certainty {
    let certainty: Certainty = 'no';
    for (const attempt of this.#attempts) {
      const { to, acknowledged, untilMs = Number.POSITIVE_INFINITY } = attempt;
      const overlaps = this.#attempts.some((other) => other !== attempt && overlap(attempt, other));
      const isSettled = acknowledged && untilMs + lagMs <= fromMs && !overlaps;
      if (isSettled) certainty = to ? 'yes' : 'no';
      else if (certainty !== (to ? 'yes' : 'no')) certainty = 'maybe';
    }
    return certainty;
  }
}

function overlap(a: Attempt, b: Attempt): boolean {
  const end = ({ untilMs }: Attempt) => untilMs ?? Number.POSITIVE_INFINITY;
  return a.fromMs <= end(b) && b.fromMs <= end(a) && a.to !== b.to;
}

export class DatasetModel {
  readonly planned: PlannedDataset;
  readonly truth: TrueDataset;
  readonly declared = new Switch();
  readonly retired = new Switch();
  readonly pinned = new Switch();
  /** It can never be declared: what it was to read was retired before. */
  isRefused = false;

  constructor(planned: PlannedDataset, truth: TrueDataset) {
    this.planned = planned;
    this.truth = truth;
  }

  get fullName(): string {
    return `${this.planned.scope}:${this.planned.name}`;
  }

  get path(): string {
    return `/v1/datasets/${this.planned.scope}/${this.planned.name}`;
  }

  /** Of a request that began then and has ended just now. */
  standing(fromMs: number): { readonly declared: Certainty; readonly retired: Certainty } {
    return { declared: this.declared.during(fromMs), retired: this.retired.during(fromMs, behindMsMax) };
  }
}

/** The states in which a batch or a request may be shown, and those that are for ever. */
const states = ['pending', 'running', 'paused', 'completed', 'cancelled', 'failed', 'over-budget'];
const finalStates = ['completed', 'cancelled', 'failed', 'over-budget'];

export interface WorkShown {
  readonly state: string;
  readonly chunks: number;
  readonly done?: number;
  readonly skipped?: number;
  readonly failed?: number;
  readonly chunksDone?: number;
  readonly reason?: string;
  readonly result?: string;
  readonly error?: { readonly code: string };
}

/** A batch, or a request that is answered later: asked for in the order of the sequence. */
export class WorkModel {
  readonly dataset: DatasetModel;
  readonly span: Span;
  /** Undefined until it was accepted. */
  id: string | undefined;
  /** It is over for a request for its end that was acknowledged. */
  cancelledAtMs: number | undefined;
  #final: WorkShown | undefined;

  constructor(dataset: DatasetModel, span: Span) {
    this.dataset = dataset;
    this.span = span;
  }

  get final(): WorkShown | undefined {
    return this.#final;
  }

  /** What is wrong with what is shown of it; `fromMs`: when that was asked for. */
  shown(now: WorkShown, fromMs: number): string | undefined {
    const { chunkEvents } = this.dataset.truth.grid;
    const { startEvent, lastEvent } = this.span;
    const chunks = Math.floor((lastEvent - 1) / chunkEvents) - Math.floor((startEvent - 1) / chunkEvents) + 1;
    const { state } = now;
    if (!states.includes(state)) return `It is ${state}, which nothing is.`;
    if (now.chunks !== chunks) return `It has ${now.chunks} chunks, and the range has ${chunks}.`;
    const settled = now.chunksDone ?? (now.done ?? 0) + (now.skipped ?? 0) + (now.failed ?? 0);
    if (settled > chunks) return `${settled} of ${chunks} chunks are settled.`;
    if (state === 'completed' && settled !== chunks) return `It is completed with ${settled} of ${chunks} chunks.`;
    const before = this.#final;
    if (before !== undefined && before.state !== state) return `It was ${before.state}, and is ${state} now.`;
    if (finalStates.includes(state)) {
      this.#final = now;
      return undefined;
    }
    const isOver = this.cancelledAtMs !== undefined && this.cancelledAtMs < fromMs;
    return isOver ? `It was cancelled, and is ${state}.` : undefined;
  }
}

export class Model {
  readonly truth = new Truth();
  readonly batches: WorkModel[] = [];
  readonly requests: WorkModel[] = [];
  readonly #all: () => readonly PlannedDataset[];
  readonly #datasets = new Map<number, DatasetModel>();

  /** `all`: every dataset drawn so far. */
  constructor(all: () => readonly PlannedDataset[]) {
    this.#all = all;
  }

  dataset(index: number): DatasetModel {
    const known = this.#datasets.get(index);
    if (known !== undefined) return known;
    const planned = this.#all()[index];
    if (planned === undefined) throw new RangeError(`Dataset ${index} was not drawn.`);
    const made = new DatasetModel(planned, this.truth.dataset(index, this.#all()));
    this.#datasets.set(index, made);
    return made;
  }

  /** Those that anything was done with. */
  get datasets(): readonly DatasetModel[] {
    return [...this.#datasets.values()];
  }

  /** Datasets that may share chunks with it, itself included. */
  sharing({ truth }: DatasetModel): readonly DatasetModel[] {
    return this.datasets.filter((other) => other.truth.derivationId === truth.derivationId);
  }
}
