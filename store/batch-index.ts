// The batches that somebody has to know all the time: those under way, those whose chunks are held. A look lists names
// and reads only the records that changed, also of what is over: a late write may bring an older word back.
import { LRUCache } from 'lru-cache';
import type { BatchRecords } from '../core/batch.ts';
import { type Clock, timestamp } from '../core/clock.ts';
import { idAmong, listBatchNames } from './batch-names.ts';
import { passOverDamaged } from './records.ts';
import type { ObjectInfo, Store } from './store.ts';

/** What an index holds at most, about a kilobyte each; more of them wait until some are over. */
const indexedMax = 10_000;
/** Of those that are over only the stamps are remembered; one that is forgotten is read once more. */
const overMax = 100_000;
/** A store may tell whole seconds only: what is written in the same second need not show, and is read once more after this. */
const sameSecondMs = 2_000;
/** An id may be older than the moment it is listed first: the clocks of two machines, a slow put. */
const lateMs = 3_600_000;
/** All names are listed so often, for ids that came even later. */
const wholeMs = 600_000;
/** A listing so long that it takes more than a tenth of the time is asked for less often. */
const restPerWork = 10;

interface Source {
  readonly store: Pick<Store, 'list'>;
  readonly find: (id: string) => Promise<BatchRecords | undefined>;
  /** Once it has said no to a batch, it is not asked again until a record of the batch changes. */
  readonly keeps: (records: BatchRecords) => boolean;
  readonly clock: Clock;
}

/** Of the records of one batch: which bytes and times they were listed with. */
interface Stamp {
  readonly id: string;
  readonly text: string;
  /** Whether a time of them is in whole seconds. */
  readonly isCoarse: boolean;
}

interface Known {
  readonly stamp: string;
  readonly records: BatchRecords;
  /** When to read them again although nothing seems to have changed. */
  readonly againAtMs: number;
}

export class BatchIndex {
  readonly #source: Source;
  readonly #kept = new Map<string, Known>();
  readonly #over = new LRUCache<string, string>({ max: overMax });
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
    for (const [id, { records, stamp }] of this.#kept) if (!keeps(records)) this.#end(id, stamp);
    return [...this.#kept].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { records }]) => records);
  }

  async #refresh(): Promise<void> {
    const { store, clock } = this.#source;
    const begunMs = clock.now();
    const whole = begunMs - this.#wholeAtMs >= wholeMs;
    for await (const stamp of stampsOf(listBatchNames(store, whole ? '' : this.#from(begunMs))))
      await this.#read(stamp);
    if (whole) this.#wholeAtMs = begunMs;
    const tookMs = clock.now() - begunMs;
    this.#restUntilMs = begunMs + restPerWork * tookMs;
  }

  async #read({ id, text: stamp, isCoarse }: Stamp): Promise<void> {
    const { clock, find, keeps } = this.#source;
    const known = this.#kept.get(id);
    const seen = known?.stamp === stamp;
    if (this.#over.get(id) === stamp || (seen && clock.now() < known.againAtMs)) return;
    if (known === undefined && this.#kept.size >= indexedMax) return;
    const againAtMs = isCoarse && !seen ? clock.now() + sameSecondMs : Number.POSITIVE_INFINITY;
    // A batch whose definition is damaged is passed over, or nobody could run the others.
    const records = await find(id).catch(passOverDamaged);
    if (records === undefined) return;
    if (keeps(records)) this.#kept.set(id, { stamp, records, againAtMs });
    else this.#end(id, stamp);
  }

  #end(id: string, stamp: string): void {
    this.#kept.delete(id);
    this.#over.set(id, stamp);
  }

  /** The beginning of ids that may have news: of the oldest that is kept, or of an hour ago. */
  #from(nowMs: number): string {
    const late = timestamp({ now: () => nowMs - lateMs }).replace(/[-:.Z]/g, '');
    return [...this.#kept.keys()].reduce((oldest, id) => (id < oldest ? id : oldest), late);
  }
}

/** The records of a batch are neighbours in the listing. */
async function* stampsOf(objects: AsyncIterable<ObjectInfo>): AsyncGenerator<Stamp> {
  let last: Stamp | undefined;
  for await (const { name, bytes, modifiedAtMs } of objects) {
    const id = idAmong(name);
    if (id === undefined) continue;
    if (last !== undefined && last.id !== id) yield last;
    const before = last?.id === id ? last : { text: '', isCoarse: false };
    const text = `${before.text}${bytes}@${modifiedAtMs} `;
    last = { id, text, isCoarse: before.isCoarse || modifiedAtMs % 1000 === 0 };
  }
  if (last !== undefined) yield last;
}
