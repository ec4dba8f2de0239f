// The random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC11, "Parallel random numbers: as easy as 1, 2, 3").
// A block of four words is a pure function of key and counter, so event i needs nothing of event i − 1.
// The key is the derivation's, the counter is (block, stage, event): no state to carry, seek or share.

const multiplier0Low = 0x1f53;
const multiplier0High = 0xd251;
const multiplier1Low = 0x8d57;
const multiplier1High = 0xcd9e;
const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;
const rounds = 10;

const twoToThe32 = 4294967296;

/** The Philox4x32-10 block of a counter (four words) under a key (two words), written into `out[0..3]`. Allocates nothing. */
export function philox4x32(
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key0: number,
  key1: number,
  out: Uint32Array,
): void {
  let x0 = counter0 | 0;
  let x1 = counter1 | 0;
  let x2 = counter2 | 0;
  let x3 = counter3 | 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < rounds; round++) {
    // The high words of x0 × multiplier0 and x2 × multiplier1, from 16-bit halves: every partial sum fits 32 bits.
    const a = x0 & 0xffff;
    const b = x0 >>> 16;
    const aMiddle = (Math.imul(b, multiplier0Low) + (Math.imul(a, multiplier0Low) >>> 16)) | 0;
    const aCarry = (Math.imul(a, multiplier0High) + (aMiddle & 0xffff)) | 0;
    const high0 = (Math.imul(b, multiplier0High) + (aMiddle >>> 16) + (aCarry >>> 16)) | 0;
    const c = x2 & 0xffff;
    const d = x2 >>> 16;
    const cMiddle = (Math.imul(d, multiplier1Low) + (Math.imul(c, multiplier1Low) >>> 16)) | 0;
    const cCarry = (Math.imul(c, multiplier1High) + (cMiddle & 0xffff)) | 0;
    const high1 = (Math.imul(d, multiplier1High) + (cMiddle >>> 16) + (cCarry >>> 16)) | 0;
    const low0 = Math.imul(x0, multiplier0);
    const low1 = Math.imul(x2, multiplier1);
    x0 = high1 ^ x1 ^ k0;
    x1 = low1;
    x2 = high0 ^ x3 ^ k1;
    x3 = low0;
    k0 = (k0 + weyl0) | 0;
    k1 = (k1 + weyl1) | 0;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

/** The random words of one derivation. */
export class Philox {
  readonly #key0: number;
  readonly #key1: number;

  /** The key, as two unsigned 32-bit words. */
  constructor(key0: number, key1: number) {
    this.#key0 = key0 | 0;
    this.#key1 = key1 | 0;
  }

  /**
   * Writes four random words into `out[0..3]`, from the counter (block, stage, event's low word, event's high word).
   * `event` is the event index, any safe integer; `stage` separates the purposes a generator draws for,
   * so that drawing more for one never shifts another; `block` counts within the stage; both are unsigned 32-bit.
   */
  block(event: number, stage: number, block: number, out: Uint32Array): void {
    philox4x32(block, stage, event, Math.floor(event / twoToThe32), this.#key0, this.#key1, out);
  }
}

const idPattern = /^[0-9a-f]{64}$/;

/** The random words of a derivation: the key is the first 8 bytes of its id, as two big-endian words. */
export function philoxOf(derivationId: string): Philox {
  if (!idPattern.test(derivationId)) throw new TypeError(`"${derivationId}" is not a derivation id.`);
  return new Philox(Number.parseInt(derivationId.slice(0, 8), 16), Number.parseInt(derivationId.slice(8, 16), 16));
}

/** Two words as a number in [0, 1): 53 bits, every value a multiple of 2^-53. Ignores the lowest 5 and 6 bits. */
export function uniform(high: number, low: number): number {
  return ((high >>> 5) * 67108864 + (low >>> 6)) * 1.1102230246251565e-16;
}

/** Two words as a number in (0, 1), both ends excluded, for logarithms: (k + ½) × 2^-52. Ignores the lowest 6 bits of each. */
export function openUniform(high: number, low: number): number {
  return ((high >>> 6) * 67108864 + (low >>> 6) + 0.5) * 2.220446049250313e-16;
}
