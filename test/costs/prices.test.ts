// Prices in whole nano-units: sums are exact, shown amounts are what one would compute by hand.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Prices } from '../../costs/prices.ts';
import { cpuCost, egressCost, fromNano, toNano, waitingCost } from '../../costs/prices.ts';

const prices: Pick<Prices, 'cpuCoreHour' | 'waitHour' | 'egressGb'> = {
  cpuCoreHour: 0.012,
  waitHour: 6,
  egressGb: 0.09,
};

test('an hour of a core, an hour of waiting and a gigabyte cost what the settings say', () => {
  expect(cpuCost(prices, 3600)).toBe(12_000_000n);
  expect(waitingCost(prices, 3600)).toBe(6_000_000_000n);
  expect(egressCost(prices, 1e9)).toBe(90_000_000n);
  expect(fromNano(cpuCost(prices, 7200))).toBe(0.024);
});

test('nothing costs nothing, and a nano-unit is rounded to the nearest', () => {
  expect(cpuCost(prices, 0)).toBe(0n);
  expect(toNano(1.4e-9)).toBe(1n);
  expect(toNano(1.6e-9)).toBe(2n);
});

test('an amount that is not finite is refused', () => {
  expect(() => toNano(Number.NaN)).toThrow(RangeError);
  expect(() => toNano(Number.POSITIVE_INFINITY)).toThrow(RangeError);
});

test('the costs of the parts add up to the cost of the whole within half a nano-unit each', () => {
  const seconds = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(seconds, (parts) => {
      const sum = parts.reduce((total, part) => total + cpuCost(prices, part), 0n);
      const whole = cpuCost(
        prices,
        parts.reduce((total, part) => total + part, 0),
      );
      expect(Math.abs(Number(sum - whole))).toBeLessThanOrEqual(parts.length / 2 + 1);
    }),
  );
});

test('the cost of the largest range there can be is still exact', () => {
  // 2^53 events of 100 µs, at a thousandth of the dearest price.
  const nano = cpuCost({ ...prices, cpuCoreHour: 1000 }, Number.MAX_SAFE_INTEGER * 1e-4);
  expect(nano + 1n - nano).toBe(1n);
  expect(nano > BigInt(Number.MAX_SAFE_INTEGER)).toBe(true);
});
