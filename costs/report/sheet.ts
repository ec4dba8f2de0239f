// Where quantities are entered: one sheet for each world, one meter for each owner (dataset and generator) and, in a report
// by day, each day (UTC). Sheets know who is asked about; the quantities of others are dropped.
import { EvokeError } from '../../core/errors.ts';
import { type Meter, newMeter } from './quantities.ts';

export const msPerDay = 86_400_000;

/** For whom something was made, kept or read: what money is booked for. */
export interface Owner {
  readonly dataset: string;
  readonly generator: string;
}

/** The number of everybody whom the report is not about. */
export const others = -1;

/** Small numbers for owners. */
export class Owners {
  readonly #only: string | undefined;
  readonly #numbers = new Map<string, Map<string, number>>();
  readonly #owners: Owner[] = [];

  /** With `only`, what belongs to other datasets is left out. */
  constructor(only: string | undefined) {
    this.#only = only;
  }

  numberOf({ dataset, generator }: Owner): number {
    if (this.#only !== undefined && dataset !== this.#only) return others;
    let byGenerator = this.#numbers.get(dataset);
    if (byGenerator === undefined) {
      byGenerator = new Map();
      this.#numbers.set(dataset, byGenerator);
    }
    let number = byGenerator.get(generator);
    if (number === undefined) {
      number = this.#owners.push({ dataset, generator }) - 1;
      byGenerator.set(generator, number);
    }
    return number;
  }

  get(number: number): Owner {
    return this.#owners[number] as Owner;
  }
}

/** Meters of one sheet: with those of the other sheets some 150 MB. */
const metersMax = 50_000;

interface OwnerPages {
  /** By day; of a sheet without days, the only one is 0. */
  readonly meters: Map<number, Meter>;
  /** By how much the bytes kept for whole days change at the beginning of a day. */
  readonly wholeDays: Map<number, bigint>;
}

export class Sheet {
  readonly #byDay: boolean;
  readonly #pages = new Map<number, OwnerPages>();
  readonly #left = newMeter();
  #meters = 0;

  constructor(byDay: boolean) {
    this.#byDay = byDay;
  }

  /** @throws EvokeError MALFORMED_REQUEST when that would be too many. */
  meter(owner: number, atMs: number): Meter {
    return this.#meter(owner, this.#byDay ? Math.floor(atMs / msPerDay) : 0);
  }

  /** Bytes that were kept from one time to another: split where days begin, at a cost that does not depend on how many. */
  keep(owner: number, bytes: number, fromMs: number, toMs: number): void {
    if (owner === others || toMs <= fromMs) return;
    const [first, last] = this.#byDay ? [Math.floor(fromMs / msPerDay), Math.floor(toMs / msPerDay)] : [0, 0];
    if (first === last) {
      this.#meter(owner, first).byteMs.addProduct(bytes, toMs - fromMs);
      return;
    }
    this.#meter(owner, first).byteMs.addProduct(bytes, (first + 1) * msPerDay - fromMs);
    const rest = toMs - last * msPerDay;
    if (rest > 0) this.#meter(owner, last).byteMs.addProduct(bytes, rest);
    const { wholeDays } = this.#page(owner);
    wholeDays.set(first + 1, (wholeDays.get(first + 1) ?? 0n) + BigInt(bytes));
    wholeDays.set(last, (wholeDays.get(last) ?? 0n) - BigInt(bytes));
  }

  /** Every owner's meters in the order of days, when all is entered. */
  *owners(): Generator<{ owner: number; days: readonly (readonly [day: number, meter: Meter])[] }> {
    for (const [owner, { meters, wholeDays }] of this.#pages) {
      this.#enterWholeDays(owner, wholeDays);
      yield { owner, days: [...meters].sort(([a], [b]) => a - b) };
    }
  }

  #enterWholeDays(owner: number, changes: Map<number, bigint>): void {
    let bytes = 0n;
    let day = 0;
    for (const [from, change] of [...changes].sort(([a], [b]) => a - b)) {
      for (; bytes > 0n && day < from; day++) this.#meter(owner, day).byteMs.addLarge(bytes * BigInt(msPerDay));
      bytes += change;
      day = from;
    }
    changes.clear();
  }

  #meter(owner: number, day: number): Meter {
    if (owner === others) return this.#left;
    const { meters } = this.#page(owner);
    let meter = meters.get(day);
    if (meter === undefined) {
      if (this.#meters === metersMax) throw tooLong();
      meter = newMeter();
      meters.set(day, meter);
      this.#meters++;
    }
    return meter;
  }

  #page(owner: number): OwnerPages {
    let page = this.#pages.get(owner);
    if (page === undefined) {
      page = { meters: new Map(), wholeDays: new Map() };
      this.#pages.set(owner, page);
    }
    return page;
  }
}

function tooLong(): EvokeError {
  return new EvokeError('MALFORMED_REQUEST', {
    detail: `The report would have more than ${metersMax} figures to add up: a line for every dataset and day.`,
    hint: 'Ask for a shorter time or for one dataset, or not by day.',
  });
}
