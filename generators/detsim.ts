// A toy detector: event i reads event i of another dataset, tracks its charged particles as Delphes smears them, and lays out
// a Grindhammer-Peters shower for every particle that reaches the calorimeter, hadrons like electrons. There is no magnetic
// field, no noise, and nothing overlaps. CPU time per event has a long tail by nature: it grows as the sum of E^0.876.
import { z } from 'zod';
import type { EventColumns } from '../core/columns.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventsIn } from '../core/event-range.ts';
import { type Deposit, deposited, muonDeposit, showerDeposit, spotsOf } from './calorimeter.ts';
import { DetectorRecord, detectorColumns, detectorEventBytes } from './detector-columns.ts';
import type { Generator } from './generator.ts';
import { particleColumns, particleEventBytes } from './particles.ts';
import type { Philox } from './philox.ts';
import { clusterSigma, trackSigma } from './resolution.ts';
import { type Visible, visibleParticles } from './truth.ts';
import { logNormal, normalPair } from './variates.ts';

const parameters = z.strictObject({
  detail: z
    .number()
    .min(0.01)
    .max(100)
    .default(1)
    .describe('Multiplies the number of energy spots in a shower, 1: CPU per event grows with it'),
});

export type DetsimParameters = z.infer<typeof parameters>;

// Two stages a particle: positions in a record are int32, so twice the particle's index and one more stays within 32 bits.
const stagesPerParticle = 2;
const stageOfParticle = 0;
const stageOfSpots = 1;
// Blocks of the particle's stage; each makes two normal numbers.
const blockShape = 0;
const blockSmearing = 1;

export const detsim: Generator<DetsimParameters> = {
  name: 'detsim',
  version: '1',
  description: 'Toy detector over generated events: smeared tracks, Grindhammer-Peters showers in a calorimeter',
  parameters,
  columns: detectorColumns,
  reproducibility: 'exact',
  input: 'required',
  inputColumns: particleColumns.map(({ name }) => name),

  // Measured over minbias: 5 µs a particle and 0.31 µs a spot (one thread, CPU time), plus encoding at 300 MB/s. Unequal energies
  // make fewer spots than equal ones do, by some percent.
  cost({ detail }, input) {
    const { count, showering, energy } = input?.particles ?? { count: 0, showering: 0, energy: 0 };
    return {
      cpuSeconds: 3e-6 + count * 5.5e-6 + showering * spotsOf(energy, detail) * 0.29e-6,
      rawBytes: particleEventBytes(count) + detectorEventBytes(count),
      particles: { count, showering, energy },
    };
  },

  prepare({ detail }: DetsimParameters, random: Philox) {
    const shape = new Float64Array(2);
    const smearing = new Float64Array(2);

    function depositOf({ index, kind, energy, direction }: Visible, event: number): Deposit {
      const stage = index * stagesPerParticle;
      normalPair(random, event, stage + stageOfParticle, blockShape, shape);
      if (kind === 'muon') return muonDeposit(energy, direction, shape[0] as number);
      return showerDeposit(energy, direction, detail, shape, random, event, stage + stageOfSpots);
    }

    /** Adds what a particle leaves; returns the transverse momentum it is seen with, GeV: a tracked muon's is its track's. */
    function measure(particle: Visible, event: number, record: DetectorRecord): number {
      const { index, kind, pdgId, pt, eta, phi, etaSize, charge } = particle;
      normalPair(random, event, index * stagesPerParticle + stageOfParticle, blockSmearing, smearing);
      let seen = 0;
      if (particle.leavesCluster) {
        const deposit = depositOf(particle, event);
        const kept = deposited(deposit);
        const energy = logNormal(kept, clusterSigma(kind, kept, etaSize), smearing[0] as number);
        record.addCluster(deposit, energy, index);
        seen = energy * particle.direction.sinTheta;
      }
      if (particle.leavesTrack) {
        const measured = logNormal(pt, trackSigma(kind, pdgId, pt, etaSize), smearing[1] as number);
        record.addTrack({ pt: measured, eta, phi, charge, genPartIdx: index });
        if (kind === 'muon') seen = measured;
      }
      return seen;
    }

    return {
      make(range: EventRange, input?: EventColumns) {
        if (input?.events !== eventsIn(range)) throw new TypeError('The events that are to be simulated are missing.');
        const visible = Array.from({ length: input.events }, (_, row) =>
          visibleParticles(input, row, range.first + row),
        );
        const all = visible.flat();
        const tracks = all.filter(({ leavesTrack }) => leavesTrack).length;
        const clusters = all.filter(({ leavesCluster }) => leavesCluster).length;
        const record = new DetectorRecord(input, tracks, clusters);
        visible.forEach((particles, row) => {
          const missing = { x: 0, y: 0, sumEt: 0 };
          for (const particle of particles) {
            const seen = measure(particle, range.first + row, record);
            missing.x -= seen * particle.direction.cosPhi;
            missing.y -= seen * particle.direction.sinPhi;
            missing.sumEt += seen;
          }
          record.endEvent(missing);
        });
        return record.finish();
      },
    };
  },
};
