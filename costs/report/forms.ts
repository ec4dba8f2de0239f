// A report in all its forms, as bytes: what is remembered and sent, and crosses from the thread that reckons without a copy.

import { reportCsv } from './csv.ts';
import { reportJson } from './json.ts';
import type { CostReport } from './report.ts';

export interface ReportForms {
  readonly json: Uint8Array<ArrayBuffer>;
  readonly csv: Uint8Array<ArrayBuffer>;
}

export function formsOf(report: CostReport): ReportForms {
  const utf8 = new TextEncoder();
  return { json: utf8.encode(JSON.stringify(reportJson(report))), csv: utf8.encode(reportCsv(report)) };
}
