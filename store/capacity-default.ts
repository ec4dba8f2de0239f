// How much a store may take when nobody has said: decided once, from the space that was free then, and kept in the store,
// so that a later start does not mistake the chunks of the earlier for a smaller disk.
import { statfs } from 'node:fs/promises';
import { capacityRecord, readRecord, writeRecord } from './records.ts';
import type { Store } from './store.ts';
import { unavailable } from './unavailable.ts';

const name = 'capacity.json';
const shareOfFreeSpace = 0.8;

/** 80 % of the space that is free where the folder is (which must exist), bytes. @throws EvokeError STORE_UNAVAILABLE */
export async function defaultCapacityBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return Math.max(1, Math.floor(bavail * bsize * shareOfFreeSpace));
  } catch (error) {
    throw unavailable(error, 'read');
  }
}

/** What the first start has decided; the first time, decides. @throws EvokeError STORE_UNAVAILABLE */
export async function rememberedCapacityBytes(store: Store, decide: () => Promise<number>): Promise<number> {
  const known = await readRecord(store, name, capacityRecord);
  if (known !== undefined) return known.capacityBytes;
  const capacityBytes = await decide();
  await writeRecord(store, name, { capacityBytes }, { ifAbsent: true });
  // Another process may have been faster: its figure stands.
  return (await readRecord(store, name, capacityRecord))?.capacityBytes ?? capacityBytes;
}
