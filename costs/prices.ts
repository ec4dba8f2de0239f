// What computing, waiting, keeping and sending cost. Amounts are whole nano-units of the currency (1e-9) in bigints, so
// that sums are exact however many rows they have; only what is shown becomes a number of currency units again.

/** The prices of the configuration; a config fits as it is. */
export interface Prices {
  /** Currency per hour of one core. */
  readonly cpuCoreHour: number;
  /** Currency per hour that somebody waits. */
  readonly waitHour: number;
  /** Currency per TB (1e12 bytes) kept for a year of 365 days. */
  readonly storageTbYear: number;
  /** How many copies of its bytes the store keeps, each paid for; need not be whole. */
  readonly replicas: number;
  /** Currency per 1000 requests to the store. */
  readonly requestPer1000: number;
  /** Currency per GB (1e9 bytes) sent. */
  readonly egressGb: number;
  /** ISO 4217 code. */
  readonly currency: string;
  /** Watts of a busy core. */
  readonly wattsPerCore: number;
  /** Grams of carbon dioxide per kWh of its electricity. */
  readonly gramsCo2PerKwh: number;
}

/** Nano-units of the currency. */
export type Nano = bigint;

const nanoPerUnit = 1e9;
const secondsPerHour = 3600;
const bytesPerGb = 1e9;

/** The nearest whole nano-unit of an amount in currency units. @throws RangeError for what is not finite. */
export function toNano(amount: number): Nano {
  return BigInt(Math.round(amount * nanoPerUnit));
}

/** Currency units, for people and JSON: exact to a nano-unit up to nine million units, to 16 digits beyond. */
export function fromNano(nano: Nano): number {
  return Number(nano) / nanoPerUnit;
}

/** An estimate's CPU; what was measured is reckoned in costs/tariff.ts. */
export function cpuCost(prices: Pick<Prices, 'cpuCoreHour'>, cpuSeconds: number): Nano {
  return toNano((cpuSeconds * prices.cpuCoreHour) / secondsPerHour);
}

export function waitingCost(prices: Pick<Prices, 'waitHour'>, seconds: number): Nano {
  return toNano((seconds * prices.waitHour) / secondsPerHour);
}

export function egressCost(prices: Pick<Prices, 'egressGb'>, bytes: number): Nano {
  return toNano((bytes * prices.egressGb) / bytesPerGb);
}
