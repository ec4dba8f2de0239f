// Minimum bias, a toy: a negative-binomial number of charged pions, exponential in transverse momentum and flat in
// pseudorapidity and azimuth. Multiplicity as measured by UA5 (Phys. Lett. B 160 (1985) 193, 199); nothing correlates the pions.
import { z } from 'zod';
import type { EventRange } from '../core/event-range.ts';
import { eventsIn } from '../core/event-range.ts';
import type { Generator } from './generator.ts';
import { exp, ln, sincos, sinh } from './maths.ts';
import { ParticleColumns, particleColumns, particleEventBytes } from './particles.ts';
import type { Philox } from './philox.ts';
import { openUniform, uniform } from './philox.ts';
import { calorimeterEtaMax } from './resolution.ts';

// The bounds keep the table of the multiplicity sound: P(0) = (1 + mean/k)^-k is at least exp(−mean), so it cannot
// underflow whatever k is, and the tail falls as (mean/(mean+k))^n, so the longest table (mean 500, k 0.5) has 35 000 entries.
const parameters = z.strictObject({
  mean: z.number().min(0.01).max(500).default(20).describe('Mean number of particles, 1'),
  k: z
    .number()
    .min(0.5)
    .max(1_000)
    .default(3)
    .describe('Shape of the negative binomial, 1: the variance is mean + mean²/k'),
  slope: z
    .number()
    .min(0.001)
    .max(100)
    .default(0.35)
    .describe('GeV: dN/dpT² falls as exp(−pT/slope), so the mean pT is twice the slope'),
  etaMax: z.number().min(0.01).max(10).default(2.5).describe('Largest size of the pseudorapidity, 1'),
});

export type MinbiasParameters = z.infer<typeof parameters>;

/**
 * The cumulative distribution of the negative binomial, C(n) = P(0) + … + P(n), up to where less than 2^-54 is left;
 * the last entry is 1. P(0) = (1 + m/k)^-k and P(n+1) = P(n) (n+k)/(n+1) m/(m+k).
 */
export function negativeBinomialTable(mean: number, k: number): Float64Array {
  const ratio = mean / (mean + k);
  const cumulative: number[] = [];
  let probability = exp(-k * ln(1 + mean / k));
  let sum = 0;
  for (let n = 0; ; n++) {
    sum += probability;
    cumulative.push(Math.min(sum, 1));
    const step = ((n + k) / (n + 1)) * ratio;
    // P(n+1)/P(n) goes to `ratio` steadily, from either side: the tail is below a geometric series of the larger of the two.
    const falling = Math.max(step, ratio);
    if (falling < 1 && (probability * falling) / (1 - falling) < 5.551115123125783e-17) break;
    probability *= step;
  }
  cumulative[cumulative.length - 1] = 1;
  return Float64Array.from(cumulative);
}

/** The smallest n with u < C(n), for u in [0, 1). */
function invert(cumulative: Float64Array, u: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (u < (cumulative[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return low;
}

const stageMultiplicity = 0;
const stageParticles = 1;
const blocksPerParticle = 2;
const piPlus = 211;
/** Of the charged pion, GeV (Particle Data Group 2022). */
const pionMass = 0.13957039;

export const minbias: Generator<MinbiasParameters> = {
  name: 'minbias',
  version: '1',
  description: 'Minimum-bias toy: negative-binomial multiplicity of charged pions, exponential pT, flat eta and phi',
  parameters,
  columns: particleColumns,
  reproducibility: 'exact',
  input: 'none',

  // Measured: 0.3 µs and 0.21 µs a particle to make (means of 1 to 500, one thread, CPU time), plus encoding at 300 MB/s raw.
  cost({ mean, slope, etaMax }) {
    // pT is twice the slope on average, and the energy is cosh η times that, the mass apart.
    const reached = Math.min(etaMax, calorimeterEtaMax);
    const momentum = (2 * slope * sinh(reached)) / reached;
    const energy = Math.sqrt(momentum * momentum + pionMass * pionMass);
    return {
      cpuSeconds: 0.5e-6 + 0.4e-6 * mean,
      rawBytes: particleEventBytes(mean),
      particles: { count: mean, showering: mean * (reached / etaMax), energy },
    };
  },

  prepare({ mean, k, slope, etaMax }: MinbiasParameters, random: Philox) {
    const cumulative = negativeBinomialTable(mean, k);
    const words = new Uint32Array(4);
    const sinCosPhi = new Float64Array(2);

    return {
      make(range: EventRange) {
        const events = eventsIn(range);
        const counts = new Int32Array(events);
        for (let i = 0; i < events; i++) {
          random.block(range.first + i, stageMultiplicity, 0, words);
          counts[i] = invert(cumulative, uniform(words[0] as number, words[1] as number));
        }

        const record = new ParticleColumns(range, counts);
        const { offsets } = record;
        for (let i = 0; i < events; i++) {
          const event = range.first + i;
          const begin = offsets[i] as number;
          const count = counts[i] as number;
          for (let n = 0; n < count; n++) {
            random.block(event, stageParticles, n * blocksPerParticle, words);
            const u1 = openUniform(words[0] as number, words[1] as number);
            const u2 = openUniform(words[2] as number, words[3] as number);
            // A bit that neither uniform uses.
            const pdgId = ((words[0] as number) & 1) === 0 ? piPlus : -piPlus;
            random.block(event, stageParticles, n * blocksPerParticle + 1, words);
            const eta = etaMax * (2 * uniform(words[0] as number, words[1] as number) - 1);
            const phi = Math.PI - 2 * Math.PI * uniform(words[2] as number, words[3] as number);

            // pT exp(−pT/slope) is the sum of two exponentials.
            const pt = -slope * ln(u1 * u2);
            sincos(phi, sinCosPhi);
            const px = pt * (sinCosPhi[1] as number);
            const py = pt * (sinCosPhi[0] as number);
            const pz = pt * sinh(eta);
            const energy = Math.sqrt(pt * pt + pz * pz + pionMass * pionMass);
            record.put(begin + n, { pdgId, px, py, pz, energy, pt, eta, phi, mass: pionMass });
          }
        }
        return record.finish();
      },
    };
  },
};
