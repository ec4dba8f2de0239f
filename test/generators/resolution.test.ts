import { expect, test } from 'vitest';
import { clusterSigma, trackSigma } from '../../generators/resolution.ts';

test('a 50 GeV photon is measured to 0.719 GeV, and other energies as the card says', () => {
  expect(clusterSigma('electromagnetic', 50, 0)).toBeCloseTo(0.719, 3);
  expect(clusterSigma('electromagnetic', 50, 3.2)).toBeCloseTo(0.719, 3);
  expect(clusterSigma('electromagnetic', 50, 3.3)).toBeCloseTo(Math.sqrt(1.75 ** 2 + 0.285 ** 2 * 50), 12);
  expect(clusterSigma('hadron', 50, 1.7)).toBeCloseTo(Math.sqrt(1.51 ** 2 + 0.5205 ** 2 * 50 + 1.59 ** 2), 12);
  expect(clusterSigma('hadron', 50, 3.2)).toBeCloseTo(Math.sqrt(2.5 ** 2 + 0.706 ** 2 * 50), 12);
  expect(clusterSigma('hadron', 50, 4.9)).toBeCloseTo(Math.sqrt(4.71 ** 2 + 50), 12);
  expect(clusterSigma('muon', 0.2, 1)).toBe(clusterSigma('electromagnetic', 0.2, 1));
  expect(clusterSigma('hadron', 0, 0)).toBe(1.59);
});

test('tracks are measured as the card says: hadrons, electrons and muons, in three regions', () => {
  const relative = (kind: 'hadron' | 'electromagnetic' | 'muon', pdgId: number) =>
    [0.5, 1.5, 2.5].map((eta) => Number((trackSigma(kind, pdgId, 100, eta) / 100).toFixed(6)));
  expect(relative('hadron', 211)).toEqual([0.143178, 0.197231, 0.398246]);
  expect(relative('electromagnetic', -11)).toEqual([0.133417, 0.1772, 0.344384]);
  expect(relative('muon', 13)).toEqual([0.014142, 0.021213, 0.043012]);
  expect(() => trackSigma('muon', 13, 1, 2.6)).toThrow(RangeError);
});
