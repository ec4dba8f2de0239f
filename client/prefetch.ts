// Brings the events of PanDA's ranges ahead of a payload: one small whole file per range in a folder, so many in flight, so many
// bytes lying there. Whoever is told of a file takes it away when it is read; a prefetcher that is started again on the same
// folder tells of what is still there, fetches what never was, and passes over what was taken.
import { PrefetchFolder } from './prefetch-folder.ts';
import { PrefetchRun } from './prefetch-run.ts';
import type { Prefetched, PrefetchOptions } from './prefetch-words.ts';

export type { Prefetched, PrefetchOptions } from './prefetch-words.ts';

/**
 * What became of each range, in the order of the lists unless said otherwise. A file is there when its range is yielded, and on
 * the record as told; leaving the loop ends what is in flight.
 * @throws ConnectionError when the service is gone for good, ServiceError when it knows no event ranges, MalformedRangesError
 * after the lists before; Error of the file system; the signal's reason
 */
export async function* prefetch(options: PrefetchOptions): AsyncGenerator<Prefetched> {
  const folder = await PrefetchFolder.open(options.folder);
  const run = new PrefetchRun(options, folder);
  try {
    yield* run.outcomes();
    await folder.removeUntold();
  } finally {
    await run.stop();
    await folder.close();
  }
}
