// The record of a simulated event: the generated particles as they were read, then what the detector saw, jagged over
// nTrack and nCluster. One set of typed arrays for a whole range, as in particles.ts.
import type { Column, ColumnArray, EventColumns } from '../core/columns.ts';
import { type Deposit, layerDepth, layers } from './calorimeter.ts';
import { azimuth } from './direction.ts';
import { particleColumns, roundedAzimuth } from './particles.ts';

function perTrack(name: string, type: Column['type'], unit: string, description: string): Column {
  return { name: `Track_${name}`, type, countedBy: 'nTrack', unit, description };
}

function perCluster(name: string, type: Column['type'], unit: string, description: string): Column {
  return { name: `Cluster_${name}`, type, countedBy: 'nCluster', unit, description };
}

const energyColumns: readonly Column[] = [
  ...Array.from({ length: layers }, (_, index) => {
    const depths = `${index * layerDepth} and ${(index + 1) * layerDepth} radiation lengths`;
    return perCluster(`E${index + 1}`, 'float64', 'GeV', `Energy left between ${depths}, not smeared`);
  }),
  perCluster('leakage', 'float64', 'GeV', 'Energy behind the last layer: it and the layers sum to GenPart_E exactly'),
];
const energyNames = energyColumns.map(({ name }) => name);

/** In the order of the record. */
export const detectorColumns: readonly Column[] = [
  ...particleColumns,
  { name: 'nTrack', type: 'int32', unit: '1', description: 'Number of tracks: charged particles with |eta| up to 2.5' },
  perTrack('pt', 'float32', 'GeV', 'Transverse momentum, smeared'),
  perTrack('eta', 'float32', '1', 'Pseudorapidity, as generated'),
  perTrack('phi', 'float32', 'rad', 'Azimuth in (−π, π], as generated'),
  perTrack('charge', 'int32', '1', 'Charge in units of the positron’s'),
  perTrack('genPartIdx', 'int32', '1', 'Index into GenPart of the particle that left it'),
  {
    name: 'nCluster',
    type: 'int32',
    unit: '1',
    description: 'Number of clusters: visible particles of at least 10 MeV with |eta| up to 4.9, one each',
  },
  perCluster('E', 'float32', 'GeV', 'Measured energy: what was left in the layers, smeared'),
  perCluster('eta', 'float32', '1', 'Pseudorapidity of the centre of gravity'),
  perCluster('phi', 'float32', 'rad', 'Azimuth of the centre of gravity, in (−π, π]'),
  perCluster('depth', 'float32', '1', 'Mean depth, in radiation lengths'),
  perCluster('radius', 'float32', '1', 'Mean distance from the axis, in Molière radii'),
  perCluster('nSpot', 'int32', '1', 'Number of energy spots'),
  perCluster('genPartIdx', 'int32', '1', 'Index into GenPart of the particle that left it'),
  ...energyColumns,
  {
    name: 'MET_pt',
    type: 'float32',
    unit: 'GeV',
    description: 'Missing transverse momentum, from clusters, and from tracks for muons that have one',
  },
  { name: 'MET_phi', type: 'float32', unit: 'rad', description: 'Its azimuth, in (−π, π]' },
  { name: 'MET_sumEt', type: 'float32', unit: 'GeV', description: 'Sum of the transverse momenta it is made of' },
];

const offsetBytes = 4;
/** Of the scalar columns, and of one offset per event for each jagged column. */
const bytesPerEvent = 2 * 4 + 3 * 4 + (5 + 7 + layers + 1) * offsetBytes;
const bytesPerTrack = 5 * 4;
const bytesPerCluster = 7 * 4 + (layers + 1) * 8;

/** Bytes that the detector adds to an event in which so many particles leave a track and a cluster each. */
export function detectorEventBytes(particles: number): number {
  return bytesPerEvent + particles * (bytesPerTrack + bytesPerCluster);
}

/** What the detector adds has these types. */
const arrays = { int32: Int32Array, float32: Float32Array, float64: Float64Array } as const;

type Row = Readonly<Record<string, number>>;

/** Columns of one length while they are filled, row by row. */
class Rows {
  readonly arrays: Record<string, Int32Array | Float32Array | Float64Array> = {};
  filled = 0;

  /** The detector's columns counted by `countedBy`, or those of one value an event. */
  constructor(countedBy: string | undefined, length: number) {
    for (const column of detectorColumns.slice(particleColumns.length)) {
      if (column.countedBy !== countedBy) continue;
      this.arrays[column.name] = new arrays[column.type as keyof typeof arrays](length);
    }
  }

  /** Never a −0, so that equal values have equal bits. */
  add(row: Row): void {
    const at = this.filled++;
    for (const name in row) {
      const array = this.arrays[name] as Float64Array;
      array[at] = row[name] as number;
      if (array[at] === 0) array[at] = 0;
    }
  }
}

/** The record of consecutive events while the detector's part of it is filled, event by event in order. */
export class DetectorRecord {
  readonly #truth: EventColumns;
  readonly #events: Rows;
  readonly #tracks: Rows;
  readonly #clusters: Rows;
  readonly #offsets: { readonly nTrack: Int32Array; readonly nCluster: Int32Array };

  /** With so many tracks and clusters in all. The truth is handed on as it was read. */
  constructor(truth: EventColumns, tracks: number, clusters: number) {
    const { events } = truth;
    this.#truth = truth;
    this.#events = new Rows(undefined, events);
    this.#tracks = new Rows('nTrack', tracks);
    this.#clusters = new Rows('nCluster', clusters);
    this.#offsets = { nTrack: new Int32Array(events + 1), nCluster: new Int32Array(events + 1) };
  }

  addTrack(track: { pt: number; eta: number; phi: number; charge: number; genPartIdx: number }): void {
    this.#tracks.add({
      Track_pt: track.pt,
      Track_eta: track.eta,
      Track_phi: track.phi,
      Track_charge: track.charge,
      Track_genPartIdx: track.genPartIdx,
    });
  }

  /** `energy`: as measured. */
  addCluster(deposit: Deposit, energy: number, genPartIdx: number): void {
    const row: Record<string, number> = {
      Cluster_E: energy,
      Cluster_eta: deposit.eta,
      Cluster_phi: roundedAzimuth(deposit.phi),
      Cluster_depth: deposit.depth,
      Cluster_radius: deposit.radius,
      Cluster_nSpot: deposit.spots,
      Cluster_genPartIdx: genPartIdx,
    };
    energyNames.forEach((name, layer) => {
      row[name] = deposit.energies[layer] as number;
    });
    this.#clusters.add(row);
  }

  /** Ends an event: what was added since the last one is its own. (x, y): the missing transverse momentum, GeV. */
  endEvent(missing: { x: number; y: number; sumEt: number }): void {
    const row = this.#events.filled;
    const { nTrack, nCluster } = this.#offsets;
    nTrack[row + 1] = this.#tracks.filled;
    nCluster[row + 1] = this.#clusters.filled;
    this.#events.add({
      nTrack: this.#tracks.filled - (nTrack[row] as number),
      nCluster: this.#clusters.filled - (nCluster[row] as number),
      MET_pt: Math.sqrt(missing.x * missing.x + missing.y * missing.y),
      MET_phi: roundedAzimuth(azimuth(missing.x, missing.y)),
      MET_sumEt: missing.sumEt,
    });
  }

  finish(): EventColumns {
    const { events, values, offsets } = this.#truth;
    const all: Readonly<Record<string, ColumnArray>> = {
      ...values,
      ...this.#events.arrays,
      ...this.#tracks.arrays,
      ...this.#clusters.arrays,
    };
    return {
      events,
      values: Object.fromEntries(detectorColumns.map(({ name }) => [name, all[name] as ColumnArray])),
      offsets: { nGenPart: offsets['nGenPart'] as Int32Array, ...this.#offsets },
    };
  }
}
