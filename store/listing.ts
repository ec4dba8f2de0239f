// A listing to its end: stores give a thousand names at a time.
import { listLimitMax, type ObjectInfo, type Store } from './store.ts';

/**
 * Every object whose name begins with `prefix` (as in `Store.list`), after the name `after`, in byte order; a page at a time
 * is asked for and held. @throws EvokeError STORE_UNAVAILABLE
 */
export async function* everyObject(
  store: Pick<Store, 'list'>,
  prefix: string,
  after?: string,
): AsyncGenerator<ObjectInfo> {
  let last = after;
  for (;;) {
    const page = await store.list(prefix, last === undefined ? {} : { after: last });
    yield* page;
    last = page.at(-1)?.name;
    if (page.length < listLimitMax) return;
  }
}
