// Where the records of batches lie in a store: `batches/<id>.json`, and beside it `<id>.wish.json`, `<id>.cancelled.json`,
// `<id>.progress.json`.
import { EvokeError } from '../core/errors.ts';
import { everyObject } from './listing.ts';
import type { ObjectInfo, Store } from './store.ts';

const batchesPrefix = 'batches/';
const id = /^\d{8}T\d{9}-[0-9a-f]{8}$/;
const record = /^batches\/(\d{8}T\d{9}-[0-9a-f]{8})(?:\.(?:wish|cancelled|progress))?\.json$/;

export function isBatchId(text: string): boolean {
  return id.test(text);
}

/** @throws EvokeError BATCH_NOT_FOUND for what is no id */
export function batchName(batchId: string, part?: 'wish' | 'cancelled' | 'progress'): string {
  if (!isBatchId(batchId)) throw new EvokeError('BATCH_NOT_FOUND', { detail: 'This is not the id of a batch.' });
  return `${batchesPrefix}${batchId}${part === undefined ? '' : `.${part}`}.json`;
}

/** The batch that an object is a record of. */
export function idAmong(name: string): string | undefined {
  return record.exec(name)?.[1];
}

/** Every object among the batches, in the order of their ids, from a text that ids may begin with. */
export function listBatchNames(store: Pick<Store, 'list'>, from = ''): AsyncGenerator<ObjectInfo> {
  return everyObject(store, batchesPrefix, batchesPrefix + from);
}
