import { expect, test } from 'vitest';
import { chargeOf, kindOf } from '../../generators/pdg.ts';

const charges: Readonly<Record<number, readonly [name: string, charge: number]>> = {
  11: ['e−', -1],
  12: ['neutrino', 0],
  13: ['μ−', -1],
  15: ['τ−', -1],
  22: ['photon', 0],
  24: ['W+', 1],
  23: ['Z', 0],
  25: ['H', 0],
  21: ['gluon', 0],
  2: ['u, never free', 0],
  211: ['π+', 1],
  111: ['π0', 0],
  221: ['η', 0],
  213: ['ρ+', 1],
  321: ['K+', 1],
  311: ['K0', 0],
  310: ['K0S', 0],
  130: ['K0L', 0],
  411: ['D+', 1],
  421: ['D0', 0],
  431: ['Ds+', 1],
  511: ['B0', 0],
  521: ['B+', 1],
  541: ['Bc+', 1],
  443: ['J/ψ', 0],
  2212: ['proton', 1],
  2112: ['neutron', 0],
  3122: ['Λ', 0],
  3112: ['Σ−', -1],
  3222: ['Σ+', 1],
  3312: ['Ξ−', -1],
  3334: ['Ω−', -1],
  2224: ['Δ++', 2],
  4122: ['Λc+', 1],
  5122: ['Λb', 0],
  1000010020: ['deuteron, not known here', 0],
  0: ['nothing', 0],
};

test('particles have the charge of the Particle Data Group, antiparticles the opposite', () => {
  for (const [code, [name, charge]] of Object.entries(charges)) {
    expect(chargeOf(Number(code)), name).toBe(charge);
    expect(chargeOf(-Number(code)), `anti-${name}`).toBe(charge === 0 ? 0 : -charge);
  }
});

test('any code has a kind and a whole charge', () => {
  for (const code of [2 ** 31 - 1, -(2 ** 31), 99, 100, 9_999_999, 10_000_000, 1_000_022]) {
    expect(Number.isFinite(chargeOf(code))).toBe(true);
    expect(kindOf(code)).toBe('hadron');
  }
  expect([11, -11, 22].map(kindOf)).toEqual(Array(3).fill('electromagnetic'));
  expect([13, -13].map(kindOf)).toEqual(['muon', 'muon']);
  expect([12, -14, 16].map(kindOf)).toEqual(Array(3).fill('invisible'));
  expect([211, -2212, 130, 15].map(kindOf)).toEqual(Array(4).fill('hadron'));
});
