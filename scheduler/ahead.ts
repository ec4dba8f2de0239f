// Chunks that are made ahead of those who will ask for them: the missing ones of lists of event ranges, in the order of the
// list, at the priority of what nobody waits for yet. Only tried, not promised: where queue, store or generator are in
// trouble for long, they are made when they are asked for.
import { Bell } from '../core/bell.ts';
import type { ChunkRef, ChunkSpan } from '../core/chunk.ts';
import { chunkOf, type Dataset, type DatasetName } from '../core/dataset.ts';
import { asEvokeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type ChunkJob, orderOf } from '../queue/job.ts';
import { FailureCount } from './failure-count.ts';
import type { BoardOptions } from './flights.ts';
import { type Time, unlessOver } from './time.ts';

/** Consecutive chunks of one dataset. */
export interface AheadPiece {
  readonly dataset: Dataset;
  readonly span: ChunkSpan;
}

export interface AheadList {
  /** The request that brought it. */
  readonly requestId: string;
  /** Whose list it is. */
  readonly client: string;
  /** In the order in which they will be wanted, each chunk once. */
  readonly pieces: readonly AheadPiece[];
  /** What is not made by then is not made ahead any more, ms since the epoch. */
  readonly untilMs: number;
}

export interface AheadParts {
  readonly chunks: { head(chunk: ChunkRef): Promise<object | undefined> };
  readonly flights: { board(job: ChunkJob, options: BoardOptions): Promise<unknown> };
  readonly catalog: { isRetired(name: DatasetName): Promise<boolean> };
  /** Generating threads of all living workers. */
  readonly threads: () => Promise<number>;
  readonly time: Time;
  readonly log: Log;
}

/** Every list that was begun ends in exactly one of made, late, givenUp and left. */
export interface AheadStats {
  begun: number;
  /** Turned away: too many were under way. */
  refused: number;
  /** All of its chunks are stored, but for those that cannot be made. */
  made: number;
  /** Its time was up. */
  late: number;
  /** Circumstances stood in the way for too long. */
  givenUp: number;
  /** This process stopped; what was on order stays so. */
  left: number;
}

type AheadEnd = 'made' | 'late' | 'givenUp' | 'left';

/** Lists under way in one process, and of one client. */
const listsMax = 64;
const clientListsMax = 16;
/** Chunks on order for each generating thread, of all lists together. */
const ordersPerThread = 2;
const threadsUnlessKnown = 2;
const threadsLookMs = 5_000;
/** Until a chunk is tried again that met circumstances; then twice as long each time. */
const firstPauseMs = 2_000;
const pauseMsMax = 60_000;
/** The longest that an alarm can be set for. */
const alarmMsMax = 2 ** 31 - 1;
/** How long queue or store may be in trouble. */
const troubleMsMax = 10 * 60_000;

export class Ahead {
  readonly stats: AheadStats = { begun: 0, refused: 0, made: 0, late: 0, givenUp: 0, left: 0 };
  readonly #parts: AheadParts;
  readonly #runs = new Set<AheadRun>();
  #threads = threadsUnlessKnown;
  #threadsAskedAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(parts: AheadParts) {
    this.#parts = parts;
  }

  /** Lists under way. */
  get size(): number {
    return this.#runs.size;
  }

  /** Begins to make a list's chunks, and returns at once; false when too many lists are under way already. */
  begin(list: AheadList): boolean {
    const own = [...this.#runs].filter(({ client }) => client === list.client).length;
    if (this.#closed || this.#runs.size >= listsMax || own >= clientListsMax) {
      this.stats.refused++;
      return false;
    }
    this.stats.begun++;
    const run = new AheadRun(this.#parts, list, () => this.#window());
    this.#runs.add(run);
    void run.ended.then((end) => {
      this.#runs.delete(run);
      this.stats[end]++;
    });
    return true;
  }

  /** Leaves what is on order to the workers. */
  async close(): Promise<void> {
    this.#closed = true;
    const runs = [...this.#runs];
    for (const run of runs) run.end('left');
    await Promise.all(runs.map(({ ended }) => ended));
  }

  #window(): number {
    const { time, threads } = this.#parts;
    if (time.now() - this.#threadsAskedAtMs >= threadsLookMs) {
      this.#threadsAskedAtMs = time.now();
      threads().then(
        (found) => {
          this.#threads = found;
        },
        () => undefined,
      );
    }
    return Math.max(1, Math.ceil((ordersPerThread * this.#threads) / Math.max(1, this.#runs.size)));
  }
}

class AheadRun {
  readonly client: string;
  /** Never rejects. */
  readonly ended: Promise<AheadEnd>;
  readonly #parts: AheadParts;
  readonly #list: AheadList;
  readonly #window: () => number;
  /** Orders that no worker has begun are taken back. */
  readonly #recalled = new AbortController();
  readonly #failures = new FailureCount();
  #onOrder = 0;
  #end: AheadEnd | undefined;
  /** Since when nothing came of any try. */
  #troubledSinceMs: number | undefined;
  readonly #bell = new Bell();

  constructor(parts: AheadParts, list: AheadList, window: () => number) {
    this.#parts = parts;
    this.#list = list;
    this.#window = window;
    this.client = list.client;
    // Not before it counts as one of the lists.
    this.ended = Promise.resolve().then(() => this.#work());
  }

  /** The first end counts. */
  end(end: AheadEnd): void {
    this.#end ??= end;
    if (end !== 'left') this.#recalled.abort(new Error('It is not made ahead any more.'));
    this.#bell.ring();
  }

  async #work(): Promise<AheadEnd> {
    const { time } = this.#parts;
    const leftMs = Math.max(0, this.#list.untilMs - time.now());
    const cancel = time.after(Math.min(leftMs, alarmMsMax), () => this.end('late'));
    for (const [dataset, index] of this.#chunks()) {
      while (this.#end === undefined && !this.#hasRoom()) await this.#bell.next();
      if (this.#end !== undefined) break;
      this.#onOrder++;
      void this.#make(dataset, index).finally(() => {
        this.#onOrder--;
        this.#bell.ring();
      });
    }
    // Whoever leaves, leaves at once.
    while (this.#onOrder > 0 && this.#end !== 'left') await this.#bell.next();
    cancel();
    return this.#end ?? 'made';
  }

  /** What cannot be had is not asked for by many at once. */
  #hasRoom(): boolean {
    return this.#onOrder < (this.#troubledSinceMs === undefined ? this.#window() : 1);
  }

  *#chunks(): Generator<[Dataset, number]> {
    for (const { dataset, span } of this.#list.pieces) {
      for (let index = span.first; index < span.end; index++) yield [dataset, index];
    }
  }

  /** Until the chunk is stored, cannot be made, or the list has ended. Never rejects. */
  async #make(dataset: Dataset, index: number): Promise<void> {
    const { catalog, chunks, flights, time } = this.#parts;
    const chunk = chunkOf(dataset, index);
    for (let pauseMs = firstPauseMs; this.#end === undefined; pauseMs = Math.min(2 * pauseMs, pauseMsMax)) {
      try {
        if ((await chunks.head(chunk)) !== undefined || (await catalog.isRetired(dataset))) return;
        if (this.#end !== undefined) return;
        await flights.board(orderOf(dataset, chunk, this.#list), {
          priority: 'batch',
          ahead: true,
          waitMs: Number.POSITIVE_INFINITY,
          recall: this.#recalled.signal,
        });
        this.#troubledSinceMs = undefined;
        this.#failures.made();
        return;
      } catch (error) {
        if (this.#end !== undefined) return;
        const known = asEvokeError(error);
        if (known.code === 'GENERATOR_NOT_REGISTERED') return this.#giveUp(known);
        if (known.code === 'GENERATION_FAILED') {
          if (!this.#failures.failed(known)) this.#giveUp(known);
          return;
        }
        this.#troubledSinceMs ??= time.now();
        if (time.now() - this.#troubledSinceMs >= troubleMsMax) return this.#giveUp(known);
        await unlessOver(time, pauseMs, this.#bell, () => this.#end !== undefined);
      }
    }
  }

  #giveUp({ code, message }: { readonly code: string; readonly message: string }): void {
    if (this.#end !== undefined) return;
    const { requestId } = this.#list;
    this.#parts.log.info({ requestId, code, error: message }, 'event ranges are not made ahead any more');
    this.end('givenUp');
  }
}
