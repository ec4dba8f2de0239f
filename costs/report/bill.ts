// From sheets to bills: quantities become money, rows add up, and nothing is lost on the way. Money is rounded only at the
// balance of each owner's account, so that rows add up to the total to the nano-unit, by whatever the report is.
import type { Nano } from '../prices.ts';
import { Account, type Tariff } from '../tariff.ts';
import { eachQuantity, type Quantities, quantities } from './quantities.ts';
import { msPerDay, type Owner, type Owners, type Sheet } from './sheet.ts';

/** What a report has a row for. */
export type By = 'dataset' | 'day' | 'generator';

/** In the order in which they are booked. */
export const costParts = ['cpu', 'waiting', 'storage', 'requests', 'egress'] as const;
export type CostPart = (typeof costParts)[number];

export interface Bill {
  readonly quantities: Quantities;
  readonly costs: Readonly<Record<CostPart, Nano>>;
  /** The sum of `costs`. */
  readonly cost: Nano;
}

/** The exact price of each part, in the order of `costParts`. */
function pricesOf(taken: Quantities, tariff: Tariff): readonly bigint[] {
  return [
    taken.cpuMicros * tariff.cpuMicro,
    taken.waitMicros * tariff.waitMicro,
    taken.byteMs * tariff.byteMs,
    taken.requests * tariff.request,
    taken.bytesServed * tariff.byteServed,
  ];
}

/**
 * The bill of each row of a sheet, by the row's key. An account for every owner: its days one after the other, and of each day
 * the parts in their order, are booked on it; what the rounded balance grows by is what each of them costs.
 */
export function billsOf(sheet: Sheet, owners: Owners, by: By, tariff: Tariff): Map<string, Bill> {
  const rows = new Map<string, Bill>();
  for (const { owner, days } of sheet.owners()) {
    const account = new Account();
    for (const [day, meter] of days) {
      const key = keyOf(by, owners.get(owner), day);
      const taken = eachQuantity((quantity) => meter[quantity].value);
      const booked = pricesOf(taken, tariff).map((parts) => account.book(parts));
      const costs = Object.fromEntries(costParts.map((part, i) => [part, booked[i]])) as Bill['costs'];
      const bill = { quantities: taken, costs, cost: booked.reduce((sum, cost) => sum + cost, 0n) };
      rows.set(key, sumOfBills([rows.get(key) ?? emptyBill, bill]));
    }
  }
  return rows;
}

export const emptyBill: Bill = {
  quantities: eachQuantity(() => 0n),
  costs: { cpu: 0n, waiting: 0n, storage: 0n, requests: 0n, egress: 0n },
  cost: 0n,
};

export function isEmpty(bill: Bill): boolean {
  return quantities.every((quantity) => bill.quantities[quantity] === 0n);
}

export function sumOfBills(bills: Iterable<Bill>): Bill {
  const sums = { ...emptyBill.quantities } as Record<(typeof quantities)[number], bigint>;
  const costs = { ...emptyBill.costs } as Record<CostPart, Nano>;
  let cost = 0n;
  for (const bill of bills) {
    for (const quantity of quantities) sums[quantity] += bill.quantities[quantity];
    for (const part of costParts) costs[part] += bill.costs[part];
    cost += bill.cost;
  }
  return { quantities: sums, costs, cost };
}

function keyOf(by: By, owner: Owner, day: number): string {
  return by === 'day' ? new Date(day * msPerDay).toISOString().slice(0, -'T00:00:00.000Z'.length) : owner[by];
}
