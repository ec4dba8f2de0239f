// The batches that somebody has to know all the time: those under way, those whose chunks are held. A look lists names
// and reads only the records that changed; what is over is not looked at again.
import { LRUCache } from 'lru-cache';
import type { BatchRecords } from '../core/batch.ts';
import { type Clock, timestamp } from '../core/clock.ts';
import { idAmong, listBatchNames } from './batch-names.ts';
import { passOverDamaged } from './records.ts';
import type { ObjectInfo, Store } from './store.ts';

/** What an index holds at most, about a kilobyte each; more of them wait until some are over. */
export const indexedMax = 10_000;
/** Of those that are over only the ids are remembered; one that is forgotten is read once more. */
const overMax = 100_000;
/** An id may be older than the moment it is listed first: the clocks of two machines, a slow put. */
const lateMs = 3_600_000;
/** All names are listed so often, for ids that came even later. */
const wholeMs = 600_000;
/** A listing so long that it takes more than a tenth of the time is asked for less often. */
const restPerWork = 10;

interface Source {
  readonly store: Pick<Store, 'list'>;
  readonly find: (id: string) => Promise<BatchRecords | undefined>;
  /** Once it has said no to a batch, it is not asked again. */
  readonly keeps: (records: BatchRecords) => boolean;
  readonly clock: Clock;
}

interface Known {
  /** Of the three records: which bytes and times they were last listed with. */
  readonly stamp: string;
  readonly records: BatchRecords;
}

export class BatchIndex {
  readonly #source: Source;
  readonly #kept = new Map<string, Known>();
  readonly #over = new LRUCache<string, true>({ max: overMax });
  #looking: Promise<void> | undefined;
  #wholeAtMs = Number.NEGATIVE_INFINITY;
  #restUntilMs = Number.NEGATIVE_INFINITY;

  constructor(source: Source) {
    this.#source = source;
  }

  /** The oldest first, at most `indexedMax`. @throws EvokeError STORE_UNAVAILABLE */
  async look(): Promise<BatchRecords[]> {
    const { clock, keeps } = this.#source;
    if (clock.now() >= this.#restUntilMs) {
      this.#looking ??= this.#refresh().finally(() => {
        this.#looking = undefined;
      });
      await this.#looking;
    }
    for (const [id, { records }] of this.#kept) if (!keeps(records)) this.#end(id);
    return [...this.#kept].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { records }]) => records);
  }

  async #refresh(): Promise<void> {
    const { store, clock } = this.#source;
    const begunMs = clock.now();
    const whole = begunMs - this.#wholeAtMs >= wholeMs;
    const stamps = new Map<string, string>();
    for await (const info of listBatchNames(store, whole ? '' : this.#from(begunMs))) {
      const id = idAmong(info.name);
      if (id !== undefined && !this.#over.has(id)) stamps.set(id, (stamps.get(id) ?? '') + stampOf(info));
    }
    for (const [id, stamp] of stamps) await this.#read(id, stamp);
    if (whole) this.#wholeAtMs = begunMs;
    const tookMs = clock.now() - begunMs;
    this.#restUntilMs = begunMs + restPerWork * tookMs;
  }

  async #read(id: string, stamp: string): Promise<void> {
    const known = this.#kept.get(id);
    if (known?.stamp === stamp) return;
    if (known === undefined && this.#kept.size >= indexedMax) return;
    // A batch whose definition is damaged is passed over, or nobody could run the others.
    const records = await this.#source.find(id).catch(passOverDamaged);
    if (records === undefined) return;
    if (this.#source.keeps(records)) this.#kept.set(id, { stamp, records });
    else this.#end(id);
  }

  #end(id: string): void {
    this.#kept.delete(id);
    this.#over.set(id, true);
  }

  /** The beginning of ids that may have news: of the oldest that is kept, or of an hour ago. */
  #from(nowMs: number): string {
    const late = timestamp({ now: () => nowMs - lateMs }).replace(/[-:.Z]/g, '');
    return [...this.#kept.keys()].reduce((oldest, id) => (id < oldest ? id : oldest), late);
  }
}

function stampOf({ bytes, modifiedAtMs }: ObjectInfo): string {
  return `${bytes}@${modifiedAtMs} `;
}
