// The events of a chunk on its thread, with all that they are derived from: input events are taken from the stored chunks that
// came with the task, or made by their own generator, link by link. The bits are the same either way.
import { LRUCache } from 'lru-cache';
import type { Column, EventColumns } from '../core/columns.ts';
import type { Chain } from '../core/dataset.ts';
import type { Derivation } from '../core/derivation.ts';
import { EvokeError } from '../core/errors.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventsIn, intersection } from '../core/event-range.ts';
import { cut } from '../formats/cut.ts';
import { checkFinite } from '../formats/finite.ts';
import { joined, readColumns } from '../formats/read-chunk.ts';
import type { EventMaker } from '../generators/generator.ts';
import { philoxOf } from '../generators/philox.ts';
import type { GeneratorRegistry } from '../generators/registry.ts';
import type { Stopwatch } from './stopwatch.ts';
import type { ChunkTask, StoredStream } from './task.ts';
import type { TaskWatch } from './watch.ts';

/**
 * CPU that its generators say a step takes: so often it is looked at whether a task is to stop, and told what it took. A record
 * batch, whose size is a matter of bytes, may take minutes.
 */
const stepSeconds = 0.5;

interface PreparedMaker {
  readonly maker: EventMaker;
  readonly columns: readonly Column[];
}

/** Makers hold their generators' tables; chunks of one dataset come one after another, and so do their inputs. */
export class Makers {
  readonly #registry: GeneratorRegistry;
  readonly #prepared = new LRUCache<string, PreparedMaker>({ max: 8 });

  constructor(registry: GeneratorRegistry) {
    this.#registry = registry;
  }

  /** @throws EvokeError GENERATOR_NOT_REGISTERED */
  columnsOf({ generator, version }: Derivation): readonly Column[] {
    return this.#registry.get(generator, version).columns;
  }

  /** How many events of a chain are a step, one at least. */
  stepOf(chain: Chain): number {
    const { cpuSeconds = 0 } = this.#registry.costOf(chain) ?? {};
    return Math.max(1, Math.floor(stepSeconds / cpuSeconds));
  }

  /** @throws EvokeError GENERATOR_NOT_REGISTERED, or what the generator throws */
  of(derivation: Derivation, derivationId: string): PreparedMaker {
    const known = this.#prepared.get(derivationId);
    if (known !== undefined) return known;
    const generator = this.#registry.get(derivation.generator, derivation.version);
    const maker = generator.prepare(derivation.parameters, philoxOf(derivationId));
    const prepared = { maker, columns: generator.columns };
    this.#prepared.set(derivationId, prepared);
    return prepared;
  }

  /** One that failed may be half-way through something: the next chunk gets a new one. */
  forget(derivationId: string): void {
    this.#prepared.delete(derivationId);
  }
}

/** A derivation of the chain; the first is the chunk's own. */
interface Link {
  readonly derivation: Derivation;
  readonly derivationId: string;
  readonly columns: readonly Column[];
  /** `scope:name` */
  readonly dataset: string;
  /** Of its chunks, those that can be read. */
  stored: readonly StoredStream[];
  /** Kept as long as the task, however many links it has. */
  prepared?: PreparedMaker;
  /** The record batch that was read last: the next events are as a rule in it too. */
  decoded?: { readonly of: StoredStream; readonly range: EventRange; readonly data: EventColumns };
}

export class EventChain {
  readonly #links: readonly Link[];
  readonly #makers: Makers;
  readonly #watch: TaskWatch;
  readonly #stopwatch: Stopwatch;
  readonly #stepEvents: number;

  /** @throws EvokeError GENERATOR_NOT_REGISTERED */
  constructor(task: ChunkTask, makers: Makers, watch: TaskWatch, stopwatch: Stopwatch) {
    const { derivation, chunk, origin, inputs = [] } = task;
    const own = { derivation, derivationId: chunk.derivation, dataset: origin.dataset ?? '', stored: [] };
    this.#links = [own, ...inputs].map(({ derivation, derivationId, dataset, stored }) => ({
      derivation,
      derivationId,
      dataset,
      stored,
      columns: makers.columnsOf(derivation),
    }));
    this.#makers = makers;
    this.#watch = watch;
    this.#stopwatch = stopwatch;
    const batches = [chunk, ...inputs].map(({ batchEvents }) => batchEvents);
    this.#stepEvents = Math.min(makers.stepOf({ derivation, inputs }), ...batches);
  }

  /** Of the chunk. */
  get columns(): readonly Column[] {
    return this.#linkAt(0).columns;
  }

  /**
   * A record batch of the chunk; undefined when the task is to stop. No link is ever asked for more events at once than a
   * record batch of any has, so that of none more than about a megabyte is in memory, however large its events are; and none
   * for more than a step.
   * @throws EvokeError GENERATION_FAILED, or what a generator throws
   */
  make(batch: EventRange): EventColumns | undefined {
    const pieces: EventColumns[] = [];
    for (let first = batch.first; first < batch.end; first += this.#stepEvents) {
      if (this.#watch.isToStop) return undefined;
      pieces.push(this.#made(0, { first, end: Math.min(first + this.#stepEvents, batch.end) }));
      this.#stopwatch.look();
    }
    return joined(this.columns, pieces);
  }

  /** No maker of this chain is used again. */
  forget(): void {
    for (const { derivationId } of this.#links) this.#makers.forget(derivationId);
  }

  /** Recursion is as deep as the chain is long, which is bounded where orders are checked. */
  #made(at: number, range: EventRange): EventColumns {
    const link = this.#linkAt(at);
    const input = at + 1 < this.#links.length ? this.#input(at + 1, range) : undefined;
    link.prepared ??= this.#makers.of(link.derivation, link.derivationId);
    const made = link.prepared.maker.make(range, input);
    this.#watch.add(at, 'madeEvents', eventsIn(range));
    return made;
  }

  /** Events of an input: those that can be read are, the others are made. */
  #input(at: number, range: EventRange): EventColumns {
    const link = this.#linkAt(at);
    const pieces: EventColumns[] = [];
    for (let { first } = range; first < range.end; ) {
      const ahead = link.stored.find(({ chunk }) => chunk.range.end > first && chunk.range.first < range.end);
      const readable = ahead && intersection(ahead.chunk.range, { first, end: range.end });
      if (ahead === undefined || readable === undefined || readable.first > first) {
        const missing = { first, end: readable?.first ?? range.end };
        pieces.push(this.#stopwatch.during(at, () => this.#remade(at, missing)));
        first = missing.end;
        continue;
      }
      const read = this.#read(link, ahead, readable);
      if (read === undefined) continue;
      pieces.push(read.data);
      this.#watch.add(at, 'readEvents', eventsIn(read.range));
      first = read.range.end;
    }
    return joined(link.columns, pieces);
  }

  #remade(at: number, range: EventRange): EventColumns {
    const link = this.#linkAt(at);
    try {
      const made = this.#made(at, range);
      // What could not be stored is not read either.
      for (const column of link.columns) checkFinite(column, made, range.first);
      return made;
    } catch (error) {
      throw ofInput(link.dataset, error);
    }
  }

  /** The first of the events, as many as are in one record batch. Undefined when the chunk is not to be read: it is dropped. */
  #read(link: Link, from: StoredStream, range: EventRange): { data: EventColumns; range: EventRange } | undefined {
    const { chunk, stream } = from;
    const batchFirst = range.first - ((range.first - chunk.range.first) % chunk.batchEvents);
    const batch = { first: batchFirst, end: Math.min(batchFirst + chunk.batchEvents, chunk.range.end) };
    let { decoded } = link;
    if (decoded?.of !== from || decoded.range.first !== batch.first) {
      try {
        decoded = { of: from, range: batch, data: readColumns(stream, link.columns, batch, chunk) };
      } catch (error) {
        if (!(error instanceof EvokeError && error.code === 'CHUNK_DAMAGED')) throw error;
        link.stored = link.stored.filter((other) => other !== from);
        return undefined;
      }
      link.decoded = decoded;
    }
    const wanted = { first: range.first, end: Math.min(range.end, batch.end) };
    const data = cut(link.columns, decoded.data, wanted.first - batch.first, wanted.end - batch.first);
    return { data, range: wanted };
  }

  #linkAt(at: number): Link {
    return this.#links[at] as Link;
  }
}

/** An input's event that cannot be made is this chunk's of the same number. */
function ofInput(dataset: string, error: unknown): unknown {
  if (!(error instanceof EvokeError && error.code === 'GENERATION_FAILED')) return error;
  return new EvokeError('GENERATION_FAILED', { ...error.details, detail: `Of its input ${dataset}: ${error.message}` });
}
