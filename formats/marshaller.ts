// The threads in which record batches are cut, encoded anew and printed, so that none of it blocks the event loop.
// They start when there is something to do and end when there has been nothing for a while.
import { Piscina } from 'piscina';
import { EvokeError, messageOf } from '../core/errors.ts';
import type { MarshalResult, MarshalTask } from './marshal-task.ts';

export interface MarshallerOptions {
  readonly threads: number;
  /** How many tasks may wait for a thread when a newcomer comes. */
  readonly queueMax: number;
}

const idleMs = 30_000;

export class Marshaller {
  readonly #options: MarshallerOptions;
  #pool: Piscina<MarshalTask, MarshalResult> | undefined;
  /** Tasks that run or wait. */
  readonly #tasks = new Set<Promise<unknown>>();
  #closed = false;

  constructor(options: MarshallerOptions) {
    this.#options = options;
  }

  /** A turn at the threads, for one answer. */
  open(): MarshallerTurn {
    return new MarshallerTurn((task, isAdmitted) => this.#accept(task, isAdmitted));
  }

  /** Tasks that run or wait. */
  get tasks(): number {
    return this.#tasks.size;
  }

  /** Lets what was begun end, and the threads with it. */
  async close(): Promise<void> {
    this.#closed = true;
    // The pool's own way to close gives up tasks whose thread has not started yet.
    await Promise.allSettled(this.#tasks);
    await this.#pool?.destroy();
  }

  #accept(task: MarshalTask, isAdmitted: boolean): Promise<MarshalResult> {
    const { threads, queueMax } = this.#options;
    if (this.#closed || (!isAdmitted && this.#tasks.size >= threads + queueMax)) {
      throw new EvokeError('OVERLOADED', {
        detail: this.#closed ? 'The process is stopping.' : `${this.#tasks.size} record batches are being marshalled.`,
        retryAfterSeconds: 1,
      });
    }
    const result = this.#run(task).finally(() => this.#tasks.delete(result));
    this.#tasks.add(result);
    return result;
  }

  async #run(task: MarshalTask): Promise<MarshalResult> {
    this.#pool ??= new Piscina<MarshalTask, MarshalResult>({
      filename: new URL('./marshal-thread.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: this.#options.threads,
      idleTimeout: idleMs,
      // As in the workers' pool: a thread told to end just as it begins to wait on shared memory never ends.
      atomics: 'disabled',
    });
    try {
      return await this.#pool.run(task, { transferList: [task.batch.buffer] });
    } catch (error) {
      throw new EvokeError(
        'INTERNAL',
        { detail: `A marshalling thread failed: ${messageOf(error)}` },
        { cause: error },
      );
    }
  }
}

/**
 * One answer's use of the threads. Only its beginning can be turned away: an answer under way is never broken off for want of
 * a thread. What those can have waiting is bounded by their number, as an encoder works one batch ahead of its reader.
 */
export class MarshallerTurn {
  readonly #accept: (task: MarshalTask, isAdmitted: boolean) => Promise<MarshalResult>;
  #isAdmitted = false;

  constructor(accept: (task: MarshalTask, isAdmitted: boolean) => Promise<MarshalResult>) {
    this.#accept = accept;
  }

  /** The answer has begun in another way. */
  admit(): void {
    this.#isAdmitted = true;
  }

  /**
   * Marshals one batch, whose bytes are moved to the thread.
   * @throws EvokeError OVERLOADED at the beginning, when too much waits already
   */
  async run(task: MarshalTask): Promise<MarshalResult> {
    const result = this.#accept(task, this.#isAdmitted);
    this.#isAdmitted = true;
    return result;
  }
}
