// The store of the settings, opened by a command that works on it directly, and what is known of a service at work on it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, type Environment, readConfig, storeLocationOf } from '../config/settings.ts';
import { messageOf } from '../core/errors.ts';
import { Processes } from '../queue/processes.ts';
import { openStore } from '../store/open-store.ts';
import { readRecord, storeRecord } from '../store/records.ts';
import type { StoreBackend } from '../store/store.ts';
import { readOwner, stillRuns } from '../tools/process-lock.mjs';
import { redisUrlIn } from './private-redis.ts';
import type { ServiceNotes } from './start.ts';

export interface OwnStore {
  readonly config: Config;
  readonly store: StoreBackend;
  /** False only when it is certain that no process of a service works on the store. */
  readonly mayBeInUse: boolean;
  /** One sentence about that. */
  readonly use: string;
  /** Of the service at work on it. */
  readonly redisUrl: string | undefined;
}

const whereSaid = 'EVOKE_DATA_DIR or EVOKE_STORE say where it is.';

/** @throws EvokeError BAD_SETTINGS, STORE_UNAVAILABLE; Error when there is no store */
export async function openOwnStore(environment: Environment): Promise<OwnStore> {
  const config = readConfig(environment);
  const location = storeLocationOf(config);
  // Looked for first: opening would make one.
  if (location.kind === 'file' && !existsSync(location.folder)) {
    throw new Error(`There is no store at ${location.folder}. ${whereSaid}`);
  }
  const { store } = await openStore(location);
  // A mistyped prefix must not look like a healthy store.
  if ((await store.list('', { limit: 1 })).length === 0) {
    await store.close();
    throw new Error(`There is no store at ${store.description}: it is empty. ${whereSaid}`);
  }
  return { config, store, ...(await useOf(config, store)) };
}

async function useOf(config: Config, store: StoreBackend): Promise<Omit<OwnStore, 'config' | 'store'>> {
  const owner = readOwner<ServiceNotes>(join(config.dataDir, 'service.lock'));
  // The roles of a service that was killed finish what they have, too.
  const runsHere = stillRuns(owner) || (owner?.processes ?? []).some(stillRuns);
  const redisUrl = config.redisUrl ?? (runsHere ? redisUrlIn(owner?.redisFolder) : undefined);
  if (redisUrl === undefined) {
    // Only this machine's service works on the folder of its own; on any other store, services unknown here may.
    if (runsHere) return { mayBeInUse: true, use: 'The service here is just starting or stopping.', redisUrl };
    return config.store === undefined
      ? { mayBeInUse: false, use: 'No service runs on it.', redisUrl }
      : { mayBeInUse: true, use: 'Whether a service runs on it is not known: EVOKE_REDIS_URL is not set.', redisUrl };
  }
  // A store whose id cannot be read may be anybody's who lives.
  const storeId = (await readRecord(store, 'store.json', storeRecord).catch(() => undefined))?.id;
  const processes = new Processes({ url: redisUrl, prefix: config.redisPrefix });
  try {
    const living = (await processes.list()).filter((process) => storeId === undefined || process.storeId === storeId);
    if (living.length === 0 && !runsHere)
      return { mayBeInUse: false, use: 'No service runs on it.', redisUrl: undefined };
    return { mayBeInUse: true, use: `${living.length} processes of a service work on it.`, redisUrl };
  } catch (error) {
    const use = `Whether a service runs on it is not known: ${messageOf(error)}`;
    return { mayBeInUse: true, use, redisUrl: undefined };
  } finally {
    await processes.leave();
  }
}
