// What evoke report cost prints: a table with the four bills side by side, and what it says in words.
import { type CostReportShown, costQuery, costReportShown } from '../api/report-schemas.ts';
import { reportMsMax } from '../client/http.ts';
import { request } from '../client/request.ts';
import { type ClientOptions, clientOf, UsageError } from './command.ts';
import { printJson, printLine, table } from './output.ts';
import { amount, sentences } from './report-words.ts';

type Worlds = CostReportShown['total'];

export interface CostOptions extends ClientOptions {
  readonly from?: string;
  readonly to?: string;
  readonly by?: string;
  readonly dataset?: string;
  readonly csv?: boolean;
}

const secondsPerHour = 3600;
const byteSecondsPerGbDay = 1e9 * 86_400;

export async function printCost(options: CostOptions): Promise<void> {
  const { from, to, by, dataset, csv, json } = options;
  if (csv && json) throw new UsageError('--csv and --json: one of them.');
  const query = defined({ from, to, by, dataset });
  const checked = costQuery.safeParse(query);
  if (!checked.success) {
    throw new UsageError(checked.error.issues.map(({ path, message }) => `--${path.join('.')} ${message}.`).join(' '));
  }
  const response = await request(`${clientOf(options).server}/v1/reports/cost?${new URLSearchParams(query)}`, {
    headers: { Accept: csv ? 'text/csv' : 'application/json' },
    signal: AbortSignal.timeout(reportMsMax),
  });
  if (csv) {
    process.stdout.write(await response.text());
    return;
  }
  const report: unknown = await response.json();
  if (json) return printJson(report);
  const read = costReportShown.safeParse(report);
  if (!read.success) throw new Error('The answer of the service is no cost report.');
  printLine(readable(read.data));
}

function defined(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** A table of the rows and their total, and what it says in words. */
export function readable(report: CostReportShown): string {
  const { from, to, by, currency, rows, total } = report;
  const [head = [], ...lines] = rightAligned([
    [by.toUpperCase(), ...columns, `COST ${currency}`, 'NEVER KEPT', 'ALWAYS KEPT', 'OPTIMUM'],
    ...rows.map((row) => [row.key === '' ? '(unknown)' : row.key, ...figures(row)]),
    ['total', ...figures(total)],
  ]);
  return [`${from} to ${to}`, '', table(head, lines), '', ...sentences(report)].join('\n');
}

const columns = ['CPU HOURS', 'WASTED', 'GB DAYS', 'GB SERVED', 'HITS', 'KWH', 'KG CO2E'];

function figures({ actual, never, always, optimum }: Worlds): string[] {
  return [
    amount(actual.cpuSeconds / secondsPerHour),
    amount(actual.waste.cpuSeconds / secondsPerHour),
    amount(actual.byteSeconds / byteSecondsPerGbDay),
    amount(actual.bytesServed / 1e9),
    actual.accesses === 0 ? '' : `${(100 * actual.hitRatio).toFixed(1)} %`,
    amount(actual.energyKwh),
    amount(actual.gramsCo2e / 1000),
    ...[actual, never, always, optimum].map((world) => amount(world.cost)),
  ];
}

/** All but the first column. */
function rightAligned(lines: readonly (readonly string[])[]): string[][] {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines.map((line) => line.map((text, column) => (column === 0 ? text : text.padStart(widths[column] ?? 0))));
}
