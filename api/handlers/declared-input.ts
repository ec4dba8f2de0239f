// The dataset that a new one is to read: everything that speaks against it is said at once. An input exists before what is
// derived from it, and neither ever changes, so a chain has an end.
import {
  type Dataset,
  derivationsOf,
  formatDatasetName,
  type InputLink,
  parseDatasetName,
} from '../../core/dataset.ts';
import type { FieldError } from '../../core/errors.ts';
import type { ApiDeps, Generator } from '../deps.ts';

/** What a declaration says of its input, already of the right form. */
export interface WantedInput {
  /** `scope:name` */
  readonly name: string;
  readonly generator: Generator;
  /** Of the dataset to be; undefined where the declaration does not say it properly. */
  readonly events: number | undefined;
}

type InputDeps = Pick<ApiDeps, 'catalog' | 'registry' | 'chainLinks'>;

/** `dataset` is undefined when there is none of that name; it may be used only when there are no `errors`. */
export async function inputOf(
  { name, generator, events }: WantedInput,
  { catalog, registry, chainLinks }: InputDeps,
): Promise<{ readonly dataset: Dataset | undefined; readonly errors: readonly FieldError[] }> {
  const dataset = await catalog.find(parseDatasetName(name));
  if (dataset === undefined) return { dataset, errors: [refused(`${name} is not declared`)] };
  const errors: FieldError[] = [];
  if (await catalog.isRetired(dataset)) errors.push(refused(`${name} is retired`));
  if (events !== undefined && dataset.events < events) {
    errors.push(refused(`${name} has ${dataset.events} events only`));
  }
  const columns = new Set(dataset.columns.map((column) => column.name));
  const missing = (generator.inputColumns ?? []).filter((column) => !columns.has(column));
  if (missing.length > 0) errors.push(refused(`${name} has no ${missing.join(', ')}, which ${generator.name} reads`));
  const links = inputsFrom(dataset).length;
  if (links > chainLinks) {
    errors.push(refused(`there are ${links} inputs one behind the other then, and may be ${chainLinks} (CHAIN_LINKS)`));
  }
  for (const { generator, version } of derivationsOf(dataset)) {
    if (registry.find(generator, version) !== undefined) continue;
    errors.push(refused(`${name} cannot be made again: ${generator}@${version} is not registered`));
  }
  return { dataset, errors };
}

/** What a dataset that reads this one is derived from, the nearest first: as it is written down in its record. */
export function inputsFrom(dataset: Dataset): readonly InputLink[] {
  const { derivation, derivationId, events, chunkEvents, batchEvents, inputs = [] } = dataset;
  const grid = { events, chunkEvents, batchEvents };
  return [{ dataset: formatDatasetName(dataset), derivation, derivationId, ...grid }, ...inputs];
}

function refused(message: string): FieldError {
  return { path: '/input', message };
}
