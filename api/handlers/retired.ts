// A wrong dataset keeps its name and loses its events.
import { type Dataset, formatDatasetName } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import type { ApiDeps } from '../deps.ts';

/** @throws EvokeError RETIRED */
export async function checkNotRetired(dataset: Dataset, { catalog }: Pick<ApiDeps, 'catalog'>): Promise<void> {
  if (await catalog.isRetired(dataset)) throw retired(dataset);
}

export function retired(dataset: Dataset): EvokeError {
  return new EvokeError('RETIRED', { detail: `${formatDatasetName(dataset)} was found wrong and is retired.` });
}
