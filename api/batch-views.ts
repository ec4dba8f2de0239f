// Batches as they are shown: the definition, people's wishes, and the later one of two words about progress, the record in
// the store and the live one on the board. Without Redis they are a few seconds behind.
import { type Batch, type BatchBudget, type BatchProgress, type BatchRecords, batchStatus } from '../core/batch.ts';
import type { Clock } from '../core/clock.ts';
import { EvokeError } from '../core/errors.ts';
import { eventNumber } from '../core/event-range.ts';
import { Fresh } from '../core/fresh.ts';
import { isFinal, type WorkState } from '../core/work-state.ts';
import { cpuCost, fromNano, type Prices } from '../costs/prices.ts';
import type { Board } from '../queue/board.ts';
import type { Batches } from '../store/batches.ts';
import { progressRecord } from '../store/records.ts';
import type { Shown } from './event-stream.ts';

export interface BatchShown {
  readonly id: string;
  readonly dataset: string;
  readonly startEvent: number;
  readonly lastEvent: number;
  readonly state: WorkState;
  readonly reason?: string;
  readonly chunks: number;
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  readonly cpuSeconds: number;
  /** In the configured currency. */
  readonly cost: number;
  readonly estimatedSecondsLeft: number | null;
  readonly priority: number;
  readonly deadline?: string;
  /** Its deadline passed before it ended. */
  readonly late?: boolean;
  readonly budget?: BatchBudget;
  /** Seconds. */
  readonly hold: number;
  readonly pin: boolean;
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
}

interface Sources {
  readonly batches: Pick<Batches, 'find' | 'list'>;
  readonly board: Pick<Board, 'readAll'>;
  readonly prices: Prices;
  readonly clock: Clock;
}

/** How far behind the store's records a stream may be; what happens in this process and what the board says is told at once. */
const ageMaxMs = 2000;
const rememberedMax = 1000;

export class BatchViews {
  readonly #sources: Sources;
  readonly #records: Fresh<{ readonly found: BatchRecords | undefined }>;

  constructor(sources: Sources) {
    this.#sources = sources;
    this.#records = new Fresh(async (id) => ({ found: await sources.batches.find(id) }), {
      maxAgeMs: ageMaxMs,
      entriesMax: rememberedMax,
      clock: sources.clock,
    });
  }

  /** @throws EvokeError BATCH_NOT_FOUND, STORE_UNAVAILABLE */
  async get(id: string): Promise<BatchShown> {
    const records = await this.#sources.batches.find(id);
    if (records === undefined) throw new EvokeError('BATCH_NOT_FOUND', { detail: `There is no batch ${id}.` });
    const [shown] = await this.#show([records]);
    return shown as BatchShown;
  }

  /** The newest first. @throws EvokeError STORE_UNAVAILABLE */
  async list(page: { after?: string | undefined; limit: number }): Promise<BatchShown[]> {
    return this.#show(await this.#sources.batches.list(page));
  }

  /** For streams, which look often. Undefined when there is none. @throws EvokeError STORE_UNAVAILABLE */
  async look(id: string): Promise<Shown | undefined> {
    const { found } = await this.#records.get(id);
    const [value] = await this.#show(found === undefined ? [] : [found]);
    return value && { value, isFinal: isFinal(value.state) };
  }

  /** Its records have just been changed here. */
  changed(id: string): void {
    this.#records.forget(id);
  }

  /** A new batch, before anybody knows of it. */
  begun(batch: Batch): BatchShown {
    return this.#shown({ batch, wish: undefined, progress: undefined });
  }

  async #show(all: readonly BatchRecords[]): Promise<BatchShown[]> {
    const live = await this.#liveWords(all.filter((records) => !isFinal(batchStatus(records).state)));
    return all.map((records) => this.#shown(withLater(records, live.get(records.batch.id))));
  }

  async #liveWords(all: readonly BatchRecords[]): Promise<Map<string, unknown>> {
    const ids = all.map(({ batch }) => batch.id);
    return this.#sources.board.readAll('batch', ids).catch((error: unknown) => {
      if (error instanceof EvokeError && error.code === 'QUEUE_UNAVAILABLE') return new Map();
      throw error;
    });
  }

  #shown(records: BatchRecords): BatchShown {
    const { batch, wish, progress } = records;
    const { cpuMicros, ...status } = batchStatus(records);
    const { prices, clock } = this.#sources;
    const cpuSeconds = cpuMicros / 1e6;
    const startedAt = progress?.startedAt;
    const endedAt = isFinal(status.state) ? (progress?.endedAt ?? wish?.at) : undefined;
    return {
      id: batch.id,
      dataset: batch.dataset,
      startEvent: eventNumber(batch.range.first),
      lastEvent: batch.range.end,
      ...status,
      chunks: batch.chunks,
      cpuSeconds,
      cost: fromNano(cpuCost(prices, cpuSeconds)),
      estimatedSecondsLeft: secondsLeft(status.state, progress),
      priority: batch.priority,
      ...(batch.deadline === undefined
        ? {}
        : { deadline: batch.deadline, late: isLate(batch.deadline, endedAt, clock) }),
      ...(batch.budget === undefined ? {} : { budget: batch.budget }),
      hold: batch.holdSeconds,
      pin: batch.pin,
      createdAt: batch.createdAt,
      ...(startedAt === undefined ? {} : { startedAt }),
      ...(endedAt === undefined ? {} : { endedAt }),
    };
  }
}

function withLater(records: BatchRecords, word: unknown): BatchRecords {
  const live = progressRecord.safeParse(word);
  const { progress } = records;
  if (!live.success) return records;
  if (progress !== undefined && Date.parse(progress.at) >= Date.parse(live.data.at)) return records;
  return { ...records, progress: live.data };
}

function secondsLeft(state: WorkState, progress: BatchProgress | undefined): number | null {
  if (state === 'completed') return 0;
  return state === 'running' ? (progress?.estimatedSecondsLeft ?? null) : null;
}

function isLate(deadline: string, endedAt: string | undefined, clock: Clock): boolean {
  return Date.parse(deadline) < (endedAt === undefined ? clock.now() : Date.parse(endedAt));
}
