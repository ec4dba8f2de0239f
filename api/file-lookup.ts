// The datasets that the files of one list belong to: each scope and each file is looked up once, however often it is named.
import { type Dataset, type DatasetName, formatDatasetName } from '../core/dataset.ts';
import { EvokeError } from '../core/errors.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventsOfFile, fileNumberOf } from '../core/files.ts';
import type { ScopeFiles } from '../store/file-index.ts';

/** A file of a dataset, or the dataset itself under its own name. */
export interface FoundFile {
  readonly dataset: Dataset;
  readonly events: EventRange;
}

export interface FileCatalog {
  filesOf(scope: string): Promise<ScopeFiles>;
  find(name: DatasetName): Promise<Dataset | undefined>;
  isRetired(name: DatasetName): Promise<boolean>;
}

/** Each costs a listing: a list of PanDA's has one or two. */
const scopesMax = 64;
/** Datasets with the same file that are looked at: retired ones are passed over. */
const namesakesMax = 64;

export class FileLookup {
  readonly #catalog: FileCatalog;
  readonly #scopes = new Map<string, Promise<ScopeFiles>>();
  readonly #files = new Map<string, Promise<FoundFile>>();

  constructor(catalog: FileCatalog) {
    this.#catalog = catalog;
  }

  /**
   * One that fails fails for everybody who names the file.
   * @throws EvokeError FILE_NOT_FOUND, AMBIGUOUS_FILE, RETIRED, INVALID_BODY (too many scopes), STORE_UNAVAILABLE
   */
  find(scope: string, lfn: string): Promise<FoundFile> {
    // A scope has no slash.
    const key = `${scope}/${lfn}`;
    const known = this.#files.get(key) ?? this.#find(scope, lfn);
    this.#files.set(key, known);
    return known;
  }

  async #find(scope: string, lfn: string): Promise<FoundFile> {
    const names = (await this.#scope(scope)).datasetsWith(lfn);
    let found: Dataset | undefined;
    let retired: Dataset | undefined;
    for (const name of names.slice(0, namesakesMax)) {
      const dataset = await this.#catalog.find({ scope, name });
      if (dataset === undefined) continue;
      if (await this.#catalog.isRetired(dataset)) retired = dataset;
      else if (found === undefined) found = dataset;
      else throw ambiguous(scope, lfn, [found, dataset]);
    }
    if (found !== undefined) return { dataset: found, events: eventsOf(found, lfn) };
    if (retired === undefined) throw notFound(scope, lfn);
    throw new EvokeError('RETIRED', {
      detail: `${formatDatasetName(retired)}, which has the file, was found wrong and is retired.`,
    });
  }

  #scope(scope: string): Promise<ScopeFiles> {
    const known = this.#scopes.get(scope);
    if (known !== undefined) return known;
    if (this.#scopes.size >= scopesMax) {
      return Promise.reject(
        new EvokeError('INVALID_BODY', {
          detail: `The list names more than ${scopesMax} scopes.`,
          hint: 'Post a list for each scope.',
        }),
      );
    }
    const files = this.#catalog.filesOf(scope);
    this.#scopes.set(scope, files);
    return files;
  }
}

function eventsOf(dataset: Dataset, lfn: string): EventRange {
  const { files, events } = dataset;
  const n = files && fileNumberOf(files, lfn);
  const ofFile = files && n !== undefined ? eventsOfFile(files, n, events) : undefined;
  return ofFile ?? { first: 0, end: events };
}

function notFound(scope: string, lfn: string): EvokeError {
  return new EvokeError('FILE_NOT_FOUND', {
    detail: `No dataset of the scope ${scope} has a file ${JSON.stringify(lfn.slice(0, 250))}, or is called so.`,
    hint: 'Files are those of datasets that were declared with `files`.',
  });
}

function ambiguous(scope: string, lfn: string, datasets: readonly Dataset[]): EvokeError {
  const names = datasets.map(formatDatasetName);
  return new EvokeError('AMBIGUOUS_FILE', {
    detail: `${names.join(' and ')} both have a file ${JSON.stringify(lfn.slice(0, 250))}.`,
    hint: `Name a dataset as the LFN, or retire one that is wrong.`,
    scope,
    datasets: names,
  });
}
