// Room for chunks: reserved before they are written, made where there is none by evicting the least recently used chunk that
// may go. The book of what is used is shared by all workers and may be lost at any time; the store is the truth.
import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type ChunkRef, chunkKey, isChunkKey, parseChunkKey } from '../core/chunk.ts';
import { type Clock, pause } from '../core/clock.ts';
import { EvokeError } from '../core/errors.ts';
import { reservationMs, type UsageBook, type UsageEntry } from '../core/usage-book.ts';
import type { Chunks } from './chunks.ts';
import type { Evictor } from './eviction.ts';

/** Room promised to a chunk being made. Either settle or release it; released when settled, releasing does nothing. */
export interface Reservation {
  settle(chunk: ChunkRef, bytes: number): Promise<void>;
  release(): Promise<void>;
}

export interface CapacityParts {
  readonly book: UsageBook;
  readonly chunks: Chunks;
  readonly evictor: Pick<Evictor, 'evict'>;
  readonly capacityBytes: number;
  readonly clock: Clock;
}

/**
 * How full batches may make a store: what they hold is not evicted for room, and people who ask for other events meanwhile
 * need some.
 */
export const shareOfBatches = 0.9;
/** Chunks looked at together. */
const candidatesAtOnce = 256;
/** Looks of one reservation for room: it gives up where others would only wait for it. */
const looksMax = 64;
/** Between two looks while others' promises take the room, and altogether: longer than chunks take to be made. */
const waitMs = 250;
const waitMsMax = 10_000;
/** A process that lives keeps its promises, however long a chunk takes: renewed twice before they would lapse. */
const renewMs = reservationMs / 3;
/** How long a chunk that may not go is not asked about again, unless the refusal says how long. */
const keptMs = 60_000;
const keptMax = 20_000;

export class Capacity {
  readonly #parts: CapacityParts;
  /** Chunks found to be pinned, held or fossils, with the time until which they are passed over. */
  readonly #kept = new LRUCache<string, number>({ max: keptMax });
  /** Reservations that were given and not ended. */
  readonly #open = new Set<string>();
  #renewal: NodeJS.Timeout | undefined;
  /** One looks for room at a time: several at once would evict several times what is needed. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: CapacityParts) {
    this.#parts = parts;
  }

  /**
   * `share`: of the capacity, how much may be taken, this reservation included.
   * @throws EvokeError STORE_UNAVAILABLE when there is no room and nothing that may be evicted
   */
  async reserve(bytes: number, share = 1): Promise<Reservation> {
    const id = randomUUID();
    const limitBytes = Math.floor(this.#parts.capacityBytes * share);
    // Free room needs no turn.
    if ((await this.#ask(id, bytes, limitBytes)) === 'reserved') return this.#reservation(id);
    const turn = this.#turn.then(() => this.#reserveWithEviction(id, bytes, limitBytes));
    this.#turn = turn.catch(() => undefined);
    await turn;
    return this.#reservation(id);
  }

  async #reserveWithEviction(id: string, bytes: number, limitBytes: number): Promise<void> {
    let waitedMs = 0;
    for (let look = 0; look < looksMax; look++) {
      const answer = await this.#ask(id, bytes, limitBytes);
      if (answer === 'reserved') return;
      if (answer === 'unknown') await this.#rebuild();
      else if (!(await this.#makeRoom(bytes, limitBytes))) {
        if (waitedMs >= waitMsMax || !(await this.#isOnlyPromised(bytes, limitBytes))) break;
        await pause(waitMs);
        waitedMs += waitMs;
      }
    }
    throw new EvokeError('STORE_UNAVAILABLE', {
      detail: 'The store is full and nothing may be evicted.',
      hint: 'Evict or unpin datasets, cancel batches that hold chunks, await event ranges that are held, or raise EVOKE_CAPACITY_BYTES.',
    });
  }

  #ask(id: string, bytes: number, limitBytes: number): Promise<'reserved' | 'full' | 'unknown'> {
    return this.#parts.book.reserve(id, bytes, limitBytes);
  }

  #reservation(id: string): Reservation {
    const { book } = this.#parts;
    let open = true;
    // From then on nothing is made with it: where the book cannot be told, it lapses.
    const letGo = () => this.#letGo(id);
    this.#keep(id);
    return {
      async settle(chunk, bytes) {
        letGo();
        await book.settle(id, chunkKey(chunk), bytes);
        open = false;
      },
      async release() {
        if (!open) return;
        open = false;
        letGo();
        await book.release(id);
      },
    };
  }

  /** Renews the reservation from time to time. */
  #keep(id: string): void {
    this.#open.add(id);
    this.#renewal ??= setInterval(() => {
      // Without Redis nobody reserves, either; what lapses meanwhile goes over the capacity for once.
      this.#parts.book.renew([...this.#open]).catch(() => undefined);
    }, renewMs).unref();
  }

  #letGo(id: string): void {
    this.#open.delete(id);
    if (this.#open.size > 0) return;
    clearInterval(this.#renewal);
    this.#renewal = undefined;
  }

  /** First start, or the book was lost. */
  #rebuild(): Promise<void> {
    return this.#parts.book.rebuild(entriesOf(this.#parts.chunks));
  }

  /** Evicts from among the oldest until `bytes` fit. False when there is nothing left to look at. */
  async #makeRoom(bytes: number, limitBytes: number): Promise<boolean> {
    const { book, clock } = this.#parts;
    if (bytes > limitBytes) return false;
    let missing = await this.#missing(bytes, limitBytes);
    const candidates = await book.oldest(candidatesAtOnce);
    const passedOver: string[] = [];
    let gone = 0;
    try {
      for (const { key } of candidates) {
        if (missing <= 0) break;
        // Before the try: a chunk whose eviction fails is passed over next time, so that others are reached.
        passedOver.push(key);
        // What is no chunk's is somebody else's writing: housekeeping takes it out.
        if (this.#isKept(key) || !isChunkKey(key)) continue;
        const outcome = await this.#evict(key);
        if (outcome === 'kept') continue;
        passedOver.pop();
        gone++;
        // What others had taken already gave its room back in the book only.
        missing = outcome === undefined ? await this.#missing(bytes, limitBytes) : missing - outcome;
      }
    } finally {
      // They go to the end of the line; otherwise, enough of them would hide everything younger from every look.
      const usedAtMs = clock.now();
      if (passedOver.length > 0) await book.touch(passedOver.map((key) => ({ key, usedAtMs })));
    }
    return gone > 0 || missing <= 0 || candidates.length === candidatesAtOnce;
  }

  /**
   * Whether it is chunks still being made that take the room: they mostly turn out smaller than was promised to them, and
   * once stored they may go. Refusing would fail a chunk for which there is room in a moment.
   */
  async #isOnlyPromised(bytes: number, limitBytes: number): Promise<boolean> {
    const usage = await this.#parts.book.usage();
    return usage !== undefined && usage.reservedBytes > 0 && usage.usedBytes + bytes <= limitBytes;
  }

  /** How much must go before `bytes` fit. */
  async #missing(bytes: number, limitBytes: number): Promise<number> {
    const usage = await this.#parts.book.usage();
    return usage === undefined ? 0 : usage.usedBytes + usage.reservedBytes + bytes - limitBytes;
  }

  #isKept(key: string): boolean {
    const untilMs = this.#kept.get(key);
    return untilMs !== undefined && this.#parts.clock.now() < untilMs;
  }

  /** The bytes freed; undefined when the chunk was gone already, for example taken by another worker. */
  async #evict(key: string): Promise<number | undefined | 'kept'> {
    const { evictor, clock } = this.#parts;
    try {
      return await evictor.evict(parseChunkKey(key));
    } catch (error) {
      if (!(error instanceof EvokeError) || (error.code !== 'PINNED' && error.code !== 'FOSSIL')) throw error;
      const { retryAfterSeconds } = error.details;
      this.#kept.set(key, clock.now() + (retryAfterSeconds === undefined ? keptMs : retryAfterSeconds * 1000));
      return 'kept';
    }
  }
}

/** Every stored chunk as the book takes it in: the time of writing is the best known time of use. */
export async function* entriesOf(chunks: Pick<Chunks, 'all'>): AsyncGenerator<UsageEntry> {
  for await (const { chunk, bytes, modifiedAtMs } of chunks.all()) {
    yield { key: chunkKey(chunk), bytes, usedAtMs: modifiedAtMs };
  }
}
