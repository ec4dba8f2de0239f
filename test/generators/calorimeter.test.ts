import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Deposit,
  deposited,
  layerDepth,
  layers,
  muonDeposit,
  showerDeposit,
  spotsOf,
} from '../../generators/calorimeter.ts';
import { azimuth, type Direction } from '../../generators/direction.ts';
import { longitudinalProfile, RadialProfile } from '../../generators/grindhammer-peters.ts';
import { philoxOf } from '../../generators/philox.ts';
import { expectMean, expectShare } from './sample.ts';

const random = philoxOf('c3'.repeat(32));

function towards(eta: number, phi: number): Direction {
  const [sinTheta, cosTheta] = [1 / Math.cosh(eta), Math.tanh(eta)];
  return { sinTheta, cosTheta, sinPhi: Math.sin(phi), cosPhi: Math.cos(phi) };
}

const ahead = towards(0, 0);

interface Given {
  readonly energy: number;
  readonly shape?: readonly [number, number];
  readonly detail?: number;
  readonly direction?: Direction;
  readonly event?: number;
}

function shower({ energy, shape = [0, 0], detail = 1, direction = ahead, event = 0 }: Given): Deposit {
  return showerDeposit(energy, direction, detail, Float64Array.from(shape), random, event, 1);
}

/** The profile's shape and scale for given fluctuations, from the formulas. */
function gammaOf(energy: number, [first, second]: readonly [number, number] = [0, 0]): { alpha: number; beta: number } {
  const { T, alpha: mean, sigmaLnT, sigmaLnAlpha, rho } = longitudinalProfile(energy);
  const [plus, minus] = [Math.sqrt((1 + rho) / 2) * first, Math.sqrt((1 - rho) / 2) * second];
  const alpha = mean * Math.exp(sigmaLnAlpha * (plus - minus));
  return { alpha, beta: (alpha - 1) / (T * Math.exp(sigmaLnT * (plus + minus))) };
}

/** Averages over the part of the longitudinal profile between two depths; [share, …mean of each function]. */
function averages(
  { alpha, beta }: { alpha: number; beta: number },
  from: number,
  to: number,
  ...of: readonly ((depth: number) => number)[]
): number[] {
  const density = (depth: number) => depth ** (alpha - 1) * Math.exp(-beta * depth);
  const sum = (low: number, high: number, weight: (depth: number) => number) => {
    const steps = 4_000;
    let total = 0;
    for (let i = 0; i < steps; i++) {
      const depth = low + ((i + 0.5) * (high - low)) / steps;
      total += density(depth) * weight(depth);
    }
    return (total * (high - low)) / steps;
  };
  const part = sum(from, to, () => 1);
  return [part / sum(0, 100, () => 1), ...of.map((weight) => sum(from, to, weight) / part)];
}

test('layers and leakage sum to the energy of the particle to the last bit, in whatever order they are added', () => {
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: layers + 1 });
  const energies = fc.double({ min: 0.01, max: 1e5, noNaN: true });
  const normal = fc.double({ min: -6, max: 6, noNaN: true });
  fc.assert(
    fc.property(energies, normal, normal, order, fc.nat(), (energy, first, second, order, event) => {
      for (const { energies } of [
        shower({ energy, shape: [first, second], detail: Math.min(1, 1 / energy), event }),
        muonDeposit(energy, ahead, first),
      ]) {
        expect(order.reduce((sum, at) => sum + (energies[at] ?? NaN), 0)).toBe(energy);
        expect(Math.min(...energies)).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 200, examples: [[1e6, 0, 0, [5, 0, 1, 2, 3, 4], 1]] },
  );
});

test.for([1, 10, 50])('the average shower of %s GeV leaves in every layer what its profile says', (energy) => {
  const { energies, spots } = shower({ energy, detail: 40 / energy });
  for (let layer = 0; layer < layers; layer++) {
    const [share = 0] = averages(gammaOf(energy), layer * layerDepth, (layer + 1) * layerDepth);
    expectShare(Math.round(((energies[layer] ?? NaN) / energy) * spots), spots, share, `layer ${layer + 1}`);
  }
});

test.for([
  [1, 0],
  [-1.5, 0.5],
  [0.3, -2],
] as const)('a shower that fluctuates by %s and %s has the depth and leakage of its own profile', (shape) => {
  const energy = 10;
  const { energies, spots, depth } = shower({ energy, shape, detail: 3 });
  const wholeDepth = layers * layerDepth;
  const [share = 0, mean = 0, square = 0] = averages(
    gammaOf(energy, shape),
    0,
    wholeDepth,
    (t) => t,
    (t) => t * t,
  );
  expectShare(Math.round((1 - (energies[layers] ?? NaN) / energy) * spots), spots, share, 'containment');
  const standardError = Math.sqrt((square - mean * mean) / (share * spots));
  expect(Math.abs(depth - mean) / standardError).toBeLessThan(4);
});

test('the mean depth of a 10 GeV shower is α/β, 8.04 radiation lengths, but for what leaks', () => {
  const { alpha, beta } = gammaOf(10);
  expect(alpha / beta).toBeCloseTo((4.2201 * 6.1324) / 3.2201, 3);
  const { depth } = shower({ energy: 10, detail: 3 });
  expect(depth).toBeGreaterThan(7.7);
  expect(depth).toBeLessThan(8.1);
});

test('spots lie as far from the axis as the radial profile says', () => {
  const energy = 10;
  const { alpha: mean } = longitudinalProfile(energy);
  const { alpha, beta } = gammaOf(energy);
  const profile = new RadialProfile(energy);
  // The mean of min(r, 10) when r has the density 2rR²/(r²+R²)².
  const within = (radius: number) => radius * Math.atan(10 / radius);
  const [, expected = 0] = averages({ alpha, beta }, 0, layers * layerDepth, (depth) => {
    profile.at(((depth * beta) / alpha) * (mean / (mean - 1)));
    return profile.core * within(profile.coreRadius) + (1 - profile.core) * within(profile.tailRadius);
  });
  const radii = Array.from({ length: 60 }, (_, event) => shower({ energy, detail: 0.1, event }).radius);
  expectMean(radii, expected, 'mean radius');
});

test('showers point where their particle went, in all directions', () => {
  for (const [eta, phi] of [
    [0, 0],
    [1.3, 3.1],
    [-2.4, -1.5],
    [4.5, 2],
  ] as const) {
    const found = Array.from({ length: 100 }, (_, event) =>
      shower({ energy: 10, detail: 0.03, direction: towards(eta, phi), event }),
    );
    expectMean(
      found.map((deposit) => deposit.eta - eta),
      0,
      'eta',
    );
    expectMean(
      found.map((deposit) => azimuth(Math.cos(deposit.phi - phi), Math.sin(deposit.phi - phi))),
      0,
      'phi',
    );
    // The spread of a shower's centre is at most some millimetres of 137 cm.
    expect(Math.max(...found.map((deposit) => Math.abs(deposit.eta - eta)))).toBeLessThan(0.03 * Math.cosh(eta));
  }
});

test('spots are as many as the formula says, times the detail, at least one and never more than the bound', () => {
  expect(shower({ energy: 1 }).spots).toBe(393);
  expect(shower({ energy: 10 }).spots).toBe(2953);
  expect(shower({ energy: 10, detail: 0.1 }).spots).toBe(295);
  expect(shower({ energy: 0.01, detail: 0.01 }).spots).toBe(1);
  expect([spotsOf(1e6, 1), spotsOf(1e6, 0.1), spotsOf(3e4, 100)]).toEqual([2 ** 24, 7_084_152, 2 ** 24]);
});

test('a shower that passes all layers is all leakage, and still has a direction', () => {
  const found = Array.from({ length: 400 }, (_, event) =>
    shower({ energy: 0.01, detail: 0.01, shape: [6, 6], direction: towards(0.5, 1), event }),
  );
  const gone = found.filter((deposit) => deposited(deposit) === 0);
  expect(gone.length).toBeGreaterThan(0);
  for (const { energies, depth, radius, eta, phi } of gone) {
    expect(energies[layers]).toBe(0.01);
    expect([depth, radius]).toEqual([25, 0]);
    expect(eta).toBeCloseTo(0.5, 12);
    expect(phi).toBeCloseTo(1, 12);
  }
});

test('a muon leaves what a minimum-ionizing particle does, evenly, with a tail upwards, and never more than it has', () => {
  const pair = Array.from({ length: 4_000 }, (_, i) => {
    const u = (i + 0.5) / 4_000;
    // Points of a normal distribution at equal shares, from its logistic approximation: good to a percent.
    return Math.log(u / (1 - u)) / 1.702;
  });
  const losses = pair.map((normal) => deposited(muonDeposit(20, ahead, normal)));
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  expect(mean).toBeGreaterThan(0.222);
  expect(mean).toBeLessThan(0.232);
  expect(Math.max(...losses)).toBeGreaterThan(0.28);
  expect(Math.min(...losses)).toBeGreaterThan(0.15);
  const { energies } = muonDeposit(20, ahead, 1);
  for (let layer = 1; layer < layers; layer++) expect(energies[layer]).toBe(energies[0]);
  expect(deposited(muonDeposit(0.1, ahead, 0.5))).toBe(0.1);
  const { eta, phi } = muonDeposit(20, towards(1.2, -2), 1);
  expect([eta, phi].map((x) => Math.round(x * 1e9) / 1e9)).toEqual([1.2, -2]);
});
