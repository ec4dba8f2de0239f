// Which datasets share a derivation and may therefore share chunks: learnt from the store, at most two seconds behind.
// A record is read once; a refresh only lists names.
import type { Clock } from '../core/clock.ts';
import { type Dataset, type DatasetName, formatDatasetName } from '../core/dataset.ts';

const refreshMs = 2000;
/** A listing so long that it takes more than a tenth of this time is asked for less often: the index costs a tenth at most. */
const restPerWork = 10;

interface Source {
  /** All datasets' names, by the page. */
  readonly names: () => AsyncIterable<readonly DatasetName[]>;
  readonly find: (name: DatasetName) => Promise<Dataset | undefined>;
  readonly clock: Clock;
}

export class DerivationIndex {
  readonly #source: Source;
  readonly #names = new Map<string, DatasetName[]>();
  readonly #seen = new Set<string>();
  #refreshing: Promise<void> | undefined;
  #freshUntil = Number.NEGATIVE_INFINITY;

  constructor(source: Source) {
    this.#source = source;
  }

  async find(derivation: string, batchEvents: number): Promise<Dataset[]> {
    if (this.#source.clock.now() > this.#freshUntil) {
      this.#refreshing ??= this.#refresh().finally(() => {
        this.#refreshing = undefined;
      });
      await this.#refreshing;
    }
    const names = this.#names.get(`${derivation}/${batchEvents}`) ?? [];
    const datasets: Dataset[] = [];
    for (const name of names) {
      const dataset = await this.#source.find(name);
      if (dataset !== undefined) datasets.push(dataset);
    }
    return datasets;
  }

  /** Known at once where it is declared. */
  add(dataset: Dataset): void {
    const name = formatDatasetName(dataset);
    if (this.#seen.has(name)) return;
    this.#seen.add(name);
    const key = `${dataset.derivationId}/${dataset.batchEvents}`;
    const names = this.#names.get(key) ?? [];
    names.push({ scope: dataset.scope, name: dataset.name });
    this.#names.set(key, names);
  }

  async #refresh(): Promise<void> {
    const { names, find, clock } = this.#source;
    const startedAt = clock.now();
    for await (const page of names()) {
      for (const name of page) {
        if (this.#seen.has(formatDatasetName(name))) continue;
        // A record that does not read is passed over, and looked at again next time: its chunks, if no other dataset
        // has them, are of an unknown derivation and therefore kept.
        const dataset = await find(name).catch(() => undefined);
        if (dataset !== undefined) this.add(dataset);
      }
    }
    const now = clock.now();
    this.#freshUntil = Math.max(startedAt + refreshMs, now + restPerWork * (now - startedAt));
  }
}
