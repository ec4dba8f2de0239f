// What the tests of the generators share: makers from a declaration, columns cut and compared, sample moments.
import { expect } from 'vitest';
import type { ColumnArray, EventColumns } from '../../core/columns.ts';
import type { Derivation, JsonObject } from '../../core/derivation.ts';
import { derivationId } from '../../core/derivation.ts';
import type { EventCost, EventMaker, Generator } from '../../generators/generator.ts';
import { minbias } from '../../generators/minbias.ts';
import { philoxOf } from '../../generators/philox.ts';

/** What generators that read an input are given here: few particles, in all of the tracker. */
const inputGiven = { mean: 2 };

/** Parameters that make a generator quick where it is not so by default. */
export const quick: Readonly<Record<string, object>> = { detsim: { detail: 0.01 } };

export function derivationOf(generator: Generator, given: object = {}, seed = 1): Derivation {
  return {
    generator: generator.name,
    version: generator.version,
    parameters: generator.parameters.parse(given),
    seed,
    ...(generator.input === 'none' ? {} : { input: derivationId(derivationOf(minbias, inputGiven, seed)) }),
  };
}

/** A maker as a worker prepares it: parameters with their defaults, random numbers keyed by the derivation, an input made along. */
export function makerOf(generator: Generator, given: object = {}, seed = 1): EventMaker {
  const derivation = derivationOf(generator, given, seed);
  const parameters: JsonObject = generator.parameters.parse(given);
  const maker = generator.prepare(parameters, philoxOf(derivationId(derivation)));
  if (generator.input === 'none') return maker;
  const input = makerOf(minbias, inputGiven, seed);
  return { make: (range) => maker.make(range, input.make(range)) };
}

/** What it says that an event of `makerOf` costs, beside the input. */
export function costOf(generator: Generator, given: object = {}): EventCost {
  const input = generator.input === 'none' ? undefined : costOf(minbias, inputGiven);
  return generator.cost(generator.parameters.parse(given), input);
}

/** A column as numbers (event numbers in the tests are safe integers). */
export function column(events: EventColumns, name: string): ArrayLike<number> {
  const values = events.values[name];
  if (values === undefined) throw new Error(`no column ${name}`);
  return values instanceof BigUint64Array ? Array.from(values, Number) : values;
}

const kinematics = ['px', 'py', 'pz', 'E', 'pt', 'eta', 'phi', 'mass'] as const;

/** The kinematic columns by their short names. */
export function kinematicsOf(events: EventColumns): Record<(typeof kinematics)[number], Float32Array | Float64Array> {
  const entries = kinematics.map((name) => [name, events.values[`GenPart_${name}`]]);
  return Object.fromEntries(entries);
}

/** Events [from, to) of columns, counted from their first, with offsets that start at 0 again. */
export function slice(generator: Generator, events: EventColumns, from: number, to: number): EventColumns {
  const values: Record<string, EventColumns['values'][string]> = {};
  for (const { name, countedBy } of generator.columns) {
    const offsets = countedBy === undefined ? undefined : events.offsets[countedBy];
    const all = events.values[name];
    if (all === undefined) throw new Error(`no column ${name}`);
    values[name] = all.slice(offsets?.[from] ?? from, offsets?.[to] ?? to);
  }
  const offsets = Object.fromEntries(
    Object.entries(events.offsets).map(([name, all]) => {
      const base = all[from] ?? 0;
      return [name, all.slice(from, to + 1).map((offset) => offset - base)];
    }),
  );
  return { events: to - from, values, offsets };
}

/** Bit for bit: a float's bytes are compared, not its value. */
export function expectSameBits(actual: EventColumns, expected: EventColumns): void {
  expect(actual.events).toBe(expected.events);
  for (const part of ['values', 'offsets'] as const) {
    expect(Object.keys(actual[part])).toEqual(Object.keys(expected[part]));
    for (const [name, array] of Object.entries(actual[part])) {
      const other: ColumnArray | undefined = expected[part][name];
      expect(array.constructor).toBe(other?.constructor);
      if (other === undefined || !bytes(array).equals(bytes(other))) {
        // Slow, but says which value.
        expect([...array], name).toEqual([...(other ?? [])]);
        throw new Error(`${name} differs in bits that are equal as values`);
      }
    }
  }
}

export function bytes(array: ArrayBufferView): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}

/**
 * How far statistical checks may miss, in standard deviations. Seeds are fixed, so a check passes always or never; a
 * correct generator would fail one of them with a chance of 6·10⁻⁵ when its bits are drawn anew (a new version).
 */
export const sigmasMax = 4;

/** Holds the sample's mean against the expected one, with the standard error of the sample itself. */
export function expectMean(values: ArrayLike<number>, expected: number, what: string): void {
  const { mean, variance } = moments(values);
  const standardError = Math.sqrt(variance / values.length);
  expect(
    Math.abs(mean - expected) / standardError,
    `${what}: ${mean} ± ${standardError}, expected ${expected}`,
  ).toBeLessThan(sigmasMax);
}

/** Holds a count of successes against a probability, with the binomial error. */
export function expectShare(count: number, total: number, probability: number, what: string): void {
  const deviation = Math.abs(count - total * probability) / Math.sqrt(total * probability * (1 - probability));
  expect(deviation, `${what}: ${count / total}, expected ${probability}`).toBeLessThan(sigmasMax);
}

/**
 * χ² of counts against expected counts, which sum to the same: within 5.5 standard deviations of its mean above
 * (chance about 10⁻⁵ at some 50 bins) and 4 below (counts too good to be random are wrong, too).
 */
export function expectDistribution(counts: readonly number[], expected: readonly number[], what: string): void {
  const freedom = counts.length - 1;
  const chi2 = counts.reduce((sum, count, i) => sum + (count - (expected[i] ?? 0)) ** 2 / (expected[i] ?? 0), 0);
  const deviation = (chi2 - freedom) / Math.sqrt(2 * freedom);
  expect(deviation, `${what}: chi2 ${chi2} of ${freedom}`).toBeLessThan(5.5);
  expect(deviation, `${what}: chi2 ${chi2} of ${freedom}`).toBeGreaterThan(-4);
}

/** Counts of values in equal bins of [low, high]; the ends belong to the outer bins. */
export function histogram(values: ArrayLike<number>, bins: number, low: number, high: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  for (let i = 0; i < values.length; i++) {
    const bin = Math.floor((((values[i] ?? 0) - low) / (high - low)) * bins);
    const clipped = Math.min(bins - 1, Math.max(0, bin));
    counts[clipped] = (counts[clipped] ?? 0) + 1;
  }
  return counts;
}

export function moments(values: ArrayLike<number>): { mean: number; variance: number } {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ?? 0;
  const mean = sum / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += ((values[i] ?? 0) - mean) ** 2;
  return { mean, variance: squares / (values.length - 1) };
}
