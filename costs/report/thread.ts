// Entry of the thread that reckons reports: it opens the store by itself, and hands over bytes.
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import { EvokeError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { type OpenedStore, openStore } from '../../store/open-store.ts';
import { readLedger } from '../ledger/reader.ts';
import { formsOf } from './forms.ts';
import { costReport } from './report.ts';
import type { ReportResult, ReportTask, ReportThreadSetup } from './task.ts';

/** Told to the log of the process. */
const damagedMax = 100;

const { store: location, prices } = workerData as ReportThreadSetup;
let opened: Promise<OpenedStore> | undefined;

export default async function run(query: ReportTask): Promise<unknown> {
  // A report reads twice, and finds the same.
  const damaged = new Map<string, object>();
  const warn = (fields: object) => {
    if (damaged.size < damagedMax) damaged.set(JSON.stringify(fields), fields);
  };
  const log = { ...silentLog, warn };
  try {
    const { store } = await open();
    const report = await costReport({ ...query, read: (span) => readLedger(store, { ...span, log }), prices });
    const forms = formsOf(report);
    const result: ReportResult = { state: 'done', forms, damaged: [...damaged.values()] };
    return move({ [transferableSymbol]: [forms.json.buffer, forms.csv.buffer], [valueSymbol]: result });
  } catch (error) {
    if (!(error instanceof EvokeError)) throw error;
    const { code, details } = error;
    return { state: 'refused', code, details, damaged: [...damaged.values()] } satisfies ReportResult;
  }
}

/** Once; a store that cannot be opened is tried again with the next report. */
async function open(): Promise<OpenedStore> {
  opened ??= openStore(location);
  try {
    return await opened;
  } catch (error) {
    opened = undefined;
    throw error;
  }
}
