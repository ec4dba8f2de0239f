// A cost report as JSON: numbers, each the nearest to the exact figure.
import type { WasteCause } from '../../core/ledger.ts';
import type { Prices } from '../prices.ts';
import type { Bill } from './bill.ts';
import { costsOf, decimal, figuresOf } from './figures.ts';
import { type CostReport, eachWorld, type World } from './report.ts';

const wasteCauses: readonly WasteCause[] = ['cancelled', 'failed', 'crashed', 'duplicate', 'unstored'];

export function reportJson(report: CostReport): object {
  const { fromMs, toMs, by, dataset, prices, rows, total, assumptions, unreadableSegments } = report;
  return {
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    by,
    ...(dataset === undefined ? {} : { dataset }),
    currency: prices.currency,
    rows: rows.map(({ key, ...bills }) => ({ key, ...worldsJson(bills, prices) })),
    total: worldsJson(total, prices),
    assumptions,
    unreadableSegments,
  };
}

function worldsJson(bills: Readonly<Record<World, Bill>>, prices: Prices): object {
  const shown = eachWorld((world) => ({
    ...numbers(figuresOf(bills[world], prices)),
    costs: numbers(costsOf(bills[world])),
  }));
  return { ...shown, actual: { ...shown.actual, ...workOf(bills.actual) } };
}

/** Of the CPU seconds, those that came to nothing, and those for batches. */
function workOf({ quantities }: Bill): object {
  const waste = wasteCauses.map((cause) => [cause, quantities[`${cause}Micros`]] as const);
  return {
    waste: {
      cpuSeconds: seconds(waste.reduce((sum, [, micros]) => sum + micros, 0n)),
      byCause: Object.fromEntries(waste.map(([cause, micros]) => [cause, seconds(micros)])),
    },
    batchCpuSeconds: seconds(quantities.batchMicros),
  };
}

function seconds(micros: bigint): number {
  return Number(decimal(micros, 6));
}

function numbers<K extends string>(decimals: Readonly<Record<K, string>>): Record<K, number> {
  return Object.fromEntries(Object.entries<string>(decimals).map(([key, text]) => [key, Number(text)])) as Record<
    K,
    number
  >;
}
