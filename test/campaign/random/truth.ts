// The bytes that every answer has to have, worked out here: the events straight from the generators, and written without a
// queue, a thread, a store or a stored byte in between. Whole record batches are remembered, and cut ones made for themselves.
import { LRUCache } from 'lru-cache';
import { batchesOf, chunkCount, chunkRange, chunksCovering, type Grid } from '../../../core/chunk.ts';
import type { Column, EventColumns } from '../../../core/columns.ts';
import { type Derivation, derivationId, type JsonObject } from '../../../core/derivation.ts';
import { type EventRange, eventNumber, eventsIn, intersection } from '../../../core/event-range.ts';
import { resolveGrid } from '../../../core/grid.ts';
import { streamHead } from '../../../formats/arrow-schema.ts';
import { arrowWriter, ChunkWriter } from '../../../formats/arrow-writer.ts';
import { endMarker } from '../../../formats/ipc.ts';
import { ndjsonLines } from '../../../formats/ndjson.ts';
import { encodeBatch } from '../../../formats/record-batch.ts';
import { entityTag, type FormatName, formats } from '../../../formats/representation.ts';
import type { EventCost, EventMaker } from '../../../generators/generator.ts';
import { philoxOf } from '../../../generators/philox.ts';
import { builtInGenerators as registry } from './generators.ts';
import type { PlannedDataset } from './operations.ts';

/** Enough for the answers that are asked for again and again, and as much for the events. */
const rememberedBytesMax = 128 * 1024 * 1024;
/** Fixtures that only take their time, and make what `quick` makes. */
const sameEvents: Readonly<Record<string, string>> = {
  slow: 'quick',
  busy: 'quick',
  failing: 'quick',
  exiting: 'quick',
};

/** A dataset as the service has to understand its declaration. */
export interface TrueDataset {
  readonly planned: PlannedDataset;
  readonly derivation: Derivation;
  readonly derivationId: string;
  readonly grid: Grid;
  readonly columns: readonly Column[];
  readonly input?: TrueDataset;
}

/** What is asked for, in event indices. */
export interface TrueSelection {
  readonly dataset: TrueDataset;
  readonly range: EventRange;
  readonly format: FormatName;
  readonly columns: readonly Column[];
}

export class Truth {
  readonly #datasets = new Map<number, TrueDataset>();
  readonly #makers = new Map<string, EventMaker>();
  readonly #bodies = new LRUCache<string, Buffer>({
    maxSize: rememberedBytesMax,
    sizeCalculation: (body) => body.length + 1,
  });
  readonly #batches = new LRUCache<string, EventColumns>({
    maxSize: rememberedBytesMax,
    sizeCalculation: ({ values }) => Object.values(values).reduce((sum, { byteLength }) => sum + byteLength, 1),
  });

  /** `all`: every dataset drawn so far. */
  dataset(index: number, all: readonly PlannedDataset[]): TrueDataset {
    const known = this.#datasets.get(index);
    if (known !== undefined) return known;
    const planned = all[index];
    if (planned === undefined) throw new RangeError(`Dataset ${index} was not drawn.`);
    const input = planned.input === undefined ? undefined : this.dataset(planned.input, all);
    const made = trueDataset(planned, input);
    this.#datasets.set(index, made);
    return made;
  }

  tag({ dataset, range, format, columns }: TrueSelection): string {
    const { derivationId, grid, columns: datasetColumns } = dataset;
    return `"${entityTag(formats[format], { derivationId, grid, range, datasetColumns, columns })}"`;
  }

  body(selection: TrueSelection): Buffer {
    const { dataset, range, format, columns } = selection;
    const key = `${this.tag(selection)}`;
    const known = this.#bodies.get(key);
    if (known !== undefined) return known;
    const body = format === 'ndjson' ? this.#lines(dataset, range, columns) : this.#arrow(dataset, range, columns);
    this.#bodies.set(key, body);
    return body;
  }

  /** Of the Arrow stream of a stored chunk, hex. */
  digest(dataset: TrueDataset, chunk: number): string {
    const { derivationId: derivation, grid, columns } = dataset;
    const ref = { derivation, batchEvents: grid.batchEvents, range: chunkRange(grid, chunk) };
    const writer = new ChunkWriter(ref, columns);
    for (const batch of batchesOf(ref)) writer.add(this.#batch(dataset, batch));
    return writer.finish().digest;
  }

  #lines(dataset: TrueDataset, range: EventRange, columns: readonly Column[]): Buffer {
    const parts = batchesTouched(dataset, range).map(({ batch, wanted }) => {
      return ndjsonLines(columns, this.#batch(dataset, batch), wanted.first - batch.first, wanted.end - batch.first);
    });
    return Buffer.concat(parts);
  }

  #arrow(dataset: TrueDataset, range: EventRange, columns: readonly Column[]): Buffer {
    const { derivationId, grid } = dataset;
    const head = streamHead(columns, { derivationId, batchEvents: grid.batchEvents, range });
    const parts = batchesTouched(dataset, range).map(({ batch, wanted }) => {
      const isWhole = eventsIn(batch) === eventsIn(wanted);
      return encodeBatch(columns, isWhole ? this.#batch(dataset, batch) : this.#events(dataset, wanted));
    });
    return Buffer.concat([head, ...parts, endMarker]);
  }

  #batch(dataset: TrueDataset, batch: EventRange): EventColumns {
    const key = `${dataset.derivationId} ${batch.first} ${batch.end}`;
    const known = this.#batches.get(key);
    if (known !== undefined) return known;
    // The maker may use its arrays again.
    const made = structuredClone(this.#events(dataset, batch));
    this.#batches.set(key, made);
    return made;
  }

  #events(dataset: TrueDataset, range: EventRange): EventColumns {
    const input = dataset.input === undefined ? undefined : this.#events(dataset.input, range);
    return this.#maker(dataset).make(range, input);
  }

  #maker({ derivation, derivationId }: TrueDataset): EventMaker {
    const known = this.#makers.get(derivationId);
    if (known !== undefined) return known;
    const instead = sameEvents[derivation.generator];
    const generator =
      instead === undefined ? registry.get(derivation.generator, derivation.version) : registry.find(instead);
    if (generator === undefined) throw new RangeError(`${instead} is not registered.`);
    const maker = generator.prepare(instead === undefined ? derivation.parameters : {}, philoxOf(derivationId));
    this.#makers.set(derivationId, maker);
    return maker;
  }
}

/** Record batches of the dataset that have some of the events, and which. */
function batchesTouched({ derivationId: derivation, grid }: TrueDataset, range: EventRange) {
  const { batchEvents, chunkEvents } = grid;
  const { first, end } = chunksCovering(range, chunkEvents);
  const chunks = Array.from({ length: end - first }, (_, i) => chunkRange(grid, first + i));
  return chunks
    .flatMap((chunk) => [...batchesOf({ derivation, batchEvents, range: chunk })])
    .flatMap((batch) => {
      const wanted = intersection(batch, range);
      return wanted === undefined ? [] : [{ batch, wanted }];
    });
}

export function canBeMade({ generator }: Pick<PlannedDataset, 'generator'>): boolean {
  return generator !== 'exiting';
}

/** The event numbers that no service can make, of the dataset itself and of everything it is derived from. */
export function hopelessEvents(dataset: TrueDataset): readonly number[] {
  const { planned, input } = dataset;
  const inherited = input === undefined ? [] : hopelessEvents(input);
  const own = planned.generator === 'failing' ? [Number(planned.parameters['event'])] : [];
  return [...own, ...inherited].filter((event) => event <= planned.events);
}

/** Whether making the chunk fails, for good and every time. */
export function isHopeless(dataset: TrueDataset, chunk: number): boolean {
  for (let link: TrueDataset | undefined = dataset; link !== undefined; link = link.input) {
    if (!canBeMade(link.planned)) return true;
  }
  const { first, end } = chunkRange(dataset.grid, chunk);
  return hopelessEvents(dataset).some((event) => eventNumber(first) <= event && event <= end);
}

export function hopelessChunks(dataset: TrueDataset, range: EventRange): number[] {
  const { first, end } = chunksCovering(range, dataset.grid.chunkEvents);
  return Array.from({ length: end - first }, (_, i) => first + i).filter((chunk) => isHopeless(dataset, chunk));
}

export function chunksOf(dataset: TrueDataset): number {
  return chunkCount(dataset.grid);
}

function trueDataset(planned: PlannedDataset, input: TrueDataset | undefined): TrueDataset {
  const generator = registry.find(planned.generator);
  if (generator === undefined) throw new RangeError(`${planned.generator} is not registered.`);
  const parameters = generator.parameters.parse(planned.parameters) as JsonObject;
  const { events, chunkEvents, seed } = planned;
  const derivation: Derivation = {
    generator: generator.name,
    version: generator.version,
    parameters,
    seed,
    ...(input === undefined ? {} : { input: input.derivationId }),
  };
  const { rawBytes } = generator.cost(parameters, input && costOf(input));
  return {
    planned,
    derivation,
    derivationId: derivationId(derivation),
    grid: resolveGrid({ events, chunkEvents, rawBytes, cpuSeconds: 0, chunkSeconds: 1 }),
    columns: generator.columns,
    ...(input === undefined ? {} : { input }),
  };
}

function costOf({ derivation, input }: TrueDataset): EventCost {
  const { generator, version, parameters } = derivation;
  return registry.get(generator, version).cost(parameters, input && costOf(input));
}

/** What the digests of stored chunks are recorded for. */
export const writer = arrowWriter;
