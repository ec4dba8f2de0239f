// The generating threads of a worker. A thread that dies (no memory, a crash in native code) is replaced and takes only its
// own task along; a task can be asked to stop, and is ended by force when it takes far too long.
import { Piscina } from 'piscina';
import { EvokeError, messageOf } from '../core/errors.ts';
import { spentOf, wallSecondsOf } from './spent.ts';
import type { ChunkNotMade, ChunkTask, ChunkTaskResult, ThreadSetup } from './task.ts';
import { TaskWatch } from './watch.ts';

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
  readonly #running = new Set<TaskWatch>();
  /** Threads that are given out, and those who wait for one, in their order: their time does not run yet. */
  #threadsTaken = 0;
  readonly #waiting: (() => void)[] = [];
  #closed = false;

  /** `queueMax` tasks wait for a thread beside those that run. `generators`: URL of the module with the registry. */
  constructor(options: { threads: number; queueMax: number; generators: string }) {
    const workerData: ThreadSetup = { generators: options.generators };
    this.threads = options.threads;
    this.#tasksMax = options.threads + options.queueMax;
    this.#piscina = new Piscina({
      filename: new URL('thread.ts', import.meta.url).href,
      minThreads: options.threads,
      maxThreads: options.threads,
      // One at a time: a task computes without a pause, and ends a dying thread's company otherwise.
      concurrentTasksPerWorker: 1,
      // A thread told to end just as it begins to wait on shared memory does not hear it, and never ends. Waiting for a
      // message instead costs 10 µs a task.
      atomics: 'disabled',
      resourceLimits,
      workerData,
      recordTiming: false,
    });
  }

  /** Tasks that run or wait. */
  get busy(): number {
    return this.#running.size;
  }

  /** CPU of the tasks that run, up to the last whole record batch of each. */
  get cpuSecondsUnderway(): number {
    let sum = 0;
    for (const { cpuSeconds } of this.#running) sum += cpuSeconds;
    return sum;
  }

  /**
   * Makes one chunk. A thread that dies, or is ended because the task lasts longer than `wallMsMax` on it, has crashed;
   * what ends with the pool was cancelled.
   * @throws EvokeError OVERLOADED when too many wait
   */
  async run(order: Omit<ChunkTask, 'watch'>, wallMsMax: number): Promise<ChunkTaskResult> {
    if (this.#running.size >= this.#tasksMax) throw new EvokeError('OVERLOADED', { detail: 'All threads are busy.' });
    const watch = TaskWatch.for(order.inputs?.length ?? 0);
    this.#running.add(watch);
    try {
      await this.#thread();
      return this.#closed ? this.#notMade(order, watch, 0, '') : await this.#runNow(order, watch, wallMsMax);
    } finally {
      this.#passOn();
      this.#running.delete(watch);
    }
  }

  /** Asks all tasks to stop at their next record batch; they end as `cancelled`. */
  cancelAll(): void {
    for (const watch of this.#running) watch.stop();
  }

  /** Ends the threads, whatever they do. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#piscina.destroy();
  }

  async #runNow(order: Omit<ChunkTask, 'watch'>, watch: TaskWatch, wallMsMax: number): Promise<ChunkTaskResult> {
    const force = new AbortController();
    const overdue = setTimeout(() => force.abort(), wallMsMax);
    const begun = performance.now();
    try {
      return await this.#piscina.run({ ...order, watch: watch.memory }, { signal: force.signal });
    } catch (error) {
      const why = force.signal.aborted ? `It took longer than ${Math.round(wallMsMax / 1000)} s.` : messageOf(error);
      return this.#notMade(order, watch, (performance.now() - begun) / 1000, why);
    } finally {
      clearTimeout(overdue);
    }
  }

  /** Of a task whose thread says nothing any more. */
  #notMade({ inputs }: Omit<ChunkTask, 'watch'>, watch: TaskWatch, wallSeconds: number, why: string): ChunkNotMade {
    const spent = spentOf(watch, inputs);
    // Of its last record batch nobody knows which link it was spent on.
    const unknown = Math.max(0, wallSeconds - wallSecondsOf(spent));
    const all = { ...spent, wallSeconds: spent.wallSeconds + unknown };
    return this.#closed
      ? { state: 'cancelled', detail: 'The threads have been ended.', ...all }
      : { state: 'crashed', detail: why, ...all };
  }

  async #thread(): Promise<void> {
    if (this.#threadsTaken < this.threads) this.#threadsTaken += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The thread goes to the next in line, if there is one. */
  #passOn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#threadsTaken -= 1;
    else next();
  }
}
