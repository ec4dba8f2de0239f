// Fulfils one order: looks whether the chunk is stored already, has room promised, makes it on a thread, seals and stores
// it, and afterwards writes its digest down. Knows the store and the threads, and nothing of the queue.
import { type ChunkRef, chunkKey } from '../core/chunk.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { derivationsOf } from '../core/dataset.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import { eventsIn } from '../core/event-range.ts';
import { type LedgerSink, noLedger, type WasteCause } from '../core/ledger.ts';
import type { Log } from '../core/log.ts';
import { cpuMicrosOf, type Origin } from '../core/provenance.ts';
import type { UsageBook } from '../core/usage-book.ts';
import { arrowWriter } from '../formats/arrow-writer.ts';
import type { GeneratorRegistry } from '../generators/registry.ts';
import type { ChunkDone, ChunkJob } from '../queue/job.ts';
import { shareOfBatches } from '../store/capacity.ts';
import type { Chunks } from '../store/chunks.ts';
import { Account } from './accounts.ts';
import type { WorkerCounters } from './counters.ts';
import { type InputRead, readInputs } from './input-reader.ts';
import { checkOrder } from './order-check.ts';
import type { ThreadPool } from './pool.ts';
import type { ChunkMade, InputTask, Spent } from './task.ts';

/** A task is ended by force when it takes longer than this and twenty times what its generator says together. */
const wallMsFree = 60_000;
const wallPerEstimate = 20;
/** A day: more than a timer holds would fire at once. */
const wallMsMax = 86_400_000;
/** What a chunk takes in the store beside its events: schema, batch headers, trailer. */
const framingBytes = 64 * 1024;

/** Room in the store, promised before a chunk is made (store/capacity.ts). */
export interface Room {
  /** Within a share of the whole. @throws EvokeError STORE_UNAVAILABLE when there is none. */
  reserve(bytes: number, share: number): Promise<RoomReservation>;
}

export interface RoomReservation {
  settle(chunk: ChunkRef, bytes: number): Promise<void>;
  release(): Promise<void>;
}

/** The task was asked to stop before the chunk was whole. */
export class Cancelled extends Error {}

export interface ChunkMakerParts {
  readonly pool: Pick<ThreadPool, 'run'>;
  readonly registry: GeneratorRegistry;
  readonly chunks: Pick<Chunks, 'head' | 'get' | 'put' | 'trailer' | 'recordDigest'>;
  readonly room: Room;
  /** Told when a stored chunk is read as an input. */
  readonly book?: Pick<UsageBook, 'touch'>;
  /** Told of every chunk made and stored, and of all work that came to nothing. */
  readonly ledger?: LedgerSink;
  readonly clock?: Clock;
  readonly identity: Origin['worker'];
  /** The service's version. */
  readonly code: string;
  readonly counters: WorkerCounters;
}

export class ChunkMaker {
  readonly #parts: ChunkMakerParts;
  /** What is done after the answer is out. */
  readonly #afterwards = new Set<Promise<void>>();

  constructor(parts: ChunkMakerParts) {
    this.#parts = parts;
  }

  /** @throws Cancelled, EvokeError, and whatever a dying thread leaves behind */
  async fulfil(order: ChunkJob, attempt: number, log: Log): Promise<ChunkDone> {
    const { chunks, counters } = this.#parts;
    const { key, chunk } = order;
    const begun = performance.now();
    const workMs = () => Math.round(performance.now() - begun);
    checkOrder(order);
    // Whoever ordered looked before; until this order's turn came, an earlier one may have been fulfilled.
    const stored = await chunks.head(chunk);
    if (stored !== undefined) {
      counters.found += 1;
      return { key, bytes: stored.bytes, cpuSeconds: 0, generated: false, workMs: workMs() };
    }
    const cost = this.#costOf(order);
    const { ledger = noLedger, clock = systemClock } = this.#parts;
    const account = new Account(order, attempt, { ledger, clock });
    const { made, bytes, isOurs } = await this.#withRoom(
      order,
      Math.ceil(cost.rawBytes) + framingBytes,
      log,
      async () => {
        const inputs = await this.#read(order, cost.linkSeconds, account, log);
        const wallMs = Math.min(wallMsFree + wallPerEstimate * cost.cpuSeconds * 1000, wallMsMax);
        const made = await this.#make(order, inputs, attempt, wallMs, account);
        const kept = await this.#store(chunk, made, account);
        forget(made);
        return { made, ...kept };
      },
    );
    this.#later(() => this.#recordDigest(chunk, made.digest, log));
    if (!isOurs) return { key, bytes, cpuSeconds: 0, generated: false, workMs: workMs() };
    const cpuSeconds = cpuMicrosOf(made) / 1e6;
    log.debug({ bytes, cpuSeconds, workMs: workMs() }, 'a chunk was made');
    return { key, bytes, cpuSeconds, generated: true, workMs: workMs() };
  }

  /** Resolves when nothing is left to be done after the answers. */
  async settled(): Promise<void> {
    await Promise.all(this.#afterwards);
  }

  /**
   * Of the whole chunk, with all that it is derived from; `linkSeconds` of an event of each link.
   * @throws EvokeError GENERATOR_NOT_REGISTERED
   */
  #costOf({ key, chunk, ...chain }: ChunkJob): {
    cpuSeconds: number;
    rawBytes: number;
    linkSeconds: readonly number[];
  } {
    const { registry } = this.#parts;
    for (const { generator, version, input } of derivationsOf(chain)) {
      if (registry.get(generator, version).input === 'none' || input !== undefined) continue;
      throw new EvokeError('INTERNAL', { detail: `The order for ${key} has no input for ${generator}.` });
    }
    const { cpuSeconds = 0, rawBytes = 0, links: linkSeconds = [] } = registry.costOf(chain) ?? {};
    const events = eventsIn(chunk.range);
    return { cpuSeconds: cpuSeconds * events, rawBytes: rawBytes * events, linkSeconds };
  }

  /** The work stores the chunk; its room is released when it fails. */
  async #withRoom<T extends { bytes: number }>(
    { chunk, batch }: ChunkJob,
    estimate: number,
    log: Log,
    work: () => Promise<T>,
  ): Promise<T> {
    const reservation = await this.#parts.room.reserve(estimate, batch === undefined ? 1 : shareOfBatches);
    let done: T;
    try {
      done = await work();
    } catch (error) {
      await reservation.release().catch((problem: unknown) => {
        log.warn({ error: messageOf(problem) }, 'a reservation could not be released; it will lapse');
      });
      throw error;
    }
    // Stored is stored: the book is corrected from the store when it has to be.
    await reservation.settle(chunk, done.bytes).catch((problem: unknown) => {
      log.warn({ error: messageOf(problem) }, 'a stored chunk could not be counted');
    });
    return done;
  }

  /** Stored chunks of the order's inputs, where that takes less than making their events again. */
  async #read(
    order: ChunkJob,
    linkSeconds: readonly number[],
    account: Account,
    log: Log,
  ): Promise<readonly InputTask[]> {
    if (order.inputs === undefined) return [];
    const { inputs, reads } = await readInputs(this.#parts.chunks, order, linkSeconds, log);
    for (const read of reads) account.read(read);
    this.#later(() => this.#tellUse(reads, log));
    return inputs;
  }

  async #make(
    { derivation, chunk, requestId, dataset, batch }: ChunkJob,
    inputs: readonly InputTask[],
    attempt: number,
    wallMs: number,
    account: Account,
  ): Promise<ChunkMade> {
    const { pool, counters, code, identity } = this.#parts;
    const origin = { code, worker: identity, attempt, requestId, dataset, ...(batch === undefined ? {} : { batch }) };
    const result = await pool.run({ derivation, chunk, ...(inputs.length > 0 ? { inputs } : {}), origin }, wallMs);
    counters.spent(result);
    if (result.state === 'made') return result;
    const { state, detail, event } = result;
    this.#waste(result, state, account);
    if (state === 'cancelled') throw new Cancelled(detail);
    if (state === 'crashed') throw new Error(detail);
    throw new EvokeError('GENERATION_FAILED', { detail, ...(event === undefined ? {} : { event }) });
  }

  /** The bytes of the chunk as it is stored, and whether it is the one that was made here. */
  async #store(chunk: ChunkRef, made: ChunkMade, account: Account): Promise<{ bytes: number; isOurs: boolean }> {
    const { chunks, counters } = this.#parts;
    const bytes = made.sealed.reduce((sum, part) => sum + part.byteLength, 0);
    let isOurs: boolean;
    try {
      isOurs = (await chunks.put(chunk, made.sealed, { ifAbsent: true })) || (await this.#isStored(chunk, made));
    } catch (error) {
      if (!(await this.#isStored(chunk, made))) {
        counters.wasted(made);
        account.unstored(made);
        throw error;
      }
      isOurs = true;
    }
    if (!isOurs) {
      counters.found += 1;
      this.#waste(made, 'duplicate', account);
      return { bytes: (await chunks.head(chunk))?.bytes ?? bytes, isOurs };
    }
    counters.generated += 1;
    counters.bytes += bytes;
    account.stored(made, bytes);
    return { bytes, isOurs };
  }

  /** A store that answered late, or not at all, may have taken the chunk: then it is this very one that lies there. */
  async #isStored(chunk: ChunkRef, { generatedAt }: ChunkMade): Promise<boolean> {
    const { chunks, identity } = this.#parts;
    const stored = await chunks.trailer(chunk).catch(() => undefined);
    return stored?.generatedAt === generatedAt && stored.worker.id === identity.id;
  }

  #waste(spent: Spent, cause: Exclude<WasteCause, 'unstored'>, account: Account): void {
    this.#parts.counters.wasted(spent);
    account.wasted(spent, cause);
  }

  /** On the next turn of the event loop the answer is on its way to Redis: nobody waits for this. */
  #later(work: () => Promise<void>): void {
    const doing = new Promise<void>((resolve) => setImmediate(() => work().then(resolve)));
    this.#afterwards.add(doing);
    void doing.then(() => this.#afterwards.delete(doing));
  }

  /** What is not told costs the chunks their place in the order of eviction, and nothing else. */
  async #tellUse(reads: readonly InputRead[], log: Log): Promise<void> {
    const { book, clock = systemClock } = this.#parts;
    const usedAtMs = clock.now();
    const entries = reads.map(({ chunk }) => ({ key: chunkKey(chunk), usedAtMs }));
    if (entries.length === 0) return;
    await book?.touch(entries).catch((problem: unknown) => {
      log.debug({ chunks: entries.length, error: messageOf(problem) }, 'the use of inputs went untold');
    });
  }

  async #recordDigest(chunk: ChunkRef, digest: string, log: Log): Promise<void> {
    const { chunks, counters } = this.#parts;
    try {
      if ((await chunks.recordDigest(chunk, { digest, writer: arrowWriter })) !== 'different') return;
      counters.digestsDiffering += 1;
      log.error({ digest }, 'a chunk was made again and differs: its generator is not reproducible, or a thread erred');
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'the digest of a chunk could not be recorded');
    }
  }
}

/**
 * Gives the stream's memory back at once. Left to the garbage collector, megabytes a chunk make it run all the time, and
 * each of its runs walks the whole heap.
 */
function forget({ sealed: [stream] }: ChunkMade): void {
  (stream.buffer as ArrayBuffer).transfer(0);
}
