// What making the chunks of a derived dataset takes of its inputs: which of their stored chunks would be read, and what would
// be made again on the way. Decided for each chunk as the worker decides (costs/input-reads.ts), but in as many steps as there
// are stored chunks of inputs: a dataset may have 2^53 chunks.
import { type ChunkSpan, chunkRange, chunksCovering, type Grid } from '../core/chunk.ts';
import type { Dataset, InputLink } from '../core/dataset.ts';
import { type EventRange, eventsIn } from '../core/event-range.ts';
import { chunksToRead, inputBytesMax, inputLooksMax, type StoredInput } from '../costs/input-reads.ts';
import { isOnGrid } from '../store/chunks.ts';
import type { ListedChunks } from './listed-chunks.ts';

/** What some chunks take of one input. */
export interface InputNeed {
  readonly link: InputLink;
  /** Reads of stored chunks: one that is read for two chunks counts twice. */
  readonly chunksRead: number;
  /** At rest. */
  readonly bytesRead: number;
  readonly eventsRemade: number;
  /** Whether anything of it is stored that could have been read. */
  readonly isStored: boolean;
  /** Of remaking, without what its own input takes. */
  readonly cpuSeconds: number;
}

export class InputSurvey {
  readonly #dataset: Dataset;
  readonly #links: readonly Link[];

  /**
   * `range` is as much as will be asked about; `linkSeconds`: CPU seconds of an event, the dataset's own first and then its
   * inputs', the nearest first (registry `costOf`).
   */
  constructor(dataset: Dataset, range: EventRange, chunks: ListedChunks, linkSeconds: readonly number[]) {
    this.#dataset = dataset;
    const inputs = dataset.inputs ?? [];
    this.#links = inputs.map((link, i) => ({
      link,
      stored: new StoredAlong(link, range.end, chunks),
      cpuSeconds: linkSeconds[i + 1] ?? 0,
      secondsPerEvent: linkSeconds.slice(i + 1).reduce((sum, seconds) => sum + seconds, 0),
    }));
  }

  /** Of each input, the nearest first. What is asked about must come in the order of the events. */
  async needOf(span: ChunkSpan): Promise<readonly InputNeed[]> {
    const sums = this.#links.map(() => new Sum());
    for (let index = span.first; index < span.end; ) {
      const range = chunkRange(this.#dataset, index);
      for (const { stored } of this.#links) await stored.advance(range);
      const alike = alikeFrom(index, span.end, this.#dataset, this.#links);
      this.#addOne(range, alike, sums);
      index += alike;
    }
    return this.#links.map(({ link, cpuSeconds }, i) => (sums[i] as Sum).need(link, cpuSeconds));
  }

  /** What a chunk takes, as many times as there are chunks that take the same. */
  #addOne(range: EventRange, times: number, sums: readonly Sum[]): void {
    let wanted: readonly EventRange[] = [range];
    let bytesMax = inputBytesMax;
    for (const [i, { stored, secondsPerEvent }] of this.#links.entries()) {
      const { read, left } = chunksToRead(stored.within(range), wanted, { secondsPerEvent, bytesMax });
      const bytes = read.reduce((sum, chunk) => sum + chunk.bytes, 0);
      sums[i]?.add({ chunks: read.length, bytes, left: countOf(left), times });
      if (stored.within(range).length > 0) sums[i]?.found();
      wanted = left;
      bytesMax -= bytes;
    }
  }
}

interface Link {
  readonly link: InputLink;
  readonly stored: StoredAlong;
  readonly cpuSeconds: number;
  /** With all that is behind it. */
  readonly secondsPerEvent: number;
}

/** How many chunks, from this one on, find the same stored: each wholly inside one chunk, or none, of every input. */
function alikeFrom(index: number, end: number, grid: Grid, links: readonly Link[]): number {
  const range = chunkRange(grid, index);
  const same = Math.min(...links.map(({ stored }) => stored.sameUntil(range)));
  const whole = Math.floor((Math.min(same, grid.events) - range.first) / grid.chunkEvents);
  return Math.min(Math.max(1, whole), end - index);
}

/**
 * The stored chunks of an input along a walk: held are those of the chunk that is looked at, and the next one. A worker looks
 * for so many of them only, and so does this.
 */
class StoredAlong {
  readonly #link: InputLink;
  readonly #end: number;
  readonly #chunks: ListedChunks;
  #listed: AsyncIterator<StoredInput> | undefined;
  /** In order; the last one begins behind the range that was advanced to, unless there are no more. */
  #ahead: StoredInput[] = [];
  #isAtEnd = false;

  constructor(link: InputLink, end: number, chunks: ListedChunks) {
    this.#link = link;
    this.#end = end;
    this.#chunks = chunks;
  }

  async advance(range: EventRange): Promise<void> {
    this.#listed ??= this.#list(range.first);
    this.#ahead = this.#ahead.filter((chunk) => chunk.range.end > range.first);
    while (!this.#isAtEnd && (this.#ahead.at(-1)?.range.first ?? 0) < range.end) {
      const next = await this.#listed.next();
      if (next.done === true) this.#isAtEnd = true;
      else if (this.#isToBeHeld(next.value.range, range)) this.#ahead.push(next.value);
    }
  }

  #isToBeHeld(stored: EventRange, range: EventRange): boolean {
    return stored.end > range.first && (this.#ahead.length < inputLooksMax || stored.first >= range.end);
  }

  /** Those that have events of the range that was advanced to. */
  within(range: EventRange): readonly StoredInput[] {
    return this.#ahead.filter((chunk) => chunk.range.first < range.end);
  }

  /** How far it stays as it is for this range: none stored, or the one that holds all of it. */
  sameUntil(range: EventRange): number {
    const [chunk] = this.#ahead;
    if (chunk === undefined) return Number.POSITIVE_INFINITY;
    if (chunk.range.first >= range.end) return chunk.range.first;
    return chunk.range.first <= range.first ? chunk.range.end : range.end;
  }

  async *#list(first: number): AsyncGenerator<StoredInput> {
    const { derivationId, batchEvents, chunkEvents, events } = this.#link;
    const span = chunksCovering({ first, end: this.#end }, chunkEvents);
    const whole = { first: span.first * chunkEvents, end: Math.min(span.end * chunkEvents, events) };
    for await (const { chunk, bytes } of this.#chunks.list(derivationId, batchEvents, whole)) {
      if (isOnGrid(chunk.range, this.#link)) yield { range: chunk.range, bytes };
    }
  }
}

class Sum {
  #chunks = 0;
  #bytes = 0;
  #remade = 0;
  #isStored = false;

  found(): void {
    this.#isStored = true;
  }

  add(one: { chunks: number; bytes: number; left: number; times: number }): void {
    this.#chunks += one.chunks * one.times;
    this.#bytes += one.bytes * one.times;
    this.#remade += one.left * one.times;
  }

  need(link: InputLink, secondsPerEvent: number): InputNeed {
    return {
      link,
      chunksRead: this.#chunks,
      bytesRead: this.#bytes,
      eventsRemade: this.#remade,
      isStored: this.#isStored,
      cpuSeconds: this.#remade * secondsPerEvent,
    };
  }
}

function countOf(ranges: readonly EventRange[]): number {
  return ranges.reduce((sum, range) => sum + eventsIn(range), 0);
}
