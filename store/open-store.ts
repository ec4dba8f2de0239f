// From the setting STORE to a store: the one place that knows which backends there are.
import { mkdir } from 'node:fs/promises';
import { EvokeError } from '../core/errors.ts';
import type { StoreLocation } from '../core/store-location.ts';
import { defaultCapacityBytes, rememberedCapacityBytes } from './capacity-default.ts';
import { FsStore } from './fs-store.ts';
import type { StoreBackend } from './store.ts';
import { unavailable } from './unavailable.ts';

export interface OpenedStore {
  readonly store: StoreBackend;
  /** What chunks may take when nobody has said: decided at the store's first start. @throws EvokeError STORE_UNAVAILABLE */
  capacityBytes(): Promise<number>;
}

/** An object store does not say how much room it has: a terabyte, unless CAPACITY_BYTES says otherwise. */
const objectStoreCapacityBytes = 1e12;

/**
 * Makes the folder of a store in files, and looks into the bucket of one in S3, so that a wrong name or key stops the start.
 * @throws EvokeError STORE_UNAVAILABLE that names the store: for whoever starts a process, not for clients
 */
export async function openStore(location: StoreLocation): Promise<OpenedStore> {
  if (location.kind === 's3') {
    // Loaded only where it is used: it takes a fifth of a second.
    const { S3Store } = await import('./s3-store.ts');
    const store = new S3Store(location);
    await named(store.description, () => store.list('', { limit: 1 }));
    return { store, capacityBytes: () => rememberedCapacityBytes(store, async () => objectStoreCapacityBytes) };
  }
  const { folder } = location;
  await named(`file:${folder}`, () => mkdir(folder, { recursive: true }));
  const store = new FsStore(folder);
  return { store, capacityBytes: () => rememberedCapacityBytes(store, () => defaultCapacityBytes(folder)) };
}

async function named(store: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const failure = unavailable(error, 'write');
    if (!(failure instanceof EvokeError)) throw failure;
    throw new EvokeError(
      failure.code,
      { ...failure.details, detail: `${store}: ${failure.message}` },
      { cause: failure },
    );
  }
}
