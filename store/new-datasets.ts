// Datasets as they come to be declared, by whatever process: learnt from the store, at most two seconds behind. A record is
// read once; a refresh only lists names.
import type { Clock } from '../core/clock.ts';
import { type Dataset, type DatasetName, formatDatasetName } from '../core/dataset.ts';

const refreshMs = 2000;
/** A listing so long that it takes more than a tenth of this time is asked for less often: it costs a tenth at most. */
const restPerWork = 10;
const readsAtOnce = 16;

export interface DatasetSource {
  /** Names of all datasets that matter, by the page. */
  readonly names: () => AsyncIterable<readonly DatasetName[]>;
  readonly find: (name: DatasetName) => Promise<Dataset | undefined>;
  readonly clock: Clock;
}

export class NewDatasets {
  readonly #source: DatasetSource;
  readonly #learn: (dataset: Dataset) => void;
  readonly #seen = new Set<string>();
  #refreshing: Promise<void> | undefined;
  #freshUntil = Number.NEGATIVE_INFINITY;

  /** `learn` is told of each dataset once. */
  constructor(source: DatasetSource, learn: (dataset: Dataset) => void) {
    this.#source = source;
    this.#learn = learn;
  }

  /** Datasets learnt so far. */
  get size(): number {
    return this.#seen.size;
  }

  /** Learns what there is to be learnt; nothing is asked of the store where that was done a moment ago. */
  async refresh(): Promise<void> {
    if (this.#source.clock.now() <= this.#freshUntil) return;
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  /** Known at once where it is declared. */
  add(dataset: Dataset): void {
    const name = formatDatasetName(dataset);
    if (this.#seen.has(name)) return;
    this.#seen.add(name);
    this.#learn(dataset);
  }

  async #look(): Promise<void> {
    const { names, find, clock } = this.#source;
    const startedAt = clock.now();
    for await (const page of names()) {
      const unseen = page.filter((name) => !this.#seen.has(formatDatasetName(name)));
      for (let at = 0; at < unseen.length; at += readsAtOnce) {
        // A record that does not read is passed over, and looked at again next time: its chunks, if no other dataset
        // has them, are of an unknown derivation and therefore kept.
        const reads = unseen.slice(at, at + readsAtOnce).map((name) => find(name).catch(() => undefined));
        for (const dataset of await Promise.all(reads)) if (dataset !== undefined) this.add(dataset);
      }
    }
    const now = clock.now();
    this.#freshUntil = Math.max(startedAt + refreshMs, now + restPerWork * (now - startedAt));
  }
}
