// One chunk of an answer on its way to being delivered: looked up, ordered where it is missing, read ahead where there is
// room. What fails ahead of need is forgotten, and tried again when the chunk is needed.
import { type ChunkRef, chunkKey } from '../core/chunk.ts';
import { chunkOf, type Dataset } from '../core/dataset.ts';
import { type ChunkJob, orderOf } from '../queue/job.ts';
import { storeDisagrees } from './flight.ts';
import { type BoardOptions, type Landing, waitedTooLong } from './flights.ts';
import type { Held, HeldAhead, Holds } from './holds.ts';
import type { Time } from './time.ts';

/** What the delivery of a chunk needs of the store. */
export interface SlotChunks {
  /** From memory, synchronously. */
  peek(chunk: ChunkRef): Buffer | undefined;
  head(chunk: ChunkRef): Promise<{ readonly bytes: number } | undefined>;
  /** Verified; undefined when absent, or damaged and put into quarantine. */
  get(chunk: ChunkRef): Promise<Buffer | undefined>;
}

/** What it needs of the flights. */
export interface SlotFlights {
  board(job: ChunkJob, options: BoardOptions): Promise<Landing>;
}

/** What all chunks of one answer share. */
export interface SlotSurroundings {
  readonly chunks: SlotChunks;
  readonly flights: SlotFlights;
  readonly holds: Holds;
  readonly time: Time;
  /** How long to wait for one chunk, from when it is needed. */
  readonly waitMs: number;
  readonly dataset: Dataset;
  readonly requestId: string;
  /** Aborted when the answer ends. */
  readonly stop: AbortSignal;
  /** Whether the reader waits for this chunk. */
  isNeeded(index: number): boolean;
  landed(index: number, landing: Landing): void;
}

/** How long the chunk that is needed now waits for room in the byte budget. */
const roomMs = 5_000;
/** A chunk that landed may have been evicted before it was read: then it is ordered again, so often in all. */
const boardsMax = 3;

export class Slot {
  readonly index: number;
  readonly chunk: ChunkRef;
  readonly key: string;
  /** It was looked up, and its order, where it is missing, is being placed. Never rejects. */
  readonly looked: Promise<void>;
  readonly #with: SlotSurroundings;
  /** What is being done ahead of need. Never rejects. */
  #ready: Promise<void>;
  #busy = true;
  /** Size at rest where it is stored, as far as known. */
  #bytes: number | undefined;
  #flying: Promise<void> | undefined;
  #boards = 0;
  #landing: Landing | undefined;
  #readyAtMs: number | undefined;
  #held: HeldAhead | undefined;
  #failure: { readonly error: unknown; readonly needed: boolean } | undefined;
  #over = false;

  /** Looks the chunk up after `after`, unless it is `known`: then its bytes are the size, or undefined for an absent one. */
  constructor(
    index: number,
    surroundings: SlotSurroundings,
    known: { readonly bytes: number | undefined } | undefined,
    after: Promise<void>,
  ) {
    this.index = index;
    this.chunk = chunkOf(surroundings.dataset, index);
    this.key = chunkKey(this.chunk);
    this.#with = surroundings;
    const looking = after.then(() => this.#look(known));
    this.looked = looking.catch(() => undefined);
    this.#ready = this.#ahead(async () => {
      await looking;
      await this.#flying;
      await this.#read();
      if (this.#bytes !== undefined || this.#boards > 0 || this.#over) return;
      // It vanished, or was damaged, between the look and the reading.
      await this.#order(Number.POSITIVE_INFINITY);
      await this.#read();
    });
  }

  /** Since when it could have been read; undefined while it cannot. */
  get readyAtMs(): number | undefined {
    return this.#readyAtMs;
  }

  get ordered(): boolean {
    return this.#boards > 0;
  }

  /** Nothing was ordered or read for it: from memory it would come as quickly. */
  get untouched(): boolean {
    return this.#held === undefined && this.#landing === undefined;
  }

  /** Reads a stored chunk for which there was no room before. */
  readIfRoom(): void {
    if (this.#busy || this.#held !== undefined || this.#bytes === undefined) return;
    this.#busy = true;
    this.#ready = this.#ahead(() => this.#read());
  }

  /** Gives up what it holds; what is still under way is given up when it arrives. */
  drop(): void {
    this.#over = true;
    this.#held?.release();
    this.#held = undefined;
  }

  /**
   * The chunk in memory, now that it is needed; whoever gets it releases it.
   * @throws EvokeError what scheduler/flights.ts names; OVERLOADED for want of room or time; the reason of the answer's end
   */
  async need(): Promise<{ held: Held; landing: Landing | undefined }> {
    const { chunks, holds, stop, time, waitMs } = this.#with;
    const untilMs = time.now() + waitMs;
    await this.#readyWithin(waitMs);
    if (this.#failure?.needed) throw this.#failure.error;
    if (this.#held !== undefined) {
      const held = this.#held;
      held.keep();
      this.#held = undefined;
      return { held, landing: this.#landing };
    }
    // What failed ahead of need may be there by now.
    const lookAgain = this.#boards === 0 || this.#failure !== undefined;
    if (this.#bytes === undefined && lookAgain) this.#bytes = await sizeOf(chunks, this.chunk);
    for (;;) {
      if (this.#bytes !== undefined) {
        const options = { waitMs: roomMs, signal: stop };
        const held = await holds.hold(this.key, this.#bytes, () => chunks.get(this.chunk), options);
        if (held !== undefined) return { held, landing: this.#landing };
      }
      if (this.#boards === boardsMax) throw storeDisagrees(this.key);
      await this.#order(untilMs - time.now());
    }
  }

  async #look(known: { readonly bytes: number | undefined } | undefined): Promise<void> {
    if (this.#over) return;
    this.#bytes = known === undefined ? await sizeOf(this.#with.chunks, this.chunk) : known.bytes;
    if (this.#bytes !== undefined) this.#readyAtMs = this.#with.time.now();
    // Not waited for: the next chunk's look follows.
    else if (!this.#over) this.#flying = this.#order(Number.POSITIVE_INFINITY);
  }

  /** Boards the flight of a missing chunk. Ahead of need there is no deadline: it counts from when the chunk is needed. */
  async #order(waitMs: number): Promise<void> {
    const { dataset, flights, isNeeded, requestId, stop, time } = this.#with;
    this.#boards++;
    this.#readyAtMs = undefined;
    const landing = await flights.board(orderOf(dataset, this.chunk, { requestId }), {
      signal: stop,
      waitMs,
      ahead: !isNeeded(this.index),
    });
    this.#landing = landing;
    this.#bytes = landing.bytes;
    this.#readyAtMs = time.now();
    this.#with.landed(this.index, landing);
  }

  /** Reads a stored chunk when there is room for it. */
  async #read(): Promise<void> {
    if (this.#over || this.#bytes === undefined) return;
    const { chunks, holds } = this.#with;
    const takenBack = () => {
      this.#held = undefined;
    };
    const held = await holds.holdAhead(this.key, this.#bytes, () => chunks.get(this.chunk), takenBack);
    if (held === 'no room') return;
    if (held === undefined) this.#bytes = undefined;
    else if (this.#over) held.release();
    else this.#held = held;
  }

  async #ahead(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#failure = { error, needed: this.#with.isNeeded(this.index) };
    } finally {
      this.#busy = false;
    }
  }

  /** @throws EvokeError OVERLOADED when it is not ready in time. Ends with the answer. */
  #readyWithin(waitMs: number): Promise<void> {
    const { stop, time } = this.#with;
    return new Promise((resolve, reject) => {
      const cancel = time.after(waitMs, () => reject(waitedTooLong(waitMs)));
      const end = () => {
        cancel();
        stop.removeEventListener('abort', end);
        resolve();
      };
      stop.addEventListener('abort', end, { once: true });
      void this.#ready.then(end);
    });
  }
}

/** Size at rest, undefined when absent. While the store cannot say, what it can still give from memory is as good. */
export async function sizeOf(chunks: SlotChunks, chunk: ChunkRef): Promise<number | undefined> {
  try {
    return (await chunks.head(chunk))?.bytes;
  } catch {
    return (await chunks.get(chunk))?.length;
  }
}
