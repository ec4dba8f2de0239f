import { expect, test } from 'vitest';
import { longitudinalProfile, RadialProfile, spotNumber } from '../../generators/grindhammer-peters.ts';

test.for([
  { energy: 1, T: 3.8298, alpha: 3.0894, sigmaLnT: 0.2248, rho: 0.5982, spots: 393 },
  { energy: 10, T: 6.1324, alpha: 4.2201, sigmaLnT: 0.1361, rho: 0.5453, spots: 2_953 },
  { energy: 50, T: 7.7419, alpha: 5.0105, sigmaLnT: 0.1066, rho: 0.5083, spots: 12_094 },
  { energy: 100, T: 8.435, alpha: 5.3508, sigmaLnT: 0.0975, rho: 0.4923, spots: 22_197 },
])('the profile of $energy GeV has the reference numbers', ({ energy, spots, ...expected }) => {
  const profile = longitudinalProfile(energy);
  for (const [name, value] of Object.entries(expected)) {
    expect(profile[name as keyof typeof expected], name).toBeCloseTo(value, 4);
  }
  const lnY = Math.log(energy / 9.64e-3);
  expect(profile.sigmaLnAlpha).toBeCloseTo(1 / (-0.58 + 0.86 * lnY), 12);
  expect(Math.round(spotNumber(energy))).toBe(spots);
});

test('whatever the energy, the profile has a maximum and widths that are positive', () => {
  for (let energy = 0.01; energy <= 1e6; energy *= 1.3) {
    const { T, alpha, sigmaLnT, sigmaLnAlpha, rho } = longitudinalProfile(energy);
    expect(Math.min(T, alpha - 1, sigmaLnT, sigmaLnAlpha)).toBeGreaterThan(0);
    expect(Math.max(sigmaLnT, sigmaLnAlpha)).toBeLessThan(0.75);
    expect(Math.abs(rho)).toBeLessThan(1);
    const radial = new RadialProfile(energy);
    for (const tau of [0, 0.5, 1, 2, 5, 20]) {
      radial.at(tau);
      expect(radial.coreRadius).toBeGreaterThan(0);
      expect(radial.tailRadius).toBeGreaterThan(0);
      expect(radial.core).toBeGreaterThanOrEqual(0);
      expect(radial.core).toBeLessThan(1);
    }
  }
});

test('the radial profile of 10 GeV at the shower’s middle is that of the formulas', () => {
  const radial = new RadialProfile(10);
  radial.at(1);
  expect(radial.coreRadius).toBeCloseTo(0.0251 + 0.00319 * Math.log(10) + 0.1162 - 0.000381 * 68.36, 12);
  expect(radial.tailRadius).toBeCloseTo(
    (0.659 - 0.00309 * 68.36) * (Math.exp(-2.59 * 0.355) + Math.exp((0.3585 + 0.0412 * Math.log(10)) * 0.355)),
    12,
  );
  const z = (0.401 + 0.00187 * 68.36 - 1) / (1.313 - 0.0686 * Math.log(10));
  expect(radial.core).toBeCloseTo((2.632 - 0.00094 * 68.36) * Math.exp(z - Math.exp(z)), 12);
});
