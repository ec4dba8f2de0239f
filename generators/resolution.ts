// How sharply the toy detector measures: the resolution formulas of Delphes' card for ATLAS (cards/delphes_card_ATLAS.tcl).
// GeV throughout.
import { isElectron, type Kind } from './pdg.ts';

/** Tracks are found up to this size of the pseudorapidity. */
export const trackEtaMax = 2.5;
/** The calorimeter reaches up to this size of the pseudorapidity. */
export const calorimeterEtaMax = 4.9;

/** Constant and slope of σ(pT)/pT = constant ⊕ slope·pT, by the bound of |η| up to which they hold. */
type TrackTerms = readonly (readonly [etaMax: number, constant: number, slope: number])[];

const muonTerms: TrackTerms = [
  [0.5, 0.01, 1e-4],
  [1.5, 0.015, 1.5e-4],
  [trackEtaMax, 0.025, 3.5e-4],
];
const electronTerms: TrackTerms = [
  [0.5, 0.03, 1.3e-3],
  [1.5, 0.05, 1.7e-3],
  [trackEtaMax, 0.15, 3.1e-3],
];
const hadronTerms: TrackTerms = [
  [0.5, 0.06, 1.3e-3],
  [1.5, 0.1, 1.7e-3],
  [trackEtaMax, 0.25, 3.1e-3],
];

/** σ of a track's pT. @throws RangeError beyond the tracker */
export function trackSigma(kind: Kind, pdgId: number, pt: number, etaSize: number): number {
  const terms = kind === 'muon' ? muonTerms : isElectron(pdgId) ? electronTerms : hadronTerms;
  const held = terms.find(([etaMax]) => etaSize <= etaMax);
  if (held === undefined) throw new RangeError(`There are no tracks at |eta| ${etaSize}.`);
  const [, constant, slope] = held;
  return pt * quadrature(constant, slope * pt, 0);
}

/** σ of an energy measured in the calorimeter, 0 ≤ |η| ≤ 4.9: hadrons as in the hadronic one, the rest as in the electromagnetic. */
export function clusterSigma(kind: Kind, energy: number, etaSize: number): number {
  const root = Math.sqrt(energy);
  if (kind === 'hadron') {
    if (etaSize <= 1.7) return quadrature(0.0302 * energy, 0.5205 * root, 1.59);
    return etaSize <= 3.2 ? quadrature(0.05 * energy, 0.706 * root, 0) : quadrature(0.0942 * energy, root, 0);
  }
  return etaSize <= 3.2 ? quadrature(0.0017 * energy, 0.101 * root, 0) : quadrature(0.035 * energy, 0.285 * root, 0);
}

function quadrature(a: number, b: number, c: number): number {
  return Math.sqrt(a * a + b * b + c * c);
}
