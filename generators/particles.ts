// The record every particle generator fills: NanoAOD's names, jagged over nGenPart, beams left out.
// One set of typed arrays for a whole range; a particle is an index into them, never an object.
import type { Column, EventColumns } from '../core/columns.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventNumber, eventsIn } from '../core/event-range.ts';

const countColumn = 'nGenPart';

function perParticle(name: string, type: Column['type'], unit: string, description: string): Column {
  return { name: `GenPart_${name}`, type, countedBy: countColumn, unit, description };
}

/** In the order of the record. */
export const particleColumns: readonly Column[] = [
  { name: 'run', type: 'uint32', unit: '1', description: 'Run number, always 1' },
  { name: 'luminosityBlock', type: 'uint32', unit: '1', description: 'Luminosity block, always 1' },
  { name: 'event', type: 'uint64', unit: '1', description: 'Event number: 1 for the first event of the dataset' },
  { name: 'genWeight', type: 'float32', unit: '1', description: 'Event weight, 1: the events are unweighted' },
  { name: countColumn, type: 'int32', unit: '1', description: 'Number of generated particles, beams not counted' },
  perParticle('pdgId', 'int32', '1', 'Particle code of the Particle Data Group'),
  perParticle('status', 'int32', '1', 'HepMC status: 1 for a final particle'),
  perParticle('px', 'float64', 'GeV', 'Momentum along x'),
  perParticle('py', 'float64', 'GeV', 'Momentum along y'),
  perParticle('pz', 'float64', 'GeV', 'Momentum along z, the direction of the first beam'),
  perParticle('E', 'float64', 'GeV', 'Energy'),
  perParticle('pt', 'float32', 'GeV', 'Momentum transverse to z'),
  perParticle('eta', 'float32', '1', 'Pseudorapidity'),
  perParticle('phi', 'float32', 'rad', 'Azimuth, in (−π, π]'),
  perParticle('mass', 'float32', 'GeV', 'Mass'),
];

/** Of the scalar columns plus one offset per event for each jagged column, which has its own offsets at rest. */
const bytesPerEvent = 4 + 4 + 8 + 4 + 4 + 10 * 4;
const bytesPerParticle = 2 * 4 + 4 * 8 + 4 * 4;

/** Bytes of an event with this many particles, uncompressed; exact, and linear, so a mean gives the mean. */
export function particleEventBytes(particles: number): number {
  return bytesPerEvent + particles * bytesPerParticle;
}

/** The largest float32 below π: rounding to the nearest could leave (−π, π]. */
const phiMax = 3.1415925;
export const statusFinal = 1;

/** An azimuth, rad, as a float32 within (−π, π]. */
export function roundedAzimuth(phi: number): number {
  return Math.fround(Math.max(-phiMax, Math.min(phi, phiMax)));
}

/** A final particle; GeV and rad. Written as a literal in the call: the compiler then makes no object of it. */
export interface Particle {
  readonly pdgId: number;
  readonly px: number;
  readonly py: number;
  readonly pz: number;
  readonly energy: number;
  readonly pt: number;
  readonly eta: number;
  readonly phi: number;
  readonly mass: number;
}

/** The columns of consecutive events while they are being filled. */
export class ParticleColumns {
  /** `events + 1` positions: event i of the range has the particles [offsets[i], offsets[i + 1]). */
  readonly offsets: Int32Array;
  readonly #columns: EventColumns;
  readonly #pdgId: Int32Array;
  readonly #px: Float64Array;
  readonly #py: Float64Array;
  readonly #pz: Float64Array;
  readonly #energy: Float64Array;
  readonly #pt: Float32Array;
  readonly #eta: Float32Array;
  readonly #phi: Float32Array;
  readonly #mass: Float32Array;

  /** Events of `range` with `counts` particles each (one count per event); scalars are filled, particles are zero. */
  constructor(range: EventRange, counts: Int32Array) {
    const events = eventsIn(range);
    const numbers = new BigUint64Array(events);
    const offsets = new Int32Array(events + 1);
    let number = BigInt(eventNumber(range.first));
    let particles = 0;
    for (let i = 0; i < events; i++) {
      numbers[i] = number++;
      particles += counts[i] as number;
      offsets[i + 1] = particles;
    }
    this.offsets = offsets;
    this.#pdgId = new Int32Array(particles);
    this.#px = new Float64Array(particles);
    this.#py = new Float64Array(particles);
    this.#pz = new Float64Array(particles);
    this.#energy = new Float64Array(particles);
    this.#pt = new Float32Array(particles);
    this.#eta = new Float32Array(particles);
    this.#phi = new Float32Array(particles);
    this.#mass = new Float32Array(particles);
    this.#columns = {
      events,
      values: {
        run: new Uint32Array(events).fill(1),
        luminosityBlock: new Uint32Array(events).fill(1),
        event: numbers,
        genWeight: new Float32Array(events).fill(1),
        [countColumn]: counts,
        GenPart_pdgId: this.#pdgId,
        GenPart_status: new Int32Array(particles).fill(statusFinal),
        GenPart_px: this.#px,
        GenPart_py: this.#py,
        GenPart_pz: this.#pz,
        GenPart_E: this.#energy,
        GenPart_pt: this.#pt,
        GenPart_eta: this.#eta,
        GenPart_phi: this.#phi,
        GenPart_mass: this.#mass,
      },
      offsets: { [countColumn]: offsets },
    };
  }

  /** Writes a final particle at a position. Adding 0 turns −0 into 0, so that equal values have equal bits. */
  put(position: number, particle: Particle): void {
    this.#pdgId[position] = particle.pdgId;
    this.#px[position] = particle.px + 0;
    this.#py[position] = particle.py + 0;
    this.#pz[position] = particle.pz + 0;
    this.#energy[position] = particle.energy;
    this.#pt[position] = particle.pt;
    this.#eta[position] = Math.fround(particle.eta) + 0;
    this.#phi[position] = roundedAzimuth(particle.phi) + 0;
    this.#mass[position] = particle.mass;
  }

  finish(): EventColumns {
    return this.#columns;
  }
}
