// What is declared: datasets, which of them are retired or pinned, and the store's own identity. Kept in the store and
// nowhere else; what is remembered here never changes or is at most two seconds behind.
import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { ChunkRef } from '../core/chunk.ts';
import { type Clock, timestamp } from '../core/clock.ts';
import {
  checkDatasetName,
  type Dataset,
  type DatasetName,
  formatDatasetName,
  isNamePart,
  type Pin,
} from '../core/dataset.ts';
import { EvokeError } from '../core/errors.ts';
import { Fresh } from '../core/fresh.ts';
import { isOnGrid } from './chunks.ts';
import { DerivationIndex } from './derivation-index.ts';
import { FileIndex, type ScopeFiles } from './file-index.ts';
import { Patience } from './patience.ts';
import { datasetRecord, passOverDamaged, pinRecord, readRecord, storeRecord, writeRecord } from './records.ts';
import { listLimitMax, type Store } from './store.ts';

/** How far behind the store retirement and pins may be. */
const ageMaxMs = 2000;
/** A record takes about a kilobyte. */
const rememberedMax = 10_000;
const readsAtOnce = 16;

const datasetsPrefix = 'datasets/';
const datasetPath = /^datasets\/([^/]+)\/([^/]+)\.json$/;

export class Catalog {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #patience = new Patience();
  readonly #datasets = new LRUCache<string, Dataset>({ max: rememberedMax });
  readonly #retired: Fresh<boolean>;
  /** What `#retired` last knew, for the time that the store fails. */
  readonly #lastRetired = new LRUCache<string, boolean>({ max: rememberedMax });
  readonly #pins: Fresh<{ readonly pin: Pin | undefined }>;
  readonly #index: DerivationIndex;
  readonly #files: FileIndex;
  #identity: string | undefined;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    const bounds = { maxAgeMs: ageMaxMs, entriesMax: rememberedMax, clock };
    this.#retired = new Fresh(async (path) => (await store.head(`retired/${path}`)) !== undefined, bounds);
    this.#pins = new Fresh(async (path) => ({ pin: await this.#readPin(path) }), bounds);
    this.#index = new DerivationIndex({ names: () => this.#allNames(), find: (name) => this.find(name), clock });
    this.#files = new FileIndex({ names: (scope) => this.#namesIn(scope), find: (name) => this.find(name), clock });
  }

  /**
   * The store's id, given to it when it is first used: roles that work together must find the same.
   * @throws EvokeError STORE_UNAVAILABLE also when the store does not keep the conditions of puts
   */
  async identity(): Promise<string> {
    if (this.#identity !== undefined) return this.#identity;
    const read = () => readRecord(this.#store, 'store.json', storeRecord);
    // On a full disk, what is stored is served all the same: only a store without an id needs to be written to.
    const created = await this.#createIdentity().catch(async (error: unknown) => {
      if ((await read()) === undefined) throw error;
      return false;
    });
    // Imitations of S3 overwrite what should stay: two processes would each believe that they declared a dataset.
    if (created && (await this.#createIdentity())) {
      throw new EvokeError('STORE_UNAVAILABLE', {
        detail: 'The store overwrites an object that a conditional put has to leave.',
        hint: 'It has to know If-None-Match: use another server, or a newer version of this one.',
      });
    }
    const record = await read();
    if (record === undefined) throw vanished('store.json');
    this.#identity = record.id;
    return record.id;
  }

  /** Writes a dataset down for ever. The record of a name that is taken comes back as it is stored, `created` false. */
  async declare(dataset: Dataset): Promise<{ dataset: Dataset; created: boolean }> {
    const created = await writeRecord(this.#store, datasetName(dataset), dataset, { ifAbsent: true });
    if (created) {
      this.#index.add(dataset);
      this.#files.add(dataset);
    }
    const stored = await this.find(dataset);
    if (stored === undefined) throw vanished(datasetName(dataset));
    return { dataset: stored, created };
  }

  /** Remembered, because records never change; what is absent is asked for again every time. */
  async find(name: DatasetName): Promise<Dataset | undefined> {
    const path = pathOf(name);
    const known = this.#datasets.get(path);
    if (known !== undefined) return known;
    const dataset = await readRecord(this.#store, datasetsPrefix + path, datasetRecord);
    if (dataset === undefined) return undefined;
    if (pathOf(dataset) !== path) {
      throw new EvokeError('STORE_UNAVAILABLE', {
        detail: `The record ${datasetsPrefix}${path} is damaged: it is of ${formatDatasetName(dataset)}.`,
        hint: 'Records are written once and never renamed: move it back.',
        record: datasetsPrefix + path,
      });
    }
    this.#datasets.set(path, dataset);
    return dataset;
  }

  /** @throws EvokeError DATASET_NOT_FOUND */
  async get(name: DatasetName): Promise<Dataset> {
    const dataset = await this.find(name);
    if (dataset !== undefined) return dataset;
    throw new EvokeError('DATASET_NOT_FOUND', { detail: `There is no dataset ${formatDatasetName(name)}.` });
  }

  /**
   * Up to `limit` (at most 1000) datasets after the dataset `after` (it need not exist), retired ones too, in the order of
   * their objects' names: the bytes of `scope/name.json`. One whose record is damaged is passed over, or nobody could list
   * the others; asking for it by name tells what is wrong with it.
   */
  async list({ after, limit }: { after?: DatasetName | undefined; limit: number }): Promise<Dataset[]> {
    const datasets: Dataset[] = [];
    for await (const names of this.#pages(Math.min(limit, listLimitMax), after && datasetName(after))) {
      const missing = names.slice(0, limit - datasets.length);
      const found = await inBatches(missing, (name) => this.find(name).catch(passOverDamaged));
      datasets.push(...found.filter((dataset) => dataset !== undefined));
      if (datasets.length >= limit) break;
    }
    return datasets;
  }

  /** For ever. @throws EvokeError DATASET_NOT_FOUND */
  async retire(name: DatasetName): Promise<void> {
    const dataset = await this.get(name);
    const record = { scope: dataset.scope, name: dataset.name, retiredAt: timestamp(this.#clock) };
    await writeRecord(this.#store, `retired/${pathOf(name)}`, record, { ifAbsent: true });
    this.#retired.forget(pathOf(name));
    this.#lastRetired.set(pathOf(name), true);
  }

  /** At most two seconds behind; while the store fails or does not answer, what was last known. */
  async isRetired(name: DatasetName): Promise<boolean> {
    const path = pathOf(name);
    const asked = this.#patience.watch(this.#retired.get(path)).then((retired) => {
      this.#lastRetired.set(path, retired);
      return retired;
    });
    const last = this.#lastRetired.get(path);
    return last === undefined ? asked : this.#patience.askOr(asked, last);
  }

  /** The same when it is known without asking the store: no I/O, no promise. */
  peekRetired(name: DatasetName): boolean | undefined {
    return this.#retired.peek(pathOf(name));
  }

  /** Replaces an earlier pin. */
  async pin(pin: Pin): Promise<void> {
    await writeRecord(this.#store, pinName(pathOf(pin)), pin);
    this.#pins.forget(pathOf(pin));
  }

  /** Returns whether there was a pin, expired ones included. */
  async unpin(name: DatasetName): Promise<boolean> {
    const removed = await this.#store.delete(pinName(pathOf(name)));
    this.#pins.forget(pathOf(name));
    return removed;
  }

  /** The pin, unless it has expired; at most two seconds behind. */
  async pinOf(name: DatasetName): Promise<Pin | undefined> {
    return this.#unexpired((await this.#pins.get(pathOf(name))).pin);
  }

  /** Datasets of this derivation with record batches of this size: those that may share chunks. At most two seconds behind. */
  datasetsSharing(derivation: string, batchEvents: number): Promise<Dataset[]> {
    return this.#index.find(derivation, batchEvents);
  }

  /** Which datasets of a scope have which files; at most two seconds behind. @throws EvokeError STORE_UNAVAILABLE */
  filesOf(scope: string): Promise<ScopeFiles> {
    return this.#files.of(scope);
  }

  /** Whether any dataset that has this chunk is pinned. Asks the store every time: the answer decides over bytes. */
  async isPinned(chunk: ChunkRef): Promise<boolean> {
    for (const dataset of await this.datasetsSharing(chunk.derivation, chunk.batchEvents)) {
      if (isOnGrid(chunk.range, dataset) && (await this.isPinnedNow(dataset))) return true;
    }
    return false;
  }

  /** Whether a dataset is pinned, asked of the store. */
  async isPinnedNow(name: DatasetName): Promise<boolean> {
    return this.#unexpired(await this.#readPin(pathOf(name))) !== undefined;
  }

  /** Returns whether it had none. */
  #createIdentity(): Promise<boolean> {
    return writeRecord(this.#store, 'store.json', { id: randomUUID() }, { ifAbsent: true });
  }

  #readPin(path: string): Promise<Pin | undefined> {
    return readRecord(this.#store, pinName(path), pinRecord);
  }

  #unexpired(pin: Pin | undefined): Pin | undefined {
    return pin !== undefined && Date.parse(pin.expiresAt) > this.#clock.now() ? pin : undefined;
  }

  async *#allNames(): AsyncGenerator<DatasetName[]> {
    yield* this.#pages(listLimitMax);
  }

  async *#namesIn(scope: string): AsyncGenerator<DatasetName[]> {
    if (isNamePart(scope)) yield* this.#pages(listLimitMax, undefined, `${datasetsPrefix}${scope}/`);
  }

  /** Names of datasets in the order of `list`; what else lies in that folder is passed over. */
  async *#pages(limit: number, after?: string, prefix = datasetsPrefix): AsyncGenerator<DatasetName[]> {
    if (limit < 1) return;
    let last = after;
    for (;;) {
      const page = await this.#store.list(prefix, last === undefined ? { limit } : { limit, after: last });
      yield page.flatMap((info) => nameOfObject(info.name) ?? []);
      last = page.at(-1)?.name;
      if (page.length < limit) return;
    }
  }
}

/** `<scope>/<name>.json`, safe as a path because the parts of a name are. @throws EvokeError MALFORMED_NAME */
function pathOf(name: DatasetName): string {
  const { scope, name: own } = checkDatasetName(name);
  return `${scope}/${own}.json`;
}

function datasetName(name: DatasetName): string {
  return datasetsPrefix + pathOf(name);
}

function pinName(path: string): string {
  return `pins/${path}`;
}

function nameOfObject(objectName: string): DatasetName | undefined {
  const match = datasetPath.exec(objectName);
  const name = { scope: match?.[1] ?? '', name: match?.[2] ?? '' };
  return isDatasetName(name) ? name : undefined;
}

function isDatasetName(name: DatasetName): boolean {
  return isNamePart(name.scope) && isNamePart(name.name);
}

function vanished(record: string): EvokeError {
  return new EvokeError('STORE_UNAVAILABLE', { detail: `The record ${record} vanished while it was being written.` });
}

async function inBatches<A, B>(items: readonly A[], work: (item: A) => Promise<B>): Promise<B[]> {
  const results: B[] = [];
  for (let at = 0; at < items.length; at += readsAtOnce) {
    results.push(...(await Promise.all(items.slice(at, at + readsAtOnce).map(work))));
  }
  return results;
}
