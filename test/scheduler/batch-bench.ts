// A scheduler's batches over fakes, in virtual time: records in a store in memory, chunks on a shelf, a queue that the test works.
import type { Batch, BatchProgress, BatchRecords } from '../../core/batch.ts';
import { timestamp } from '../../core/clock.ts';
import type { Dataset } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import type { LivingProcess } from '../../queue/processes.ts';
import { BatchRunner } from '../../scheduler/batch-runner.ts';
import { BatchWriter } from '../../scheduler/batch-writer.ts';
import { Batches, newBatchId } from '../../store/batches.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { builtInGenerators } from '../fixtures/generators.ts';
import { datasetOf } from './fakes.ts';
import { settle } from './manual-time.ts';
import { aBench, type Bench } from './shelf.ts';

export interface BatchBench extends Bench {
  readonly store: MemoryStore;
  readonly batches: Batches;
  /** Words on the board, the latest of each batch. */
  readonly board: Map<string, BatchProgress>;
  readonly retired: Set<string>;
  readonly datasets: Map<string, Dataset>;
  /** Batches over the bench's dataset; a millisecond later with every call. */
  create(options?: Partial<Batch>): Promise<Batch>;
  records(id: string): Promise<BatchRecords>;
  progress(id: string): Promise<BatchProgress | undefined>;
  /** Another leader; stopped by `stop`. */
  lead(): { runner: BatchRunner; stop: () => Promise<void> };
  /** Has the first waiting order made, and lets follow what follows. Returns its chunk index. */
  makeOne(): Promise<number | undefined>;
}

export function aBatchBench(chunks = 10, options: { threads?: number } = {}): BatchBench {
  const bench = aBench(chunks);
  const { time, shelf, flights } = bench;
  const store = new MemoryStore(time);
  const batches = new Batches(store, time);
  const board = new Map<string, BatchProgress>();
  const retired = new Set<string>();
  const datasets = new Map([['d1', bench.dataset]]);
  for (const seed of [2, 3]) datasets.set(`d${seed}`, datasetOf(chunks * 10 - 3, 10, seed));
  const catalog = {
    get: async ({ name }: { name: string }) => {
      const dataset = datasets.get(name);
      if (dataset === undefined) throw new EvokeError('DATASET_NOT_FOUND', { detail: `There is no ${name}.` });
      return dataset;
    },
    isRetired: async ({ name }: { name: string }) => retired.has(name),
  };
  const { threads = 1 } = options;
  const worker = { role: 'worker', threads } as unknown as LivingProcess;
  const publish = async (_: string, id: string, value: object) => void board.set(id, value as BatchProgress);
  const records = async (id: string) => {
    const found = await batches.find(id);
    if (found === undefined) throw new Error(`there is no batch ${id}`);
    return found;
  };
  return {
    ...bench,
    store,
    batches,
    board,
    retired,
    datasets,
    records,
    create: async (given = {}) => {
      await time.pass(1);
      const batch: Batch = {
        id: newBatchId(time),
        dataset: 'test:d1',
        range: { first: 0, end: bench.dataset.events },
        chunks,
        priority: 5,
        holdSeconds: 3600,
        pin: false,
        createdAt: timestamp(time),
        requestId: 'request',
        ...given,
      };
      await batches.create(batch);
      return batch;
    },
    progress: async (id) => (await records(id)).progress,
    lead: () => {
      const stopping = new AbortController();
      // What one scheduler remembers, another does not.
      const own = new Batches(store, time);
      const runner = new BatchRunner({
        batches: own,
        writer: new BatchWriter({ batches: own, board: { publish }, log: silentLog }),
        processes: { list: async () => [worker] },
        catalog,
        chunks: shelf,
        flights,
        registry: builtInGenerators,
        prices: { cpuCoreHour: 3600, currency: 'EUR' },
        time,
        log: silentLog,
      });
      const over = runner.keep(stopping.signal);
      return {
        runner,
        stop: () => {
          stopping.abort();
          return over;
        },
      };
    },
    makeOne: async () => {
      const index = bench.makeNext();
      await settle();
      await settle();
      return index;
    },
  };
}
