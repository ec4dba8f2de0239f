// Sums of whole numbers stay exact, whatever their size and order.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ExactSum } from '../../../costs/report/quantities.ts';

const whole = fc.oneof(
  fc.integer({ min: 0, max: 10 }),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.integer({ min: 0, max: 10 }).map((n) => Number.MAX_SAFE_INTEGER - n),
);

test('a sum of numbers, products and large numbers is what bigints give', () => {
  const step = fc.oneof(
    whole.map((value) => ({ add: (sum: ExactSum) => sum.add(value), value: BigInt(value) })),
    fc
      .tuple(whole, whole)
      .map(([a, b]) => ({ add: (sum: ExactSum) => sum.addProduct(a, b), value: BigInt(a) * BigInt(b) })),
    fc.bigInt({ min: 0n, max: 2n ** 90n }).map((value) => ({ add: (sum: ExactSum) => sum.addLarge(value), value })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30, size: 'max' }), (steps) => {
      const sum = new ExactSum();
      for (const { add } of steps) add(sum);
      expect(sum.value).toBe(steps.reduce((total, { value }) => total + value, 0n));
    }),
    { numRuns: 1000 },
  );
});

test.each([
  [2 ** 26, 2 ** 27],
  [2 ** 27 + 1, 2 ** 26],
  [94906267, 94906267],
  [3, 3002399751580331],
])('the product %i × %i, beside 2^53, is exact', (a, b) => {
  const sum = new ExactSum();
  sum.addProduct(a, b);
  expect(sum.value).toBe(BigInt(a) * BigInt(b));
});
