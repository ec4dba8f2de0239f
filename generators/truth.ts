// The generated particles as a detector meets them: which of them show themselves, and where to.
import type { EventColumns } from '../core/columns.ts';
import { EvokeError } from '../core/errors.ts';
import { eventNumber } from '../core/event-range.ts';
import { type Direction, pseudorapidity } from './direction.ts';
import { statusFinal } from './particles.ts';
import { chargeOf, type Kind, kindOf } from './pdg.ts';
import { calorimeterEtaMax, trackEtaMax } from './resolution.ts';

/** A final particle within the detector's reach; GeV and rad. */
export interface Visible {
  /** Its index within the event. */
  readonly index: number;
  readonly pdgId: number;
  readonly kind: Exclude<Kind, 'invisible'>;
  readonly charge: number;
  readonly energy: number;
  readonly pt: number;
  /** |η| of its momentum. */
  readonly etaSize: number;
  readonly direction: Direction;
  /** As generated. */
  readonly eta: number;
  readonly phi: number;
  readonly leavesTrack: boolean;
  readonly leavesCluster: boolean;
}

/** Below, no shower begins: about the critical energy. */
const clusterEnergyMin = 0.01;
/** Far beyond what the formulas of showers and resolutions were fitted to. */
const energyMax = 1e6;

/**
 * The visible particles of the input's row `row`, which is event index `event`.
 * @throws EvokeError GENERATION_FAILED for a particle that cannot be: not finite, of negative energy, or beyond 10⁶ GeV and seen
 */
export function visibleParticles(input: EventColumns, row: number, event: number): Visible[] {
  const columns = input.values as Record<string, Int32Array | Float32Array | Float64Array>;
  const { GenPart_pdgId, GenPart_status, GenPart_px, GenPart_py, GenPart_pz, GenPart_E, GenPart_eta, GenPart_phi } =
    columns;
  const offsets = input.offsets['nGenPart'];
  const begin = offsets?.[row] ?? 0;
  const end = offsets?.[row + 1] ?? 0;
  const found: Visible[] = [];
  for (let at = begin; at < end; at++) {
    if (GenPart_status?.[at] !== statusFinal) continue;
    const index = at - begin;
    const pdgId = GenPart_pdgId?.[at] ?? Number.NaN;
    const px = GenPart_px?.[at] ?? Number.NaN;
    const py = GenPart_py?.[at] ?? Number.NaN;
    const pz = GenPart_pz?.[at] ?? Number.NaN;
    const energy = GenPart_E?.[at] ?? Number.NaN;
    const pt = Math.sqrt(px * px + py * py);
    const momentum = Math.sqrt(pt * pt + pz * pz);
    if (!(energy >= 0 && energy + momentum < Infinity)) throw impossible(event, index, energy, momentum);
    const kind = kindOf(pdgId);
    const etaSize = pt === 0 ? Infinity : Math.abs(pseudorapidity(pt, pz));
    if (kind === 'invisible' || etaSize > calorimeterEtaMax) continue;
    if (energy > energyMax || momentum > energyMax) throw impossible(event, index, energy, momentum);
    const charge = chargeOf(pdgId);
    found.push({
      index,
      pdgId,
      kind,
      charge,
      energy,
      pt,
      etaSize,
      direction: { sinTheta: pt / momentum, cosTheta: pz / momentum, sinPhi: py / pt, cosPhi: px / pt },
      eta: GenPart_eta?.[at] ?? Number.NaN,
      phi: GenPart_phi?.[at] ?? Number.NaN,
      leavesTrack: charge !== 0 && etaSize <= trackEtaMax,
      leavesCluster: energy >= clusterEnergyMin,
    });
  }
  return found;
}

function impossible(event: number, particle: number, energy: number, momentum: number): EvokeError {
  const number = eventNumber(event);
  return new EvokeError('GENERATION_FAILED', {
    detail: `Event ${number} cannot be simulated: its particle ${particle} has energy ${energy} and momentum ${momentum} GeV.`,
    event: number,
  });
}
