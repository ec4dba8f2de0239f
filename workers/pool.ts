// The generating threads of a worker. A thread that dies (no memory, a crash in native code) is replaced and takes only its
// own task along; a task can be asked to stop, and is ended by force when it takes far too long.
import { Piscina } from 'piscina';
import { EvokeError } from '../core/errors.ts';
import type { ChunkTask, ChunkTaskResult, ThreadSetup } from './task.ts';

/**
 * Of JavaScript objects; the arrays of events lie outside. A chunk is at most 8 MiB raw, so this is ample. A thread that
 * reaches it is ended, and has 16 MiB more until it is: few enough young objects that moving them takes less than that.
 * (One allocation beyond it ends the whole process; the chunk is then given up after some starts: retries.ts.)
 */
const resourceLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 };

export class ThreadPool {
  readonly threads: number;
  readonly #piscina: Piscina<ChunkTask, ChunkTaskResult>;
  readonly #tasksMax: number;
  readonly #running = new Set<Int32Array>();

  /** `queueMax` tasks wait for a thread beside those that run. `generators`: URL of the module with the registry. */
  constructor(options: { threads: number; queueMax: number; generators: string }) {
    const workerData: ThreadSetup = { generators: options.generators };
    this.threads = options.threads;
    this.#tasksMax = options.threads + options.queueMax;
    this.#piscina = new Piscina({
      filename: new URL('thread.ts', import.meta.url).href,
      minThreads: options.threads,
      maxThreads: options.threads,
      // Those who wait keep their order; how many may is bounded here, by count (`maxQueue` lets more pass).
      stricterFIFO: true,
      // One at a time: a task computes without a pause, and ends a dying thread's company otherwise.
      concurrentTasksPerWorker: 1,
      resourceLimits,
      workerData,
      recordTiming: false,
    });
  }

  /** Tasks that run or wait. */
  get busy(): number {
    return this.#running.size;
  }

  /**
   * Makes one chunk. Rejects when the thread dies or the task is ended for lasting longer than `wallMsMax`.
   * @throws EvokeError OVERLOADED when too many wait
   */
  async run(order: Omit<ChunkTask, 'cancel'>, wallMsMax: number): Promise<ChunkTaskResult> {
    if (this.#running.size >= this.#tasksMax) throw new EvokeError('OVERLOADED', { detail: 'All threads are busy.' });
    const cancel = new SharedArrayBuffer(4);
    const flag = new Int32Array(cancel);
    const force = new AbortController();
    const overdue = setTimeout(() => force.abort(), wallMsMax);
    this.#running.add(flag);
    try {
      return await this.#piscina.run({ ...order, cancel }, { signal: force.signal });
    } catch (error) {
      if (force.signal.aborted) throw new Error(`It took longer than ${Math.round(wallMsMax / 1000)} s.`);
      throw error;
    } finally {
      clearTimeout(overdue);
      this.#running.delete(flag);
    }
  }

  /** Asks all tasks to stop at their next record batch; they end as `cancelled`. */
  cancelAll(): void {
    for (const flag of this.#running) Atomics.store(flag, 0, 1);
  }

  /** Ends the threads, whatever they do. */
  async close(): Promise<void> {
    await this.#piscina.destroy();
  }
}
