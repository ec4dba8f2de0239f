// A toy calorimeter: a hollow ball of lead tungstate, 25 radiation lengths thick and cut into five layers, that every particle
// meets head-on, without a magnetic field. Showers are laid out spot by spot; all of one shower's spots carry the same
// energy (Grindhammer and Peters give them unequal ones at other depths: the same mean profile, other fluctuations).
import { azimuth, type Direction, pseudorapidity } from './direction.ts';
import { longitudinalProfile, material, RadialProfile, spotNumber } from './grindhammer-peters.ts';
import { exp, ln, sincos } from './maths.ts';
import type { Philox } from './philox.ts';
import { uniform } from './philox.ts';
import { blocksPerGamma, gammaVariate, twoToTheMinus32 } from './variates.ts';

export const layers = 5;
/** In radiation lengths. */
export const layerDepth = 5;
const wholeDepth = layers * layerDepth;
/** Radius of the hollow, cm. */
const faceRadius = 130;

/** What a particle left. */
export interface Deposit {
  /** GeV by layer, and what went on behind the last one. Sums to the particle's energy: exactly, and in any order. */
  readonly energies: Float64Array;
  /** Energy spots, those behind the last layer included. */
  readonly spots: number;
  /** Of the spots in the layers: mean depth in radiation lengths, mean distance from the axis in Molière radii. */
  readonly depth: number;
  readonly radius: number;
  /** Direction of their centre of gravity, seen from the collision; the azimuth in rad. */
  readonly eta: number;
  readonly phi: number;
}

/** GeV that stayed in the layers; exact, as the energies are. */
export function deposited({ energies }: Deposit): number {
  return energies.subarray(0, layers).reduce((sum, energy) => sum + energy, 0);
}

/** The profile has no maximum at α = 1: fluctuations end before. */
const alphaMin = 1.1;
/** What lies further out is put here, in Molière radii: the profile falls with the third power only. */
const radiusMax = 10;
/** A shower that should have more gets these, with more energy each. With 16 blocks a spot, blocks stay below 2^28. */
const spotsMax = 16_777_216;
const blocksPerSpot = blocksPerGamma + 1;

/** Spots of a shower of this energy, GeV. */
export function spotsOf(energy: number, detail: number): number {
  return Math.min(Math.max(1, Math.round(detail * spotNumber(energy))), spotsMax);
}

const words = new Uint32Array(4);
const sinCos = new Float64Array(2);

/**
 * Of a particle that showers with all its energy, GeV. `detail` multiplies the spots; `shape` are two standard normal numbers
 * for the fluctuations of the profile. Takes the blocks of `stage`.
 */
export function showerDeposit(
  energy: number,
  towards: Direction,
  detail: number,
  shape: Float64Array,
  random: Philox,
  event: number,
  stage: number,
): Deposit {
  const mean = longitudinalProfile(energy);
  const common = Math.sqrt((1 + mean.rho) / 2) * (shape[0] as number);
  const opposite = Math.sqrt((1 - mean.rho) / 2) * (shape[1] as number);
  const alpha = Math.max(alphaMin, exp(ln(mean.alpha) + mean.sigmaLnAlpha * (common - opposite)));
  const beta = (alpha - 1) / exp(ln(mean.T) + mean.sigmaLnT * (common + opposite));
  // Depth over the shower's own mean α/β, in units in which the average shower has its maximum at 1.
  const tauPerX = mean.alpha / ((mean.alpha - 1) * alpha);
  const radial = new RadialProfile(energy);
  const spots = spotsOf(energy, detail);

  const spotsIn = new Float64Array(layers + 1);
  let inside = 0;
  let depths = 0;
  let radii = 0;
  let polar = 0;
  let azimuthal = 0;
  for (let spot = 0; spot < spots; spot++) {
    const block = spot * blocksPerSpot;
    const x = gammaVariate(alpha, random, event, stage, block);
    const depth = x / beta;
    const layer = Math.min(Math.floor(depth / layerDepth), layers);
    spotsIn[layer] = (spotsIn[layer] as number) + 1;
    if (layer === layers) continue;

    radial.at(x * tauPerX);
    random.block(event, stage, block + blocksPerGamma, words);
    const isCore = (words[0] as number) * twoToTheMinus32 < radial.core;
    const u = uniform(words[1] as number, words[2] as number);
    const scale = isCore ? radial.coreRadius : radial.tailRadius;
    const radius = Math.min(scale * Math.sqrt(u / (1 - u)), radiusMax);
    sincos(2 * Math.PI * twoToTheMinus32 * (words[3] as number), sinCos);
    inside += 1;
    depths += depth;
    radii += radius;
    polar += radius * (sinCos[1] as number);
    azimuthal += radius * (sinCos[0] as number);
  }
  return {
    energies: divided(energy, spotsIn),
    spots,
    depth: inside === 0 ? wholeDepth : depths / inside,
    radius: inside === 0 ? 0 : radii / inside,
    ...seen(
      towards,
      faceRadius * Math.max(1, inside) + material.radiationLength * depths,
      material.moliereRadius * polar,
      material.moliereRadius * azimuthal,
    ),
  };
}

/** Energy that a minimum-ionizing particle leaves on average: 10.2 MeV/cm in lead tungstate. GeV. */
const ionizationMean = 10.2e-3 * wholeDepth * material.radiationLength;
/** Width of its Landau distribution: 0.1535 MeV cm²/g × Z/A × density × length. GeV. */
const ionizationWidth = 0.1535e-3 * 0.4127 * 8.28 * wholeDepth * material.radiationLength;
/** γ + ln 2: the mean of Moyal's distribution of width 1 with its maximum at 0. */
const moyalMean = 1.2703628454614782;

/**
 * Of a muon: what a minimum-ionizing particle leaves, evenly over the layers, at most all it has. Its distribution is Moyal's
 * approximation of Landau's (Phil. Mag. 46 (1955) 263), which −ln z² has for a standard normal number z.
 */
export function muonDeposit(energy: number, towards: Direction, normal: number): Deposit {
  const loss = ionizationMean + ionizationWidth * (-ln(normal * normal) - moyalMean);
  const left = Math.min(loss, energy);
  const shares = new Float64Array(layers + 1).fill(left / layers);
  shares[layers] = energy - left;
  return {
    energies: divided(energy, shares),
    spots: layers,
    depth: wholeDepth / 2,
    radius: 0,
    ...seen(towards, faceRadius, 0, 0),
  };
}

/**
 * Divides an energy in proportion to shares. Every part is a multiple of the energy's last digit, so that the parts, added in any
 * order, give the energy without any rounding. The largest takes what the roundings of the others leave.
 */
function divided(energy: number, shares: Float64Array): Float64Array {
  const sum = shares.reduce((sum, share) => sum + share, 0);
  const largest = shares.indexOf(shares.reduce((max, share) => Math.max(max, share), 0));
  let others = 0;
  const parts = shares.map((share, index) => {
    if (index === largest) return 0;
    // Added and taken away: digits smaller than the energy's last one are gone.
    const part = energy + energy * (share / sum) - energy;
    others += part;
    return part;
  });
  parts[largest] = energy - others;
  return parts;
}

/** Direction of a point so far along a direction, and so far off it towards larger polar angle and azimuth; all in one unit. */
function seen(
  { sinTheta, cosTheta, sinPhi, cosPhi }: Direction,
  along: number,
  polar: number,
  azimuthal: number,
): { eta: number; phi: number } {
  const outwards = along * sinTheta + polar * cosTheta;
  const z = along * cosTheta - polar * sinTheta;
  const x = outwards * cosPhi - azimuthal * sinPhi;
  const y = outwards * sinPhi + azimuthal * cosPhi;
  return { eta: pseudorapidity(Math.sqrt(x * x + y * y), z), phi: azimuth(x, y) };
}
