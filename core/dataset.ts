// Datasets: a declared, immutable, named set of events 1..N of one derivation.
import type { ChunkRef, Grid } from './chunk.ts';
import { chunkRange } from './chunk.ts';
import type { Column } from './columns.ts';
import type { Derivation } from './derivation.ts';
import { EvokeError } from './errors.ts';
import type { EventRange } from './event-range.ts';
import { formatEventRange } from './event-range.ts';

export interface DatasetName {
  readonly scope: string;
  readonly name: string;
}

/**
 * How far the same derivation gives the same bytes again. `exact`: on every machine (built-ins, by construction);
 * `platform`: for one recorded executable and architecture; `statistical`: only the distributions are the same.
 */
export type Reproducibility = 'exact' | 'platform' | 'statistical';

/**
 * An input as much as making its events takes, written down in the record of the dataset that reads it: what is derived can
 * be made, and explained, also when the input's own record is gone.
 */
export interface InputLink extends Grid {
  /** `scope:name`. */
  readonly dataset: string;
  readonly derivation: Derivation;
  readonly derivationId: string;
}

/** Links of a chain that there can ever be: what a chunk says of them in its trailer stays some ten kilobytes. */
export const chainLinksMax = 32;

/** A derivation with what it is derived from, the nearest first. */
export interface Chain {
  readonly derivation: Derivation;
  readonly inputs?: readonly Pick<InputLink, 'derivation'>[];
}

/** The derivation's own first, then its inputs', the nearest first. */
export function derivationsOf({ derivation, inputs = [] }: Chain): readonly Derivation[] {
  return [derivation, ...inputs.map((input) => input.derivation)];
}

const fromWeakest: readonly Reproducibility[] = ['statistical', 'platform', 'exact'];

/** What is derived is no more reproducible than what it is derived from. */
export function weakest(kinds: readonly Reproducibility[]): Reproducibility {
  return fromWeakest.find((kind) => kinds.includes(kind)) ?? 'exact';
}

/** How a dataset's events are dealt out to files that exist by name only: file n, from 1, has the nth `eventsPerFile` events. */
export interface Files {
  readonly eventsPerFile: number;
  /** Logical file name, with `{n}` or `{n:06}` where the file's number stands (core/files.ts). */
  readonly lfn: string;
}

/**
 * A dataset's record: created once, never changed. Everything about it that must never drift is written down here, so that
 * what is stored can be served, and shown, when the generator that made it is long gone.
 */
export interface Dataset extends DatasetName, Grid {
  readonly derivation: Derivation;
  readonly derivationId: string;
  /** In the order of the record. */
  readonly columns: readonly Column[];
  /** The weakest of the derivation's own and its inputs'. */
  readonly reproducibility: Reproducibility;
  /** What it is derived from: its input, then the input of that, and so on. Absent where it reads nothing. */
  readonly inputs?: readonly InputLink[];
  readonly files?: Files;
  /** RFC 3339, UTC. */
  readonly declaredAt: string;
}

/** A pin exempts a dataset's chunks from eviction until it expires. */
export interface Pin extends DatasetName {
  readonly pinnedAt: string;
  readonly expiresAt: string;
  readonly reason?: string;
}

const namePart = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/;

export function isNamePart(text: string): boolean {
  return namePart.test(text);
}

/** Reads `scope:name`. @throws EvokeError MALFORMED_NAME */
export function parseDatasetName(text: string): DatasetName {
  const [scope, name, ...rest] = text.split(':');
  if (scope === undefined || name === undefined || rest.length > 0) throw malformedName(text);
  return checkDatasetName({ scope, name });
}

/** @throws EvokeError MALFORMED_NAME */
export function checkDatasetName(name: DatasetName): DatasetName {
  if (!isNamePart(name.scope) || !isNamePart(name.name)) throw malformedName(formatDatasetName(name));
  return name;
}

function malformedName(text: string): EvokeError {
  return new EvokeError('MALFORMED_NAME', {
    detail: `"${text.slice(0, 80)}" is not a dataset's name.`,
    hint: 'Scope and name have 1 to 200 of A-Z a-z 0-9 _ . - each, and begin with a letter, a digit or _.',
  });
}

export function formatDatasetName(name: DatasetName): string {
  return `${name.scope}:${name.name}`;
}

/** The chunk with this index on the dataset's grid. */
export function chunkOf(dataset: Dataset, index: number): ChunkRef {
  return { derivation: dataset.derivationId, batchEvents: dataset.batchEvents, range: chunkRange(dataset, index) };
}

/** @throws EvokeError BEYOND_DATASET, with the dataset's number of `events`. */
export function checkWithin(range: EventRange, dataset: Dataset): EventRange {
  if (range.end <= dataset.events) return range;
  throw new EvokeError('BEYOND_DATASET', {
    detail: `${formatEventRange(range)} reaches beyond the ${dataset.events} events of ${formatDatasetName(dataset)}.`,
    events: dataset.events,
  });
}
