// What lies where: every name that the service gives to an object of its store, and what is expected under it. What has
// another name was put there by somebody else, or by a later version.
import { z } from 'zod';
import type { ChunkRef } from '../core/chunk.ts';
import type { DatasetName } from '../core/dataset.ts';
import { EvokeError } from '../core/errors.ts';
import { batchName, idAmong } from './batch-names.ts';
import { chunkOfName } from './chunk-names.ts';
import {
  batchRecord,
  capacityRecord,
  datasetRecord,
  pinRecord,
  progressRecord,
  readRecord,
  storeRecord,
  wishRecord,
} from './records.ts';
import { endRecord, requestRecord } from './requests.ts';
import type { Store } from './store.ts';

export type Place =
  | { readonly kind: 'chunk'; readonly chunk: ChunkRef }
  /** `problem` reads it: undefined when it is as it should be, or gone meanwhile. */
  | { readonly kind: 'record'; readonly isProgress: boolean; problem(store: Store): Promise<string | undefined> }
  /** Lists of lines, tables, kept evidence: nothing that has to read as a whole. */
  | { readonly kind: 'digests' | 'ledger' | 'quarantine' };

const reconciledRecord = z.looseObject({ until: z.iso.datetime() });
const retiredRecord: z.ZodType<DatasetName> = z.looseObject({ scope: z.string(), name: z.string() });

const digests = /^digests\/[0-9a-f]{64}\/[1-9]\d{0,15}\/\d{16}-\d{16}\.ndjson$/;
const ledger = /^ledger\/\d{4}-\d{2}-\d{2}\/\d{2}-[A-Za-z0-9_.-]+\.parquet$/;
const quarantined = /^quarantine\/[^/]+$/;
const ofDataset = /^(datasets|retired|pins)\/[^/]+\/[^/]+\.json$/;
const ofRequest = /^requests\/[0-9a-f-]{36}(\.end)?\.json$/;

/** Undefined for a name that is none of the service's. */
export function placeOf(name: string): Place | undefined {
  const chunk = chunkOfName(name);
  if (chunk !== undefined) return { kind: 'chunk', chunk };
  if (digests.test(name)) return { kind: 'digests' };
  if (ledger.test(name)) return { kind: 'ledger' };
  if (quarantined.test(name)) return { kind: 'quarantine' };
  if (name === 'ledger/reconciled.json') return record(name, reconciledRecord);
  if (name === 'store.json') return record(name, storeRecord);
  if (name === 'capacity.json') return record(name, capacityRecord);
  return recordOfDataset(name) ?? recordOfBatch(name) ?? recordOfRequest(name);
}

function recordOfDataset(name: string): Place | undefined {
  const folder = ofDataset.exec(name)?.[1];
  const own = ({ scope, name: last }: DatasetName) => `${folder}/${scope}/${last}.json`;
  if (folder === 'datasets') return record(name, datasetRecord, own);
  if (folder === 'pins') return record(name, pinRecord, own);
  return folder === 'retired' ? record(name, retiredRecord, own) : undefined;
}

function recordOfBatch(name: string): Place | undefined {
  const id = idAmong(name);
  if (id === undefined) return undefined;
  if (name === batchName(id, 'wish') || name === batchName(id, 'cancelled')) return record(name, wishRecord);
  if (name === batchName(id, 'progress')) return record(name, progressRecord);
  return record(name, batchRecord, (batch) => batchName(batch.id));
}

function recordOfRequest(name: string): Place | undefined {
  const match = ofRequest.exec(name);
  if (match === null) return undefined;
  if (match[1] !== undefined) return record(name, endRecord);
  return record(name, requestRecord, ({ id }) => `requests/${id}.json`);
}

/** `own`: the name that its content says it has. */
function record<T>(name: string, shape: z.ZodType<T>, own: (value: T) => string = () => name): Place {
  return {
    kind: 'record',
    isProgress: name.endsWith('.progress.json'),
    async problem(store) {
      try {
        const value = await readRecord(store, name, shape);
        if (value === undefined) return undefined;
        const named = nameSaid(() => own(value));
        return named === name ? undefined : `The record is the one of ${named ?? 'something else'}.`;
      } catch (error) {
        if (error instanceof EvokeError && error.details['record'] !== undefined) {
          return error.message.replace(`The record ${name} is`, 'The record is');
        }
        throw error;
      }
    },
  };
}

/** What a record says may be no name at all. */
function nameSaid(own: () => string): string | undefined {
  try {
    return own();
  } catch {
    return undefined;
  }
}
