// Events of chosen particles, for the tests of what reads events.
import type { EventColumns } from '../../core/columns.ts';
import { azimuth } from '../../generators/direction.ts';
import { ParticleColumns } from '../../generators/particles.ts';

export interface Shot {
  readonly pdgId: number;
  /** GeV; of a massless particle unless `mass` is given. */
  readonly energy: number;
  readonly eta?: number;
  readonly phi?: number;
  readonly mass?: number;
}

/** Events from index `first` on, of the given particles each. */
export function gun(events: readonly (readonly Shot[])[], first = 0): EventColumns {
  const range = { first, end: first + events.length };
  const record = new ParticleColumns(
    range,
    Int32Array.from(events, (shots) => shots.length),
  );
  events.flat().forEach(({ pdgId, energy, eta = 0, phi = 0, mass = 0 }, position) => {
    const p = Math.sqrt(energy * energy - mass * mass);
    const pt = p / Math.cosh(eta);
    const [px, py, pz] = [pt * Math.cos(phi), pt * Math.sin(phi), p * Math.tanh(eta)];
    record.put(position, { pdgId, px, py, pz, energy, pt, eta, phi: azimuth(px, py), mass });
  });
  return record.finish();
}

/** The same event so many times. */
export function repeated(events: number, ...shots: Shot[]): EventColumns {
  return gun(Array.from({ length: events }, () => shots));
}
