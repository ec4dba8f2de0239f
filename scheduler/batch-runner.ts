// Runs batches, one at a time, while this scheduler leads: the best of those that may run; a better one that arrives takes
// over. All it knows is in the store: whoever leads next goes on from there, and joins what is on order.
import { LRUCache } from 'lru-cache';
import type { BatchProgress, BatchRecords } from '../core/batch.ts';
import { timestamp } from '../core/clock.ts';
import { asEvokeError, messageOf } from '../core/errors.ts';
import { Sparing } from '../core/log.ts';
import { emptyTally, isFinal } from '../core/work-state.ts';
import type { LivingProcess } from '../queue/processes.ts';
import type { Batches } from '../store/batches.ts';
import { BatchCounters } from './batch-counters.ts';
import { batchOrder } from './batch-order.ts';
import { BatchRun, type BatchRunParts, type RunEnd } from './batch-run.ts';
import type { BatchWriter } from './batch-writer.ts';
import { StoreTrouble } from './store-trouble.ts';
import { elapsed } from './time.ts';

export interface BatchRunnerParts extends Omit<BatchRunParts, 'window' | 'changed'> {
  readonly batches: Pick<Batches, 'active'>;
  readonly writer: Pick<BatchWriter, 'show' | 'save' | 'saveLeft'>;
  readonly processes: { list(): Promise<readonly LivingProcess[]> };
}

const roundMs = 1_000;
/** Chunks on order for each thread: while one is made, the next is in line, and hardly more, or others would stand behind. */
const ordersPerThread = 2;
const ordersMin = 2;
const ordersMax = 256;
/** Ends that this process has seen, about half a kilobyte each. */
const endedMax = 10_000;
const errorLineMs = 30_000;

export class BatchRunner {
  readonly counters = new BatchCounters();
  readonly #parts: BatchRunnerParts;
  readonly #errors = new Sparing(errorLineMs);
  readonly #runs = new Map<string, BatchRun>();
  #ended = new LRUCache<string, BatchProgress>({ max: endedMax });
  #trouble: StoreTrouble;
  #threads = 0;
  /** Aborted when there is something to decide before the round is over. */
  #news = new AbortController();

  constructor(parts: BatchRunnerParts) {
    this.#parts = parts;
    this.#trouble = new StoreTrouble(parts.time);
  }

  /** Chunks that batches have on order, the runs of batches that are ending included. */
  readonly own = {
    has: (key: string): boolean => [...this.#runs.values()].some((run) => run.onOrder.has(key)),
    keys: (): string[] => [...this.#runs.values()].flatMap((run) => [...run.onOrder.keys()]),
  };

  /** Runs batches until aborted; what is on order then stays on order. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    // Another may have led since.
    this.#ended = new LRUCache({ max: endedMax });
    this.#trouble = new StoreTrouble(this.#parts.time);
    const running = new Set<Promise<void>>();
    while (!signal.aborted) {
      try {
        await this.#round((run) => {
          const over = this.#run(run, signal).finally(() => running.delete(over));
          running.add(over);
        });
      } catch (error) {
        this.#errors.tell(() => this.#parts.log.warn({ error: messageOf(error) }, 'could not look after the batches'));
      }
      await elapsed(this.#parts.time, roundMs, signal, this.#news.signal);
      this.#news = new AbortController();
    }
    await Promise.all(running);
    this.counters.batchesActive = 0;
  }

  async #round(start: (run: BatchRun) => void): Promise<void> {
    const { batches, processes, writer } = this.#parts;
    await writer.saveLeft();
    const living = await processes.list().catch(() => undefined);
    if (living !== undefined) this.#threads = threadsOf(living);
    const active: BatchRecords[] = [];
    for (const records of await batches.active()) {
      const { id } = records.batch;
      const end = this.#ended.get(id);
      if (end === undefined) active.push(records);
      // The store is a moment behind, or a write that it took long ago came only now: the end is told once more.
      else await writer.save(id, end);
    }
    for (const records of active) {
      this.#trouble.heed(records);
      await this.#heed(records);
    }
    this.#choose(active, start);
    this.counters.batchesActive = active.length;
  }

  /** What people wish of batches that run, and of those that wait. */
  async #heed({ batch, wish, progress }: BatchRecords): Promise<void> {
    const run = this.#runs.get(batch.id);
    if (wish?.state !== 'paused' && wish?.state !== 'cancelled') return;
    if (run !== undefined) run.interrupt(wish.state);
    else if (wish.state === 'cancelled') await this.#end(batch.id, cancelled(progress, timestamp(this.#parts.time)));
  }

  #choose(active: readonly BatchRecords[], start: (run: BatchRun) => void): void {
    const [best] = active
      .filter(({ batch, wish }) => {
        const interruption = this.#runs.get(batch.id)?.interruption;
        return wish?.state !== 'paused' && wish?.state !== 'cancelled' && interruption !== 'cancelled';
      })
      .sort((a, b) => this.#order(a, b));
    const current = [...this.#runs.values()].find((run) => run.interruption === undefined);
    if (best === undefined || best.batch.id === current?.batch.id || this.#trouble.waits) return;
    if (current !== undefined) {
      // It may just have ended, and not be among those listed.
      if (this.#order(current.records, best) < 0) return;
      current.interrupt('pending');
    }
    start(this.#begin(best));
  }

  #order(a: BatchRecords, b: BatchRecords): number {
    const [metA, metB] = [this.#trouble.hasMet(a.batch.id), this.#trouble.hasMet(b.batch.id)];
    return metA === metB ? batchOrder(a.batch, b.batch) : metA ? 1 : -1;
  }

  #begin(records: BatchRecords): BatchRun {
    const { batch } = records;
    // One that is still waiting for its last chunks is gone on with from where it is.
    const ending = this.#runs.get(batch.id);
    ending?.leave();
    const latest = ending === undefined ? records : { ...records, progress: ending.checkpoint };
    this.#trouble.inherit(records);
    const run = new BatchRun(latest, this.#trouble.lasts, {
      ...this.#parts,
      window: () => this.#window(),
      changed: (settled, landed) => {
        this.counters.add(settled);
        if (landed) this.#trouble.pass();
      },
    });
    this.#runs.set(batch.id, run);
    const { progress } = latest;
    this.#parts.log.info({ batch: batch.id, dataset: batch.dataset, progress }, 'a batch runs');
    return run;
  }

  async #run(run: BatchRun, signal: AbortSignal): Promise<void> {
    const { id } = run.batch;
    const { log } = this.#parts;
    let end: RunEnd;
    try {
      end = await run.run(signal);
    } catch (error) {
      // A mistake: not again and again.
      log.error({ batch: id, error: messageOf(error) }, 'a batch was given up');
      const { code, message } = asEvokeError(error);
      const reason = `${code}: ${message}`;
      const at = timestamp(this.#parts.time);
      end = { how: 'ended', progress: { ...run.checkpoint, state: 'failed', reason, endedAt: at, at } };
      await this.#end(id, end.progress);
    }
    if (this.#runs.get(id) === run) this.#runs.delete(id);
    if (end.how === 'left') return;
    const { progress } = end;
    log.info({ batch: id, ...progress }, 'a batch stopped');
    if (end.how === 'unkept') this.#trouble.met(run.records);
    if (isFinal(progress.state)) this.#ended.set(id, progress);
    this.#news.abort();
  }

  async #end(id: string, progress: BatchProgress): Promise<void> {
    this.#ended.set(id, progress);
    await this.#parts.writer.save(id, progress);
    await this.#parts.writer.show(id, progress);
  }

  #window(): number {
    if (this.#trouble.lasts) return 1;
    return Math.min(Math.max(ordersMin, this.#threads * ordersPerThread), ordersMax);
  }
}

function threadsOf(living: readonly LivingProcess[]): number {
  const workers = living.filter(({ role }) => role === 'worker');
  return workers.reduce((sum, { threads }) => sum + Number(threads ?? 0), 0);
}

/** A batch that was not running when it was cancelled. */
function cancelled(progress: BatchProgress | undefined, at: string): BatchProgress {
  const known = progress ?? { cursor: 0, ...emptyTally };
  const { cursor, done, skipped, failed, cpuMicros } = known;
  const startedAt = progress?.startedAt === undefined ? {} : { startedAt: progress.startedAt };
  return { state: 'cancelled', cursor, done, skipped, failed, cpuMicros, ...startedAt, endedAt: at, at };
}
