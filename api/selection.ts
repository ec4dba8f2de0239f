// What a request for events asks for, and all of its answer that never changes: worked out once and remembered by the
// request's target, because datasets never change. (That they are retired is looked at every time.)
import { LRUCache } from 'lru-cache';
import { type ChunkRef, chunkKey, chunksCovering } from '../core/chunk.ts';
import type { Column } from '../core/columns.ts';
import { checkWithin, chunkOf, type Dataset, formatDatasetName } from '../core/dataset.ts';
import { EvokeError } from '../core/errors.ts';
import { type EventRange, parseEventRange } from '../core/event-range.ts';
import { entityTag, type Format, type Selection } from '../formats/representation.ts';
import type { HeaderList } from './answer.ts';
import { chooseFormat } from './negotiation.ts';

/** What a request says of the events it wants. */
export interface EventsWish {
  /** With or without a suffix. */
  readonly range: string;
  readonly format: string | undefined;
  readonly columns: string | undefined;
  readonly accept: string | undefined;
}

/** A small range's chunks, so that a hit need not work them out: with their keys, for the usage book. */
export interface NamedChunk {
  readonly chunk: ChunkRef;
  readonly key: string;
  readonly part: EventRange;
}

export interface Prepared {
  readonly dataset: Dataset;
  /** `scope:name` */
  readonly datasetName: string;
  readonly selection: Selection;
  readonly format: Format;
  /** The entity tag's value. */
  readonly tag: string;
  /** As headers write it: weak where the events are only statistically the same again. */
  readonly quotedTag: string;
  /** Of 200, 206 and 304 alike. */
  readonly headers: HeaderList;
  /** Undefined for ranges of more than a few chunks. */
  readonly fewChunks: readonly NamedChunk[] | undefined;
}

const preparedMax = 4096;
const keyLengthMax = 600;
const fewChunks = 8;

export class PreparedEvents {
  readonly #prepared = new LRUCache<string, Prepared>({ max: preparedMax });

  /** By the target and the Accept header, which together say all of it. */
  find(target: string, accept: string | undefined): Prepared | undefined {
    return this.#prepared.get(accept === undefined ? target : `${target}\n${accept}`);
  }

  remember(target: string, accept: string | undefined, prepared: Prepared): void {
    const key = accept === undefined ? target : `${target}\n${accept}`;
    if (key.length <= keyLengthMax) this.#prepared.set(key, prepared);
  }
}

/**
 * @throws EvokeError MALFORMED_RANGE, MALFORMED_REQUEST (columns), NOT_ACCEPTABLE, BEYOND_DATASET, UNKNOWN_COLUMN
 */
export function prepare(wish: EventsWish, dataset: Dataset): Prepared {
  const [rangeText = '', suffix] = wish.range.split('.');
  const range = parseEventRange(rangeText);
  const names = wish.columns === undefined ? undefined : columnNames(wish.columns);
  const format = chooseFormat({ suffix, format: wish.format, accept: wish.accept });
  checkWithin(range, dataset);
  const { events, chunkEvents, batchEvents, derivationId, columns } = dataset;
  const selection: Selection = {
    derivationId,
    grid: { events, chunkEvents, batchEvents },
    range,
    datasetColumns: columns,
    columns: names === undefined ? columns : chosen(names, dataset),
  };
  const tag = entityTag(format, selection);
  const quotedTag = dataset.reproducibility === 'statistical' ? `W/"${tag}"` : `"${tag}"`;
  return {
    dataset,
    datasetName: formatDatasetName(dataset),
    selection,
    format,
    tag,
    quotedTag,
    headers: constantHeaders(dataset, range, quotedTag),
    fewChunks: namedChunks(dataset, range),
  };
}

/** @throws EvokeError MALFORMED_REQUEST */
function columnNames(text: string): string[] {
  const names = text.split(',');
  if (names.every((name) => name !== '')) return names;
  throw new EvokeError('MALFORMED_REQUEST', {
    detail: 'columns has an empty name.',
    hint: 'Write names with commas between them, or leave columns out for all.',
  });
}

/** In the dataset's order, without duplicates. @throws EvokeError UNKNOWN_COLUMN */
function chosen(names: readonly string[], dataset: Dataset): readonly Column[] {
  const { columns } = dataset;
  const wanted = new Set(names);
  const selected = columns.filter((column) => wanted.delete(column.name));
  if (wanted.size > 0) {
    throw new EvokeError('UNKNOWN_COLUMN', {
      detail: `${formatDatasetName(dataset)} has no such column.`,
      errors: [...wanted].map((name) => ({ path: '/columns', message: `"${name.slice(0, 80)}" is not a column` })),
      columns: columns.map((column) => column.name),
    });
  }
  // The very array, where it is all of them: what is worked out for it is remembered with it.
  return selected.length === columns.length ? columns : selected;
}

function constantHeaders(
  { scope, name, chunkEvents, reproducibility }: Dataset,
  range: EventRange,
  quotedTag: string,
): HeaderList {
  const path = `/v1/datasets/${scope}/${name}`;
  const first = chunksCovering(range, chunkEvents).first;
  const provenance = `<${path}/provenance/${first}>; rel="http://www.w3.org/ns/prov#has_provenance"`;
  const immutable = reproducibility === 'exact' ? ', immutable' : '';
  return [
    'ETag',
    quotedTag,
    'Cache-Control',
    `public, max-age=31536000${immutable}`,
    'Vary',
    'Accept, Authorization',
    'Link',
    `<${path}>; rel="describedby", ${provenance}`,
  ];
}

function namedChunks(dataset: Dataset, range: EventRange): NamedChunk[] | undefined {
  const { first, end } = chunksCovering(range, dataset.chunkEvents);
  if (end - first > fewChunks) return undefined;
  return Array.from({ length: end - first }, (_, i) => {
    const chunk = chunkOf(dataset, first + i);
    const part = { first: Math.max(chunk.range.first, range.first), end: Math.min(chunk.range.end, range.end) };
    return { chunk, key: chunkKey(chunk), part };
  });
}
