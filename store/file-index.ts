// Which datasets of a scope have a file of a name: at most two seconds behind the store. What is asked of the store depends
// on how many scopes are asked about and how often, not on how many files.
import type { Clock } from '../core/clock.ts';
import type { Dataset, DatasetName, Files } from '../core/dataset.ts';
import { aroundNumber, eventsOfFile, fileNumberOf } from '../core/files.ts';
import { NewDatasets } from './new-datasets.ts';

/** Datasets of all remembered scopes together, at some 300 bytes each; the scope that is asked about is remembered always. */
const datasetsMax = 300_000;
/** Digits of a file's number (core/files.ts). */
const digitsMax = 16;

interface Source {
  /** All datasets' names of a scope, by the page. */
  readonly names: (scope: string) => AsyncIterable<readonly DatasetName[]>;
  readonly find: (name: DatasetName) => Promise<Dataset | undefined>;
  readonly clock: Clock;
}

/** The files of one scope as of a moment ago. */
export interface ScopeFiles {
  /** Names of the datasets that have a file of this name, or are themselves called so. */
  datasetsWith(lfn: string): string[];
}

export class FileIndex {
  readonly #source: Source;
  /** The scope that was asked about last is the last one. */
  readonly #scopes = new Map<string, Scope>();

  constructor(source: Source) {
    this.#source = source;
  }

  /** @throws EvokeError STORE_UNAVAILABLE */
  async of(scope: string): Promise<ScopeFiles> {
    const { names, find, clock } = this.#source;
    const files = this.#scopes.get(scope) ?? new Scope({ names: () => names(scope), find, clock });
    this.#scopes.delete(scope);
    this.#scopes.set(scope, files);
    await files.datasets.refresh();
    this.#forgetSome(scope);
    return files;
  }

  /** Known at once where it is declared. */
  add(dataset: Dataset): void {
    this.#scopes.get(dataset.scope)?.datasets.add(dataset);
  }

  #forgetSome(kept: string): void {
    // A scope without datasets takes some room too.
    let sum = 0;
    for (const { datasets } of this.#scopes.values()) sum += datasets.size + 1;
    for (const [scope, { datasets }] of this.#scopes) {
      if (sum <= datasetsMax) return;
      if (scope === kept) continue;
      this.#scopes.delete(scope);
      sum -= datasets.size + 1;
    }
  }
}

interface Entry {
  readonly name: string;
  readonly files: Files;
  readonly events: number;
}

class Scope implements ScopeFiles {
  readonly datasets: NewDatasets;
  readonly #names = new Set<string>();
  /** By what stands before the number in the files' names, and then by what stands after it. */
  readonly #entries = new Map<string, Map<string, Entry[]>>();
  /** How long that is what stands before. */
  readonly #lengths = new Set<number>();

  constructor(source: ConstructorParameters<typeof NewDatasets>[0]) {
    this.datasets = new NewDatasets(source, (dataset) => this.#learn(dataset));
  }

  datasetsWith(lfn: string): string[] {
    const names = new Set<string>();
    if (this.#names.has(lfn)) names.add(lfn);
    for (const at of this.#lengths) {
      const byAfter = isDigit(lfn, at) ? this.#entries.get(lfn.slice(0, at)) : undefined;
      if (byAfter === undefined) continue;
      for (let end = at + 1; end <= at + digitsMax && isDigit(lfn, end - 1); end++) {
        for (const entry of byAfter.get(lfn.slice(end)) ?? []) if (hasFile(entry, lfn)) names.add(entry.name);
      }
    }
    return [...names];
  }

  #learn({ name, files, events }: Dataset): void {
    this.#names.add(name);
    if (files === undefined) return;
    const { before, after } = aroundNumber(files);
    this.#lengths.add(before.length);
    const byAfter = this.#entries.get(before) ?? new Map<string, Entry[]>();
    const entries = byAfter.get(after) ?? [];
    entries.push({ name, files, events });
    this.#entries.set(before, byAfter.set(after, entries));
  }
}

function hasFile({ files, events }: Entry, lfn: string): boolean {
  const n = fileNumberOf(files, lfn);
  return n !== undefined && eventsOfFile(files, n, events) !== undefined;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}
