// A bill's figures as they are shown: decimal numbers with a fixed number of places, made of whole numbers and rounded (a half
// up) nowhere else. JSON has the nearest double of each, CSV the digits.

import { type Prices, toNano } from '../prices.ts';
import { dividedHalfUp } from '../tariff.ts';
import { type Bill, type CostPart, costParts } from './bill.ts';

/** A decimal number, plainly written: `0.012`. */
export type Decimal = string;

const joulesPerKwh = 3_600_000n;
const nano = 1_000_000_000n;

/** What a report says of one row in one world. */
export interface Figures {
  readonly cpuSeconds: Decimal;
  readonly byteSeconds: Decimal;
  readonly bytesServed: Decimal;
  /** 0 where nothing was asked for. */
  readonly hitRatio: Decimal;
  readonly energyKwh: Decimal;
  readonly gramsCo2e: Decimal;
  readonly cost: Decimal;
  readonly accesses: Decimal;
  readonly hits: Decimal;
  readonly waitSeconds: Decimal;
  readonly requests: Decimal;
}

/** Energy and carbon are those of the CPU: seconds × watts / 3600 / 1000, times grams per kWh, as PanDA reckons them. */
export function figuresOf({ quantities: q, cost }: Bill, prices: Prices): Figures {
  const watts = toNano(prices.wattsPerCore);
  const grams = toNano(prices.gramsCo2PerKwh);
  // A CPU microsecond at a nano-watt is 1e-15 joules.
  const energy = q.cpuMicros * watts;
  return {
    cpuSeconds: decimal(q.cpuMicros, 6),
    byteSeconds: decimal(q.byteMs, 3),
    bytesServed: decimal(q.bytesServed, 0),
    hitRatio: q.accesses === 0n ? '0' : decimal(dividedHalfUp(q.hits * nano, q.accesses), 9),
    energyKwh: decimal(dividedHalfUp(energy, joulesPerKwh * 1_000_000n), 9),
    gramsCo2e: decimal(dividedHalfUp(energy * grams, joulesPerKwh * 1_000_000n * nano), 9),
    cost: decimal(cost, 9),
    accesses: decimal(q.accesses, 0),
    hits: decimal(q.hits, 0),
    waitSeconds: decimal(q.waitMicros, 6),
    requests: decimal(q.requests, 0),
  };
}

export function costsOf({ costs }: Bill): Readonly<Record<CostPart, Decimal>> {
  return Object.fromEntries(costParts.map((part) => [part, decimal(costs[part], 9)])) as Record<CostPart, Decimal>;
}

/** So many steps of 10^-places, without zeros at the end. */
export function decimal(steps: bigint, places: number): Decimal {
  const digits = String(steps).padStart(places + 1, '0');
  const whole = digits.slice(0, digits.length - places);
  const fraction = digits.slice(digits.length - places).replace(/0+$/, '');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
