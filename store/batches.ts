// Batches as they are kept: a few small records each (core/batch.ts), one kind of writer for each record, so that nobody
// overwrites another. Accepting a batch is one conditional put, whatever its size.
import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Batch, BatchProgress, BatchRecords, BatchWish } from '../core/batch.ts';
import { type Clock, timestamp } from '../core/clock.ts';
import { EvokeError } from '../core/errors.ts';
import { isFinal } from '../core/work-state.ts';
import { BatchIndex } from './batch-index.ts';
import { batchName, idAmong, isBatchId, listBatchNames } from './batch-names.ts';
import { batchRecord, passOverDamaged, progressRecord, readRecord, wishRecord, writeRecord } from './records.ts';
import type { Store } from './store.ts';
import { damagedRecord } from './unavailable.ts';

/** Definitions never change: about half a kilobyte each. */
const definitionsMax = 1_000;
/** Records read together for a list. */
const readsAtOnce = 16;

/** `20300601T120000000-1a2b3c4d`: sorts by the time of creation. */
export function newBatchId(clock: Clock): string {
  const time = timestamp(clock).replace(/[-:.Z]/g, '');
  return `${time}-${randomBytes(4).toString('hex')}`;
}

export class Batches {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #definitions = new LRUCache<string, Batch>({ max: definitionsMax });
  readonly #active: BatchIndex;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#active = this.index(({ progress }) => progress === undefined || !isFinal(progress.state));
  }

  /** @throws EvokeError STORE_UNAVAILABLE */
  async create(batch: Batch): Promise<void> {
    if (await writeRecord(this.#store, batchName(batch.id), batch, { ifAbsent: true })) return;
    throw new EvokeError('INTERNAL', { detail: `The batch ${batch.id} exists already.` });
  }

  /**
   * Undefined for what is no batch's id. What does not read as a wish or as progress counts as absent: progress is derived,
   * and begins again. @throws EvokeError STORE_UNAVAILABLE
   */
  async find(id: string): Promise<BatchRecords | undefined> {
    if (!isBatchId(id)) return undefined;
    const [batch, wish, cancelled, progress] = await Promise.all([
      this.#definition(id),
      readRecord(this.#store, batchName(id, 'wish'), wishRecord).catch(passOverDamaged),
      readRecord(this.#store, batchName(id, 'cancelled'), wishRecord).catch(passOverDamaged),
      readRecord(this.#store, batchName(id, 'progress'), progressRecord).catch(passOverDamaged),
    ]);
    return batch && { batch, wish: cancelled ?? wish, progress };
  }

  /** Up to `limit` batches, the newest first, beginning with the one created before `after`. Damaged ones are passed over. */
  async list({ after, limit }: { after?: string | undefined; limit: number }): Promise<BatchRecords[]> {
    const ids: string[] = [];
    for await (const { name } of listBatchNames(this.#store)) {
      const id = idAmong(name);
      if (id !== undefined && id !== ids.at(-1) && (after === undefined || id < after)) ids.push(id);
    }
    const found: BatchRecords[] = [];
    while (found.length < limit && ids.length > 0) {
      const next = ids.splice(-Math.min(readsAtOnce, limit - found.length)).reverse();
      const records = await Promise.all(next.map((id) => this.find(id).catch(passOverDamaged)));
      found.push(...records.filter((each) => each !== undefined));
    }
    return found;
  }

  /** Those whose progress is not final, the oldest first; at most so many as an index holds. One listing; reads only what changed. */
  active(): Promise<BatchRecords[]> {
    return this.#active.look();
  }

  /** The batches that `keeps` says yes to, kept track of with as little reading as possible. */
  index(keeps: (records: BatchRecords) => boolean): BatchIndex {
    return new BatchIndex({ store: this.#store, find: (id) => this.find(id), keeps, clock: this.#clock });
  }

  /** The latest word of a person; a cancellation is the last, whatever anybody else wishes at the same moment. */
  async wish(id: string, state: BatchWish['state']): Promise<void> {
    const word: BatchWish = { state, at: timestamp(this.#clock) };
    if (state !== 'cancelled') await writeRecord(this.#store, batchName(id, 'wish'), word);
    else await writeRecord(this.#store, batchName(id, 'cancelled'), word, { ifAbsent: true });
  }

  /** For the leading scheduler alone. */
  async progress(id: string, progress: BatchProgress): Promise<void> {
    await writeRecord(this.#store, batchName(id, 'progress'), progress);
  }

  async #definition(id: string): Promise<Batch | undefined> {
    const known = this.#definitions.get(id);
    if (known !== undefined) return known;
    const batch = await readRecord(this.#store, batchName(id), batchRecord);
    if (batch === undefined) return undefined;
    if (batch.id !== id) throw damagedRecord(batchName(id), `it is of the batch ${batch.id}`);
    this.#definitions.set(id, batch);
    return batch;
  }
}
