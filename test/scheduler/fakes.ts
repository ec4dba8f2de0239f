// A dataset, a store in memory and a queue whose worker is the test itself, all of which can be told to fail and count
// what they are asked.
import { EventEmitter } from 'node:events';
import type { ChunkRef } from '../../core/chunk.ts';
import { chunkCount, chunkKey } from '../../core/chunk.ts';
import type { Dataset } from '../../core/dataset.ts';
import { chunkOf } from '../../core/dataset.ts';
import { derivationId } from '../../core/derivation.ts';
import { EvokeError } from '../../core/errors.ts';
import type { EventRange } from '../../core/event-range.ts';
import type { ChunkDone, ChunkFailed, ChunkJob } from '../../queue/job.ts';
import type { Priority } from '../../queue/priorities.ts';
import type { Fate } from '../../scheduler/flight.ts';

export function datasetOf(events: number, chunkEvents: number, seed = 1): Dataset {
  const derivation = { generator: 'fixture', version: '1', parameters: {}, seed };
  return {
    scope: 'test',
    name: `d${seed}`,
    events,
    chunkEvents,
    batchEvents: chunkEvents,
    derivation,
    derivationId: derivationId(derivation),
    columns: [{ name: 'event', type: 'uint64', unit: '1', description: 'event number' }],
    reproducibility: 'exact',
    declaredAt: '2025-01-01T00:00:00Z',
  };
}

export function jobOf(dataset: Dataset, index: number): ChunkJob {
  const chunk = chunkOf(dataset, index);
  return { key: chunkKey(chunk), chunk, derivation: dataset.derivation, requestId: 'request', dataset: 'test:data' };
}

export class FakeChunks {
  readonly stored = new Map<string, Buffer>();
  readonly memory = new Map<string, Buffer>();
  readonly calls = { peek: 0, head: 0, get: 0, list: 0 };
  /** Awaited by every read of the store. */
  gate: (what: 'head' | 'get' | 'list', key: string) => Promise<void> | void = () => undefined;

  put(dataset: Dataset, index: number, bytes = 100): Buffer {
    const chunk = chunkOf(dataset, index);
    const content = Buffer.alloc(bytes, index & 255);
    this.stored.set(chunkKey(chunk), content);
    return content;
  }

  remember(dataset: Dataset, index: number, bytes = 100): void {
    this.memory.set(chunkKey(chunkOf(dataset, index)), this.put(dataset, index, bytes));
  }

  peek(chunk: ChunkRef): Buffer | undefined {
    this.calls.peek++;
    return this.memory.get(chunkKey(chunk));
  }

  async head(chunk: ChunkRef): Promise<{ bytes: number } | undefined> {
    this.calls.head++;
    await this.gate('head', chunkKey(chunk));
    const stored = this.stored.get(chunkKey(chunk));
    return stored && { bytes: stored.length };
  }

  async get(chunk: ChunkRef): Promise<Buffer | undefined> {
    this.calls.get++;
    await this.gate('get', chunkKey(chunk));
    return this.stored.get(chunkKey(chunk));
  }

  async *list(derivation: string, batchEvents: number, range: EventRange) {
    this.calls.list++;
    const prefix = `${derivation}/${batchEvents}/`;
    for (const key of [...this.stored.keys()].sort()) {
      if (!key.startsWith(prefix)) continue;
      const [first = 0, end = 0] = key.slice(prefix.length).split('-').map(Number);
      const chunk = { derivation, batchEvents, range: { first: first - 1, end } };
      if (chunk.range.first < range.first || chunk.range.first >= range.end) continue;
      await this.gate('list', key);
      yield { chunk, bytes: this.stored.get(key)?.length ?? 0 };
    }
  }
}

interface QueuedJob {
  readonly jobId: string;
  readonly job: ChunkJob;
  fate: Fate;
}

/** Events and queue in one, as a shared Redis would show them to one process. */
export class FakeQueue extends EventEmitter<{ done: [ChunkDone]; failed: [ChunkFailed]; gone: [{ jobId: string }] }> {
  readonly jobs = new Map<string, QueuedJob>();
  readonly added: ChunkJob[] = [];
  /** How urgent each order was when it was asked for, joining ones included. */
  readonly urgencies: Priority[] = [];
  readonly withdrawn: string[] = [];
  /** Calls of `add`, those that joined included. */
  asked = 0;
  /** Redis is away. */
  away = false;
  /** Events are lost. */
  deaf = false;
  #ids = 0;

  async add(job: ChunkJob, priority: Priority): Promise<{ jobId: string; joined: boolean }> {
    this.asked++;
    this.urgencies.push(priority);
    this.#refuseWhenAway();
    const standing = this.standing(job.key);
    if (standing !== undefined) return { jobId: standing.jobId, joined: true };
    this.added.push(job);
    const jobId = `job-${++this.#ids}`;
    this.jobs.set(jobId, { jobId, job, fate: { state: 'queued' } });
    return { jobId, joined: false };
  }

  async withdraw(jobId: string): Promise<void> {
    this.#refuseWhenAway();
    this.withdrawn.push(jobId);
    if (this.jobs.get(jobId)?.fate.state !== 'queued') return;
    this.jobs.delete(jobId);
    this.#tell(() => this.emit('gone', { jobId }));
  }

  async fate(jobId: string): Promise<Fate> {
    this.#refuseWhenAway();
    return this.jobs.get(jobId)?.fate ?? { state: 'lost' };
  }

  standing(key: string): QueuedJob | undefined {
    return [...this.jobs.values()].find(
      ({ job, fate }) => job.key === key && (fate.state === 'queued' || fate.state === 'generating'),
    );
  }

  begin(key: string): void {
    this.#of(key).fate = { state: 'generating' };
  }

  /** The worker is done; whether it stored anything is the test's affair. */
  finish(key: string, bytes = 100, generated = true): void {
    const done = { key, bytes, cpuSeconds: 1, generated, workMs: 40 };
    this.#of(key).fate = { state: 'done', done };
    this.#tell(() => this.emit('done', done));
  }

  fail(key: string, failed: Partial<ChunkFailed> = {}): void {
    const whole = { key, code: 'GENERATION_FAILED' as const, detail: 'the last words', attempts: 3, ...failed };
    this.#of(key).fate = { state: 'failed', failed: whole };
    this.#tell(() => this.emit('failed', whole));
  }

  flush(): void {
    this.jobs.clear();
  }

  #of(key: string): QueuedJob {
    const standing = this.standing(key);
    if (standing === undefined) throw new Error(`nothing is ordered for ${key}`);
    return standing;
  }

  #tell(tell: () => void): void {
    if (!this.deaf && !this.away) tell();
  }

  #refuseWhenAway(): void {
    if (this.away) throw new EvokeError('QUEUE_UNAVAILABLE');
  }
}

/** A worker that makes everything at once, or when the promise that `pace` gives is kept. */
export function workOn(
  queue: FakeQueue,
  chunks: FakeChunks,
  {
    bytes = () => 100,
    pace = () => undefined,
  }: { bytes?: (key: string) => number; pace?: () => Promise<void> | void } = {},
): void {
  const add = queue.add.bind(queue);
  queue.add = async (job, priority) => {
    const added = await add(job, priority);
    if (added.joined) return added;
    void (async () => {
      await pace();
      if (queue.standing(job.key) === undefined) return;
      const size = bytes(job.key);
      chunks.stored.set(job.key, Buffer.alloc(size, 7));
      queue.finish(job.key, size);
    })();
    return added;
  };
}

export function allIndices(dataset: Dataset): number[] {
  return Array.from({ length: chunkCount(dataset) }, (_, index) => index);
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'fulfilled';
  } catch (error) {
    if (error instanceof EvokeError) return error.code;
    return error instanceof Error ? error.message : String(error);
  }
}
