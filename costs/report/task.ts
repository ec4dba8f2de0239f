// What crosses between an api process and its thread that reckons reports: plain data.
import type { ErrorCode, ErrorDetails } from '../../core/errors.ts';
import type { StoreLocation } from '../../core/store-location.ts';
import type { Prices } from '../prices.ts';
import type { ReportForms } from './forms.ts';
import type { CostQuery } from './report.ts';

/** For as long as the thread lives. */
export interface ReportThreadSetup {
  readonly store: StoreLocation;
  readonly prices: Prices;
}

export type ReportTask = CostQuery;

export type ReportResult = (ReportDone | ReportRefused) & {
  /** Segments that could not be read, with the reason: some of them when there are very many. */
  readonly damaged: readonly object[];
};

interface ReportDone {
  readonly state: 'done';
  readonly forms: ReportForms;
}

/** An EvokeError, whose class does not cross. */
interface ReportRefused {
  readonly state: 'refused';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
}
