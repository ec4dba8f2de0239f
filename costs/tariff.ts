// Exact money: prices of single microseconds, byte-milliseconds, bytes and requests in parts of a nano-unit so small that
// each of them is a whole number of parts. Nothing is rounded before an account is, and an account only at its balance.
import { type Nano, type Prices, toNano } from './prices.ts';

/** Money in parts of a nano-unit. */
export type Parts = bigint;

const microsPerHour = 3_600_000_000n;
const bytesPerTb = 1_000_000_000_000n;
const msPerYear = 365n * 86_400_000n;
const bytesPerGb = 1_000_000_000n;
const nano = 1_000_000_000n;

/**
 * How many parts a nano-unit has: the product of a year's milliseconds, a terabyte's bytes and the 1e9 steps that the number
 * of copies is taken to. An hour's microseconds, 1000 requests and a gigabyte's bytes divide it.
 */
const partsPerNano: Parts = bytesPerTb * msPerYear * nano;

/** What one of each costs. */
export interface Tariff {
  readonly cpuMicro: Parts;
  readonly waitMicro: Parts;
  /** One byte for one millisecond, all copies together. */
  readonly byteMs: Parts;
  readonly request: Parts;
  readonly byteServed: Parts;
}

/** Every price is first taken to its nearest nano-unit, and the number of copies to the nearest 1e-9. */
export function tariffOf(prices: Prices): Tariff {
  return {
    cpuMicro: (toNano(prices.cpuCoreHour) * partsPerNano) / microsPerHour,
    waitMicro: (toNano(prices.waitHour) * partsPerNano) / microsPerHour,
    byteMs: toNano(prices.storageTbYear) * toNano(prices.replicas),
    request: (toNano(prices.requestPer1000) * partsPerNano) / 1000n,
    byteServed: (toNano(prices.egressGb) * partsPerNano) / bytesPerGb,
  };
}

/** What is booked adds up to the exact sum, rounded to the nearest nano-unit (a half: up) at each balance. */
export class Account {
  #parts: Parts = 0n;
  #balance: Nano = 0n;

  /** By how much the rounded balance grows with this. */
  book(parts: Parts): Nano {
    const before = this.#balance;
    this.#parts += parts;
    this.#balance = dividedHalfUp(this.#parts, partsPerNano);
    return this.#balance - before;
  }
}

/** The nearest whole quotient of two numbers that are not negative; a half goes up. */
export function dividedHalfUp(dividend: bigint, divisor: bigint): bigint {
  return (2n * dividend + divisor) / (2n * divisor);
}
