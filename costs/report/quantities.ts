// What something took, in whole numbers: sums that stay exact, quickly while they are small.

/** A sum of whole numbers that are not negative, exact however large it grows. */
export class ExactSum {
  #small = 0;
  #large = 0n;

  /** A safe integer. */
  add(value: number): void {
    const sum = this.#small + value;
    if (sum <= Number.MAX_SAFE_INTEGER) {
      this.#small = sum;
    } else {
      this.#large += BigInt(this.#small);
      this.#small = value;
    }
  }

  /** The product of two safe integers, which need not be one. */
  addProduct(a: number, b: number): void {
    const product = a * b;
    // A product above the safe integers is never rounded to below them.
    if (product <= Number.MAX_SAFE_INTEGER) this.add(product);
    else this.#large += BigInt(a) * BigInt(b);
  }

  addLarge(value: bigint): void {
    this.#large += value;
  }

  get value(): bigint {
    return this.#large + BigInt(this.#small);
  }
}

export const quantities = [
  'cpuMicros',
  'waitMicros',
  /** Bytes kept, times the milliseconds for which they were; one copy. */
  'byteMs',
  /** To the store: a chunk written or read is one. */
  'requests',
  'bytesServed',
  'accesses',
  /** Accesses that found the bytes made. */
  'hits',
  /** Of the CPU: for batches; and what came to nothing, by cause. */
  'batchMicros',
  'cancelledMicros',
  'failedMicros',
  'crashedMicros',
  'duplicateMicros',
  'unstoredMicros',
] as const;

export type Quantity = (typeof quantities)[number];

export type Quantities = Readonly<Record<Quantity, bigint>>;

/** Quantities as they add up. */
export type Meter = Readonly<Record<Quantity, ExactSum>>;

export function newMeter(): Meter {
  return eachQuantity(() => new ExactSum());
}

export function eachQuantity<T>(of: (quantity: Quantity) => T): Readonly<Record<Quantity, T>> {
  return Object.fromEntries(quantities.map((quantity) => [quantity, of(quantity)])) as Record<Quantity, T>;
}
