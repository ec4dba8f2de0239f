// A cost report as CSV (RFC 4180): a header, then a line for every row and world. There is no line for the total: it is the sum
// of a world's lines, and whoever adds up a column should not find it twice.

import type { Prices } from '../prices.ts';
import { type Bill, type By, emptyBill } from './bill.ts';
import { costsOf, figuresOf } from './figures.ts';
import { type CostReport, type World, worlds } from './report.ts';

/** The first column is named after what the report is by. */
export function reportCsv({ by, rows, prices }: CostReport): string {
  const header = Object.keys(fieldsOf(by, '', 'actual', emptyBill, prices));
  const lines = rows.flatMap((row) =>
    worlds.map((world) => Object.values(fieldsOf(by, row.key, world, row[world], prices))),
  );
  return [header, ...lines].map((fields) => `${fields.map(quoted).join(',')}\r\n`).join('');
}

function fieldsOf(by: By, key: string, world: World, bill: Bill, prices: Prices): Readonly<Record<string, string>> {
  const { cpu, waiting, storage, requests, egress } = costsOf(bill);
  return {
    [by]: key,
    world,
    ...figuresOf(bill, prices),
    cpuCost: cpu,
    waitingCost: waiting,
    storageCost: storage,
    requestsCost: requests,
    egressCost: egress,
    currency: prices.currency,
  };
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
