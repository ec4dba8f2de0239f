// Where damaged objects go: out of the way, kept for a look at what happened to them, and never many.
import { randomUUID } from 'node:crypto';
import type { Store } from './store.ts';

const prefix = 'quarantine/';

/** Enough to see a pattern; at 8 MiB each, little beside any store. */
const keptMax = 20;

/**
 * Moves a damaged object there, under the time and its own name. A copy that cannot be kept (no space) is done without; an
 * object that cannot be taken away is an error. Returns whether it was this call that took it away.
 * @throws EvokeError STORE_UNAVAILABLE
 */
export async function quarantine(store: Store, name: string, bytes: Buffer): Promise<boolean> {
  await keep(store, name, bytes).catch(() => undefined);
  // Somebody else may have put it away and made a good one since.
  const now = await store.get(name);
  return now?.equals(bytes) === true && (await store.delete(name));
}

async function keep(store: Store, name: string, bytes: Buffer): Promise<void> {
  // The time is of 13 digits until the year 2286, so that the oldest is listed first.
  const label = name.slice(name.indexOf('/') + 1).replaceAll('/', '.');
  await store.put(`${prefix}${Date.now()}-${randomUUID()}.${label}`, [bytes]);
  const kept = await store.list(prefix);
  for (const old of kept.slice(0, Math.max(0, kept.length - keptMax))) await store.delete(old.name);
}
