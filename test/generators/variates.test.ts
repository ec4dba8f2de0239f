import { expect, test } from 'vitest';
import { philoxOf } from '../../generators/philox.ts';
import { blocksPerGamma, gammaVariate, logNormal, normalPair } from '../../generators/variates.ts';
import { expectDistribution, expectMean, histogram } from './sample.ts';

const random = philoxOf('5a'.repeat(32));
const draws = 20_000;

const pair = new Float64Array(2);
const normals = Array.from({ length: draws }, (_, i) => {
  normalPair(random, 7, 3, i, pair);
  return [pair[0] ?? NaN, pair[1] ?? NaN] as const;
});

test('both numbers of a pair are standard normal, and know nothing of each other', () => {
  for (const which of [0, 1] as const) {
    const of = normals.map((numbers) => numbers[which]);
    expectMean(of, 0, 'mean');
    expectMean(
      of.map((z) => z * z),
      1,
      'variance',
    );
    expectMean(
      of.map((z) => z ** 3),
      0,
      'skewness',
    );
    expectMean(
      of.map((z) => z ** 4),
      3,
      'kurtosis',
    );
  }
  expectMean(
    normals.map(([a, b]) => a * b),
    0,
    '<ab>',
  );
  expectMean(
    normals.map(([a, b]) => (a * a - 1) * (b * b - 1)),
    0,
    '<a²b²>',
  );
});

/** ∫ x^(α−1) e^−x dx between two bounds, by Simpson's rule. */
function gammaIntegral(alpha: number, from: number, to: number): number {
  const steps = 400;
  const h = (to - from) / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const x = from + i * h;
    sum += (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2) * x ** (alpha - 1) * Math.exp(-x);
  }
  return (sum * h) / 3;
}

test.for([1.1, 2, 4.2201, 25])('gamma numbers of shape %s have its distribution and moments', (alpha) => {
  const numbers = Array.from({ length: draws }, (_, i) => gammaVariate(alpha, random, 7, 4, i * blocksPerGamma));
  expectMean(numbers, alpha, 'mean');
  expectMean(
    numbers.map((x) => (x - alpha) ** 2),
    alpha,
    'variance',
  );
  expectMean(
    numbers.map((x) => (x - alpha) ** 3),
    2 * alpha,
    'third moment',
  );
  const [low, high] = [Math.max(0.02, alpha - 3 * Math.sqrt(alpha)), alpha + 3 * Math.sqrt(alpha)];
  const inside = numbers.filter((x) => x > low && x < high);
  const width = (high - low) / 30;
  const whole = gammaIntegral(alpha, low, high);
  const expected = Array.from({ length: 30 }, (_, bin) => {
    return (inside.length * gammaIntegral(alpha, low + bin * width, low + (bin + 1) * width)) / whole;
  });
  expectDistribution(histogram(inside, 30, low, high), expected, 'density');
});

test('gamma numbers of neighbouring blocks know nothing of each other', () => {
  const numbers = Array.from({ length: draws }, (_, i) => gammaVariate(3, random, 8, 4, i * blocksPerGamma) - 3);
  expectMean(
    numbers.slice(1).map((x, i) => x * (numbers[i] ?? 0)),
    0,
    '<xx′>',
  );
});

test('log-normal numbers have the mean and the width that are asked for, and are positive', () => {
  for (const [mean, sigma] of [
    [50, 0.719],
    [2, 0.5],
  ] as const) {
    const numbers = normals.map(([z]) => logNormal(mean, sigma, z));
    expectMean(numbers, mean, 'mean');
    expectMean(
      numbers.map((x) => (x - mean) ** 2),
      sigma * sigma,
      'variance',
    );
    expect(Math.min(...numbers)).toBeGreaterThan(0);
  }
  expect(logNormal(0, 1.59, 3)).toBe(0);
  expect(logNormal(50, 0, 3)).toBe(50);
});
