// What a detector makes of a particle code of the Particle Data Group ("Monte Carlo particle numbering scheme", Review of
// Particle Physics): how it shows itself, and its charge.

/** How a final particle shows itself in the detector. */
export type Kind = 'invisible' | 'muon' | 'electromagnetic' | 'hadron';

const electron = 11;
const muon = 13;
const photon = 22;
/** Of the electron, the muon, the tau and, should it exist, a fourth. */
const neutrinos: readonly number[] = [12, 14, 16, 18];

/** Whatever is neither lepton nor photon is a hadron, and so is a tau that nobody decayed. */
export function kindOf(pdgId: number): Kind {
  const code = Math.abs(pdgId);
  if (code === electron || code === photon) return 'electromagnetic';
  if (code === muon) return 'muon';
  return neutrinos.includes(code) ? 'invisible' : 'hadron';
}

export function isElectron(pdgId: number): boolean {
  return Math.abs(pdgId) === electron;
}

/** Codes up to here are built of quark digits; beyond are nuclei and what nobody has seen. */
const codeMax = 9_999_999;

/**
 * Charge in units of the positron's, for leptons, W and H+, mesons and baryons; anything else is taken for neutral. A hadron's is
 * the sum of its quarks': digits 2, 3, 4 from the right, of which a meson's heavier one is an antiquark when it is down-like.
 */
export function chargeOf(pdgId: number): number {
  const code = Math.abs(pdgId);
  const sign = pdgId < 0 ? -1 : 1;
  if (code > 10 && code < 19) return code % 2 === 1 ? -sign : 0;
  if (code === 24 || code === 37) return sign;
  if (code < 100 || code > codeMax) return 0;
  const third = digit(code, 10);
  const second = digit(code, 100);
  const first = digit(code, 1_000);
  if (second === 0 || third === 0) return 0;
  // In thirds.
  const charge =
    first === 0
      ? (thirds(second) - thirds(third)) * (second % 2 === 0 ? 1 : -1)
      : thirds(first) + thirds(second) + thirds(third);
  // Adding 0 turns −0 into 0.
  return (sign * charge) / 3 + 0;
}

function digit(code: number, place: number): number {
  return Math.floor(code / place) % 10;
}

/** Charge of a quark, in thirds: u, c, t have even codes. */
function thirds(quark: number): number {
  return quark % 2 === 0 ? 2 : -1;
}
