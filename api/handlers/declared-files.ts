// The files of a dataset to be: a name that would be another's too would lead nowhere (AMBIGUOUS_FILE), so it is refused as far
// as it can be seen. Two that are declared in the same moment can still meet.
import { type DatasetName, type Files, formatDatasetName } from '../../core/dataset.ts';
import { EvokeError, type FieldError } from '../../core/errors.ts';
import { fileNumberOf, lfnOf } from '../../core/files.ts';
import type { ApiDeps } from '../deps.ts';
import { FileLookup } from '../file-lookup.ts';

/** @throws EvokeError STORE_UNAVAILABLE */
export async function fileErrors(
  { scope, name }: DatasetName,
  { files, events }: { readonly files: Files; readonly events: number },
  { catalog }: Pick<ApiDeps, 'catalog'>,
): Promise<FieldError[]> {
  const path = '/files/lfn';
  const count = Math.ceil(events / files.eventsPerFile);
  const own = fileNumberOf(files, name);
  if (own !== undefined && own <= count) return [{ path, message: `gives file ${own} the name of the dataset itself` }];
  const lookup = new FileLookup(catalog);
  for (const n of tellingNumbers(count)) {
    const lfn = lfnOf(files, n);
    const owner = await ownerOf(lookup, scope, lfn);
    if (owner !== undefined) return [{ path, message: `gives file ${n} the name ${lfn}, which ${owner} has` }];
  }
  return [];
}

/** Who has a file of this name by now; what is retired has none any more. */
async function ownerOf(lookup: FileLookup, scope: string, lfn: string): Promise<string | undefined> {
  try {
    return formatDatasetName((await lookup.find(scope, lfn)).dataset);
  } catch (error) {
    if (!(error instanceof EvokeError)) throw error;
    if (error.code === 'FILE_NOT_FOUND' || error.code === 'RETIRED') return undefined;
    if (error.code === 'AMBIGUOUS_FILE') return 'more than one dataset';
    throw error;
  }
}

/**
 * The first of each number of digits, and the last: two patterns with the same text around the number have a name in common
 * exactly when they have one of these.
 */
function* tellingNumbers(count: number): Generator<number> {
  for (let n = 1; n <= count; n *= 10) yield n;
  yield count;
}
