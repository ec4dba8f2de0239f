// A store of chunks that are only told of (when they were stored, by whom), a queue, and a worker that the test steers: what
// fillings and batches are tried on.
import { type ChunkRef, chunkKey, chunkRange, parseChunkKey } from '../../core/chunk.ts';
import { chunkOf, type Dataset } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import type { EventRange } from '../../core/event-range.ts';
import type { Provenance } from '../../core/provenance.ts';
import type { ChunkFailed, ChunkJob } from '../../queue/job.ts';
import { Filling, type FillingChunks, type FillingOptions } from '../../scheduler/filling.ts';
import { Flights } from '../../scheduler/flights.ts';
import { datasetOf, FakeQueue } from './fakes.ts';
import { ManualTime } from './manual-time.ts';

export type Maker = Partial<Pick<Provenance, 'batch' | 'requestId' | 'cpuSeconds'>>;

interface OnShelf {
  readonly modifiedAtMs: number;
  readonly bytes: number;
  /** Undefined for a chunk that is damaged. */
  readonly provenance: Provenance | undefined;
}

export class Shelf implements FillingChunks {
  readonly stored = new Map<string, OnShelf>();
  readonly calls = { head: 0, trailer: 0, list: 0 };
  /** The store cannot be used. */
  away = false;
  readonly #time: ManualTime;

  constructor(time: ManualTime) {
    this.#time = time;
  }

  put(key: string, maker: Maker, modifiedAtMs = this.#time.now()): void {
    const provenance = { cpuSeconds: 1, requestId: 'somebody', ...maker } as Provenance;
    this.stored.set(key, { modifiedAtMs, bytes: 100, provenance });
  }

  damage(key: string): void {
    this.stored.set(key, { modifiedAtMs: this.#time.now(), bytes: 100, provenance: undefined });
  }

  async head(chunk: ChunkRef): Promise<{ modifiedAtMs: number; bytes: number } | undefined> {
    this.calls.head++;
    this.#refuseWhenAway();
    return this.stored.get(chunkKey(chunk));
  }

  async trailer(chunk: ChunkRef): Promise<Provenance | undefined> {
    this.calls.trailer++;
    this.#refuseWhenAway();
    return this.stored.get(chunkKey(chunk))?.provenance;
  }

  async inspect(chunk: ChunkRef): Promise<{ provenance: Provenance } | undefined> {
    this.#refuseWhenAway();
    const provenance = this.stored.get(chunkKey(chunk))?.provenance;
    if (provenance !== undefined) return { provenance };
    // Put into quarantine.
    this.stored.delete(chunkKey(chunk));
    return undefined;
  }

  async *list(derivation: string, batchEvents: number, range: EventRange) {
    this.calls.list++;
    this.#refuseWhenAway();
    const found = [...this.stored]
      .map(([key, { modifiedAtMs }]) => ({ chunk: parseChunkKey(key), modifiedAtMs }))
      .filter(({ chunk }) => chunk.derivation === derivation && chunk.batchEvents === batchEvents)
      .filter(({ chunk }) => chunk.range.first >= range.first && chunk.range.first < range.end)
      .sort((a, b) => a.chunk.range.first - b.chunk.range.first);
    for (const each of found) {
      this.#refuseWhenAway();
      yield each;
    }
  }

  #refuseWhenAway(): void {
    if (this.away) throw new EvokeError('STORE_UNAVAILABLE', { detail: 'The store cannot be used: away.' });
  }
}

export interface Bench {
  readonly time: ManualTime;
  readonly shelf: Shelf;
  readonly queue: FakeQueue;
  readonly flights: Flights;
  readonly dataset: Dataset;
  key(index: number): string;
  /** The oldest order that waits is begun and made. Returns its chunk index, undefined where none waits. */
  makeNext(): number | undefined;
  /** Makes what is ordered at once from now on, unless `fails` has a reason not to. */
  makeAll(fails?: (job: ChunkJob) => Partial<ChunkFailed> | undefined): void;
}

export function aBench(chunks = 10): Bench {
  const time = new ManualTime();
  const shelf = new Shelf(time);
  const queue = new FakeQueue();
  const flights = new Flights({ queue, events: queue, chunks: shelf, time, flightsMax: 1000, waitMs: 600_000 });
  const dataset = datasetOf(chunks * 10 - 3, 10);
  const make = (job: ChunkJob) => {
    const { batch, requestId } = job;
    shelf.put(job.key, { requestId, ...(batch === undefined ? {} : { batch }) });
    queue.finish(job.key);
  };
  return {
    time,
    shelf,
    queue,
    flights,
    dataset,
    key: (index) => chunkKey(chunkOf(dataset, index)),
    makeNext: () => {
      const waiting = [...queue.jobs.values()].find(({ fate }) => fate.state === 'queued');
      if (waiting === undefined) return undefined;
      make(waiting.job);
      return waiting.job.chunk.range.first / dataset.chunkEvents;
    },
    makeAll: (fails = () => undefined) => {
      const work = (job: ChunkJob) =>
        setImmediate(() => {
          if (queue.standing(job.key) === undefined) return;
          const failure = fails(job);
          if (failure === undefined) make(job);
          else queue.fail(job.key, failure);
        });
      const add = queue.add.bind(queue);
      queue.add = async (job, priority) => {
        const added = await add(job, priority);
        if (!added.joined) work(job);
        return added;
      };
      for (const { job, fate } of queue.jobs.values()) if (fate.state === 'queued') work(job);
    },
  };
}

/** A filling of the whole dataset for the batch `b`, asked for now. */
export function aFilling(bench: Bench, options: Partial<FillingOptions> = {}): Filling {
  const { dataset, shelf, flights, time } = bench;
  return new Filling({
    dataset,
    span: { first: 0, end: Math.ceil(dataset.events / dataset.chunkEvents) },
    chunks: shelf,
    flights,
    window: () => 3,
    priority: 'batch',
    requestId: 'request',
    batch: 'b',
    sinceMs: time.now(),
    time,
    ...options,
  });
}

/** The event range of chunk `index` as a chunk of another grid of the same derivation. */
export function otherGrid(dataset: Dataset, index: number): ChunkRef {
  const { first } = chunkRange(dataset, index);
  return { ...chunkOf(dataset, index), range: { first, end: first + 5 } };
}
