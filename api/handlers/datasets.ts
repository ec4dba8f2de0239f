// Datasets: one, all, retired.
import { checkDatasetName, type DatasetName, formatDatasetName, parseDatasetName } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { type Answer, type Input, json, page } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { definitionOf, describe } from './describe.ts';

type PageQuery = { limit: number; after?: string | undefined };

export async function getDataset({ params }: Input<DatasetName>, deps: ApiDeps): Promise<Answer> {
  return json(200, await describe(await deps.catalog.get(params), deps));
}

/** Definitions only: how each stands would take a listing each. */
export async function listDatasets({ query }: Input<unknown, PageQuery>, { catalog }: ApiDeps): Promise<Answer> {
  const { after, limit } = query;
  // One more than is shown tells whether there is a next page.
  const found = await catalog.list({ limit: limit + 1, after: after === undefined ? undefined : nameAfter(after) });
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return page(items.map(definitionOf), found.length > limit && last !== undefined ? formatDatasetName(last) : null);
}

function nameAfter(after: string): DatasetName {
  try {
    return checkDatasetName(parseDatasetName(after));
  } catch {
    throw new EvokeError('MALFORMED_REQUEST', { detail: 'after is not what a page before gave as next.' });
  }
}

export async function retireDataset({ params }: Input<DatasetName>, { catalog }: ApiDeps): Promise<Answer> {
  const { scope, name } = await catalog.get(params);
  await catalog.retire({ scope, name });
  return json(200, { scope, name, retired: true });
}
