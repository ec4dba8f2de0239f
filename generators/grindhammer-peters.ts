// The shape of an electromagnetic shower in a homogeneous calorimeter: Grindhammer and Peters, hep-ex/0001020, with the
// constants that Geant4 uses (GVFlashHomoShowerTuning.hh). Depth is in radiation lengths, radius in Molière radii, energy in GeV.
import { exp, ln } from './maths.ts';

/** Lead tungstate. */
export const material = {
  /** Effective atomic number. */
  z: 68.36,
  /** Critical energy, GeV. */
  criticalEnergy: 9.64e-3,
  /** Radiation length, cm. */
  radiationLength: 0.8903,
  /** Molière radius, cm: 21.2 MeV × radiation length / critical energy. */
  moliereRadius: 1.958,
} as const;

/** The longitudinal profile dE/dt = E β (βt)^(α−1) e^−βt / Γ(α) with β = (α − 1)/T, on average and as it fluctuates. */
export interface LongitudinalProfile {
  /** Depth of the maximum. */
  readonly T: number;
  readonly alpha: number;
  /** Standard deviations of ln T and ln α, and their correlation. */
  readonly sigmaLnT: number;
  readonly sigmaLnAlpha: number;
  readonly rho: number;
}

/** Below, the average profile of this energy is used: the fits are for GeV, and end where the maximum reaches the surface. */
const profileEnergyMin = 0.1;

/** `energy` in GeV. */
export function longitudinalProfile(energy: number): LongitudinalProfile {
  const lnY = ln(Math.max(energy, profileEnergyMin) / material.criticalEnergy);
  return {
    T: lnY - 0.812,
    alpha: 0.81 + (0.458 + 2.26 / material.z) * lnY,
    sigmaLnT: 1 / (-1.4 + 1.26 * lnY),
    sigmaLnAlpha: 1 / (-0.58 + 0.86 * lnY),
    rho: 0.705 - 0.023 * lnY,
  };
}

/** Number of energy spots, 93 ln Z E^0.876, not yet a whole one. */
export function spotNumber(energy: number): number {
  return 93 * ln(material.z) * exp(0.876 * ln(energy));
}

/**
 * The radial profile at a depth: a share `core` with the density 2rC²/(r²+C²)², the rest with the same of the tail's radius.
 * One object for all spots of a shower: `at` moves it to another depth.
 */
export class RadialProfile {
  core = 0;
  coreRadius = 0;
  tailRadius = 0;
  readonly #lnE: number;

  constructor(energy: number) {
    this.#lnE = ln(energy);
  }

  /** `tau`: depth over that of the shower's middle. */
  at(tau: number): void {
    const { z } = material;
    this.coreRadius = 0.0251 + 0.00319 * this.#lnE + (0.1162 - 0.000381 * z) * tau;
    this.tailRadius =
      (0.659 - 0.00309 * z) * (exp(-2.59 * (tau - 0.645)) + exp((0.3585 + 0.0412 * this.#lnE) * (tau - 0.645)));
    const x = (0.401 + 0.00187 * z - tau) / (1.313 - 0.0686 * this.#lnE);
    this.core = (2.632 - 0.00094 * z) * exp(x - exp(x));
  }
}
