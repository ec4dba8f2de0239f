// What becomes of ordered chunks, as it happens: done, failed for good, or gone from the queue. A hint and nothing more:
// events may be lost with Redis, so whoever waits looks again from time to time.
import { EventEmitter } from 'node:events';
import { QueueEvents } from 'bullmq';
import { pause } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { type Log, silentLog } from '../core/log.ts';
import { endsWithin, goodbyeMsMax, ignoreLateErrors, patientOptions, RedisCalls } from './connection.ts';
import type { ChunkDone, ChunkFailed, ChunkJob } from './job.ts';
import { failureOf, isKey, parseChunkDone, parseFailedReason } from './job.ts';
import { keyPrefix, queueName } from './names.ts';

interface ChunkEventMap {
  done: [ChunkDone];
  failed: [ChunkFailed];
  /** The job was removed unfinished, or failed in a way that tells no chunk: look again. */
  gone: [{ jobId: string }];
}

/** Of a blocking read; shorter than BullMQ's 10 s, so that a half-open connection is found out sooner. */
const blockingTimeoutMs = 2_000;
/** A Redis full of events that do not read must not keep a process busy. */
const restartMs = 200;

export class ChunkEvents extends EventEmitter<ChunkEventMap> {
  readonly #calls: RedisCalls;
  readonly #url: string;
  readonly #prefix: string;
  readonly #log: Log;
  #events: QueueEvents | undefined;
  #starting: Promise<void>;
  #closed = false;

  constructor(options: { url: string; prefix: string; log?: Log }) {
    super();
    // One listener for each of many flights is no leak.
    this.setMaxListeners(0);
    this.#url = options.url;
    this.#prefix = keyPrefix(options.prefix);
    this.#log = options.log ?? silentLog;
    this.#calls = new RedisCalls(options.url, options);
    this.#starting = this.#start();
  }

  /** Resolves when it listens: what happens from then on is heard. Waits for Redis as long as it takes. */
  async ready(): Promise<void> {
    await this.#starting;
    await this.#events?.waitUntilReady();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#calls.close();
    await this.#starting;
    if (this.#events !== undefined) await endsWithin(goodbyeMsMax, this.#events.close());
    this.removeAllListeners();
  }

  async #start(): Promise<void> {
    const from = await this.#lastEvent();
    if (this.#closed) return;
    const events = new QueueEvents(queueName, {
      connection: patientOptions(this.#url),
      prefix: this.#prefix,
      blockingTimeout: blockingTimeoutMs,
      lastEventId: from,
      autorun: false,
    });
    // The connection's comings and goings are told once, by our own connection.
    events.on('error', (error) => this.#log.debug({ error: error.message }, 'the event listener met an error'));
    events.on('completed', ({ jobId, returnvalue }) => {
      const done = parseChunkDone(returnvalue);
      if (done === undefined) this.emit('gone', { jobId });
      else this.emit('done', done);
    });
    events.on('failed', ({ jobId, failedReason }) => void this.#failed(jobId, failedReason));
    events.on('removed', ({ jobId }) => this.emit('gone', { jobId }));
    ignoreLateErrors([events.getBackend().client]);
    this.#events = events;
    events.run().catch((error: unknown) => this.#beginAnew(events, error));
  }

  /** An event that does not read, others may write to this Redis, ends BullMQ's listening for good: it is passed over. */
  #beginAnew(events: QueueEvents, error: unknown): void {
    if (this.#closed) return;
    this.#log.warn({ error: messageOf(error) }, 'an event of the queue does not read; listening goes on behind it');
    this.#starting = pause(restartMs)
      .then(() => endsWithin(goodbyeMsMax, events.close()))
      .then(() => this.#start());
  }

  /**
   * Where to listen from. BullMQ's default means "from this read on" and is repeated with every read until there was an
   * event: what happens between two reads would be missed.
   */
  async #lastEvent(): Promise<string> {
    while (!this.#closed) {
      try {
        const last = await this.#calls.call((redis) =>
          redis.xrevrange(`${this.#prefix}:${queueName}:events`, '+', '-', 'COUNT', 1),
        );
        return last[0]?.[0] ?? '0-0';
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
    return '$';
  }

  async #failed(jobId: string, reason: string): Promise<void> {
    const failed = parseFailedReason(reason) ?? (await this.#queuesOwnFailure(jobId, reason));
    if (failed === undefined) this.emit('gone', { jobId });
    else this.emit('failed', failed);
  }

  /** The queue gave the job up by itself, and its words name no chunk: the job does. */
  async #queuesOwnFailure(jobId: string, reason: string): Promise<ChunkFailed | undefined> {
    try {
      const data = await this.#calls.call((redis) => redis.hget(`${this.#prefix}:${queueName}:${jobId}`, 'data'));
      const key = data === null ? undefined : (JSON.parse(data) as Partial<ChunkJob> | null)?.key;
      return isKey(key) ? failureOf(key, reason) : undefined;
    } catch {
      return undefined;
    }
  }
}
