// Numbers that are distributed as physics wants them, from uniform ones.
import { exp, ln, sincos } from './maths.ts';
import type { Philox } from './philox.ts';
import { openUniform, uniform } from './philox.ts';

const words = new Uint32Array(4);
const sinCos = new Float64Array(2);

/** Writes two independent standard normal numbers to `out[0..1]`, from one block (Box and Muller, 1958). */
export function normalPair(random: Philox, event: number, stage: number, block: number, out: Float64Array): void {
  random.block(event, stage, block, words);
  const size = Math.sqrt(-2 * ln(openUniform(words[0] as number, words[1] as number)));
  sincos(2 * Math.PI * uniform(words[2] as number, words[3] as number), sinCos);
  out[0] = size * (sinCos[1] as number);
  out[1] = size * (sinCos[0] as number);
}

/** Blocks that a gamma variate may take. Fifteen trials in a row fail with a chance below 10⁻¹⁹. */
export const blocksPerGamma = 15;
/** Makes a number in [0, 1) of a word, where 32 bits are enough. */
export const twoToTheMinus32 = 2.3283064365386963e-10;

/**
 * A number with density x^(α−1) e^−x / Γ(α), α at least 1 (Marsaglia and Tsang, ACM Trans. Math. Softw. 26 (2000) 363). Takes
 * blocks from `block` on, a trial each: a normal number from 32-bit words, and the accepting one from 52 bits.
 */
export function gammaVariate(alpha: number, random: Philox, event: number, stage: number, block: number): number {
  const d = alpha - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (let trial = 0; trial < blocksPerGamma; trial++) {
    random.block(event, stage, block + trial, words);
    const size = Math.sqrt(-2 * ln(((words[0] as number) + 0.5) * twoToTheMinus32));
    sincos(2 * Math.PI * twoToTheMinus32 * (words[1] as number), sinCos);
    const x = size * (sinCos[1] as number);
    const root = 1 + c * x;
    if (root <= 0) continue;
    const v = root * root * root;
    const u = openUniform(words[2] as number, words[3] as number);
    // The first is the paper's squeeze: it spares most logarithms, and accepts nothing that the second would not.
    if (u < 1 - 0.0331 * x * x * x * x || ln(u) < 0.5 * x * x + d * (1 - v + ln(v))) return d * v;
  }
  return d;
}

/** The log-normal number of this mean and standard deviation that belongs to a standard normal one; 0 for a mean of 0. */
export function logNormal(mean: number, sigma: number, normal: number): number {
  if (mean <= 0) return 0;
  const relative = sigma / mean;
  const variance = ln(1 + relative * relative);
  return mean * exp(Math.sqrt(variance) * normal - variance / 2);
}
