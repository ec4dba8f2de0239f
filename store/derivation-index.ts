// Which datasets share a derivation and may therefore share chunks: at most two seconds behind the store.
import type { Dataset, DatasetName } from '../core/dataset.ts';
import { type DatasetSource, NewDatasets } from './new-datasets.ts';

export class DerivationIndex {
  readonly #source: DatasetSource;
  readonly #datasets: NewDatasets;
  readonly #names = new Map<string, DatasetName[]>();

  constructor(source: DatasetSource) {
    this.#source = source;
    this.#datasets = new NewDatasets(source, (dataset) => this.#learn(dataset));
  }

  async find(derivation: string, batchEvents: number): Promise<Dataset[]> {
    await this.#datasets.refresh();
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
    this.#datasets.add(dataset);
  }

  #learn(dataset: Dataset): void {
    const key = `${dataset.derivationId}/${dataset.batchEvents}`;
    const names = this.#names.get(key) ?? [];
    names.push({ scope: dataset.scope, name: dataset.name });
    this.#names.set(key, names);
  }
}
