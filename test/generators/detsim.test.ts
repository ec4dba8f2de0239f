import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EventColumns } from '../../core/columns.ts';
import { EvokeError } from '../../core/errors.ts';
import { detsim } from '../../generators/detsim.ts';
import { eeMuMu } from '../../generators/ee-mumu.ts';
import type { EventMaker, Generator } from '../../generators/generator.ts';
import { spotNumber } from '../../generators/grindhammer-peters.ts';
import { minbias } from '../../generators/minbias.ts';
import { particleColumns } from '../../generators/particles.ts';
import { philoxOf } from '../../generators/philox.ts';
import { clusterSigma, trackSigma } from '../../generators/resolution.ts';
import { gun, repeated, type Shot } from './gun.ts';
import { column, expectMean, expectSameBits, makerOf } from './sample.ts';

const detail = 0.02;

function simulator(given = { detail }, key = '7e'): EventMaker {
  return detsim.prepare(given, philoxOf(key.repeat(32)));
}

function simulated(input: EventColumns, first = 0, maker = simulator()): EventColumns {
  return maker.make({ first, end: first + input.events }, input);
}

/** A column's values of one event. */
function of(made: EventColumns, name: string, event = 0): number[] {
  const offsets = made.offsets[`n${name.split('_')[0]}`];
  const values = made.values[name] ?? new Float64Array();
  return Array.from(values.subarray(offsets?.[event] ?? event, offsets?.[event + 1] ?? event + 1), Number);
}

const energyNames = [1, 2, 3, 4, 5].map((layer) => `Cluster_E${layer}`);

/** Of every cluster of a sample: GeV left in the layers. */
function kept(made: EventColumns): number[] {
  return Array.from(column(made, 'Cluster_E1'), (_, at) =>
    energyNames.reduce((sum, name) => sum + (column(made, name)[at] ?? NaN), 0),
  );
}

const input = makerOf(minbias).make({ first: 0, end: 200 });
const made = simulated(input);

describe('over minimum bias', () => {
  test('the particles are handed on as they are', () => {
    for (const { name } of particleColumns) expect(made.values[name]).toBe(input.values[name]);
    expect(made.offsets['nGenPart']).toBe(input.offsets['nGenPart']);
  });

  test('every particle leaves a track and a cluster of its own, in their order, and the track has its charge and direction', () => {
    const particles = Array.from(column(input, 'nGenPart'));
    expect(Array.from(column(made, 'nTrack'))).toEqual(particles);
    expect(Array.from(column(made, 'nCluster'))).toEqual(particles);
    expect(column(made, 'Track_eta')).toEqual(input.values['GenPart_eta']);
    expect(column(made, 'Track_phi')).toEqual(input.values['GenPart_phi']);
    expect(Array.from(column(made, 'Track_charge'))).toEqual(
      Array.from(column(input, 'GenPart_pdgId'), (code) => (code > 0 ? 1 : -1)),
    );
    const indices = particles.flatMap((count) => Array.from({ length: count }, (_, index) => index));
    expect(Array.from(column(made, 'Track_genPartIdx'))).toEqual(indices);
    expect(Array.from(column(made, 'Cluster_genPartIdx'))).toEqual(indices);
  });

  test('the energies of every cluster’s layers and its leakage sum to its particle’s energy to the last bit', () => {
    const leakage = column(made, 'Cluster_leakage');
    expect(kept(made).map((energy, at) => energy + (leakage[at] ?? NaN))).toEqual(
      Array.from(column(input, 'GenPart_E')),
    );
  });

  test('spots are as many as the formula says, and their number per event, which is its CPU time, has a long tail', () => {
    const spots = Array.from(column(made, 'Cluster_nSpot'));
    const energies = column(input, 'GenPart_E');
    expect(spots).toEqual(spots.map((_, at) => Math.max(1, Math.round(detail * spotNumber(energies[at] ?? NaN)))));
    const perEvent = Array.from({ length: made.events }, (_, event) =>
      of(made, 'Cluster_nSpot', event).reduce((sum, count) => sum + count, 0),
    ).sort((a, b) => a - b);
    const [median = 0, nearlyAll = 0] = [perEvent[100], perEvent[196]];
    expect(nearlyAll / median).toBeGreaterThan(2.5);
  });

  test('the missing momentum is the negative sum of the clusters', () => {
    for (let event = 0; event < 50; event++) {
      const [E, eta, idx] = ['Cluster_E', 'Cluster_eta', 'Cluster_genPartIdx'].map((name) => of(made, name, event));
      expect(eta).toHaveLength(E?.length ?? NaN);
      let [x, y, sum] = [0, 0, 0];
      E?.forEach((energy, at) => {
        const index = idx?.[at] ?? NaN;
        const [px = 0, py = 0, pz = 0] = ['px', 'py', 'pz'].map((name) => of(input, `GenPart_${name}`, event)[index]);
        const p = Math.hypot(px, py, pz);
        x -= (energy * px) / p;
        y -= (energy * py) / p;
        sum += (energy * Math.hypot(px, py)) / p;
      });
      expect(of(made, 'MET_pt', event)[0]).toBeCloseTo(Math.hypot(x, y), 3);
      expect(of(made, 'MET_sumEt', event)[0]).toBeCloseTo(sum, 3);
      const phi = of(made, 'MET_phi', event)[0] ?? NaN;
      if (sum > 0) expect(Math.cos(phi - Math.atan2(y, x))).toBeGreaterThan(1 - 1e-5);
    }
  });
});

test('events without particles are events without tracks and clusters', () => {
  const empty = simulated(gun([[], [], []], 5), 5);
  for (const name of ['nTrack', 'nCluster', 'MET_pt', 'MET_phi', 'MET_sumEt']) {
    expect(Array.from(column(empty, name)), name).toEqual([0, 0, 0]);
  }
  expect(column(empty, 'Cluster_E')).toHaveLength(0);
});

test.for([
  { what: 'ECAL', shot: { pdgId: 22, energy: 50, eta: 0.5 }, sigma: 0.719 },
  { what: 'forward ECAL', shot: { pdgId: -11, energy: 50, eta: 4 }, sigma: 2.667 },
  { what: 'HCAL', shot: { pdgId: 2112, energy: 50, eta: -0.5 }, sigma: 4.285 },
])('50 GeV in the $what are measured with a width of $sigma GeV around what was left', ({ shot, sigma }) => {
  const events = 1_000;
  const showers = simulated(repeated(events, shot), 0, simulator({ detail: 0.01 }));
  const measured = Array.from(column(showers, 'Cluster_E'));
  const left = kept(showers);
  const sigmas = left.map((energy) =>
    clusterSigma(shot.pdgId === 2112 ? 'hadron' : 'electromagnetic', energy, Math.abs(shot.eta)),
  );
  expectMean(
    measured.map((energy, at) => energy - (left[at] ?? NaN)),
    0,
    'bias',
  );
  expectMean(
    measured.map((energy, at) => ((energy - (left[at] ?? NaN)) / (sigmas[at] ?? NaN)) ** 2),
    1,
    'width',
  );
  // What leaks is little, so the width at 50 GeV holds within a few percent.
  const mean = sigmas.reduce((sum, width) => sum + width, 0) / events;
  expect(Math.abs(mean / sigma - 1)).toBeLessThan(0.05);
});

test.for([
  { pdgId: 211, eta: 0.3, kind: 'hadron' },
  { pdgId: 11, eta: -1.2, kind: 'electromagnetic' },
  { pdgId: -13, eta: 2.2, kind: 'muon' },
] as const)(
  'the tracks of $pdgId are measured with the resolution of their kind and region',
  ({ pdgId, eta, kind }) => {
    const energy = 40 * Math.cosh(eta);
    const tracks = simulated(repeated(1_000, { pdgId, energy, eta }), 0, simulator({ detail: 0.01 }));
    const sigma = trackSigma(kind, pdgId, 40, Math.abs(eta));
    const pulls = Array.from(column(tracks, 'Track_pt'), (pt) => (pt - 40) / sigma);
    expectMean(pulls, 0, 'bias');
    expectMean(
      pulls.map((pull) => pull * pull),
      1,
      'width',
    );
  },
);

test('what leaves what: charge and acceptance decide on tracks, kind and acceptance on clusters', () => {
  const cases: [Shot, tracks: number, clusters: number][] = [
    [{ pdgId: 211, energy: 5, eta: 2.49 }, 1, 1],
    [{ pdgId: -211, energy: 5, eta: -2.51 }, 0, 1],
    [{ pdgId: 22, energy: 5 }, 0, 1],
    [{ pdgId: 130, energy: 5, eta: 4.89 }, 0, 1],
    [{ pdgId: 130, energy: 5, eta: 4.91 }, 0, 0],
    [{ pdgId: 12, energy: 5 }, 0, 0],
    [{ pdgId: -16, energy: 5 }, 0, 0],
    [{ pdgId: 13, energy: 5 }, 1, 1],
    [{ pdgId: 22, energy: 0.009 }, 0, 0],
    [{ pdgId: 11, energy: 0.009 }, 1, 0],
  ];
  const seen = simulated(gun(cases.map(([shot]) => [shot])));
  expect(cases.map((_, event) => [of(seen, 'nTrack', event)[0], of(seen, 'nCluster', event)[0]])).toEqual(
    cases.map(([, tracks, clusters]) => [tracks, clusters]),
  );
});

test('only final particles are simulated', () => {
  const shots = gun([
    [
      { pdgId: 22, energy: 3 },
      { pdgId: 22, energy: 7 },
    ],
  ]);
  (shots.values['GenPart_status'] as Int32Array)[0] = 2;
  const seen = simulated(shots);
  expect(of(seen, 'Cluster_genPartIdx')).toEqual([1]);
});

test('two back-to-back muons balance by their tracks, and leave little in the calorimeter', () => {
  const muons = makerOf(eeMuMu).make({ first: 0, end: 500 });
  const seen = simulated(muons);
  for (let event = 0; event < 500; event++) {
    if (of(seen, 'nTrack', event)[0] !== 2) continue;
    const [a = NaN, b = NaN] = of(seen, 'Track_pt', event);
    expect(of(seen, 'MET_pt', event)[0]).toBeCloseTo(Math.abs(a - b), 3);
    expect(of(seen, 'MET_sumEt', event)[0]).toBeCloseTo(a + b, 3);
  }
  expectMean(kept(seen), 0.227, 'energy loss');
});

test('what a particle leaves depends on its place in the event and on nothing else in it', () => {
  const shots: Shot[] = [
    { pdgId: 211, energy: 3, mass: 0.13957 },
    { pdgId: 22, energy: 2, eta: 1 },
    { pdgId: 13, energy: 9, eta: -1 },
    { pdgId: 11, energy: 1, phi: 2 },
  ];
  const whole = simulated(gun([shots], 1_000), 1_000);
  const others = simulated(
    gun([[{ pdgId: 12, energy: 8 }, { pdgId: 2212, energy: 40, eta: 1 }, ...shots.slice(2)]], 1_000),
    1_000,
  );
  for (const name of detsim.columns.map(({ name }) => name).filter((name) => name.startsWith('Cluster_'))) {
    expect(of(others, name).slice(-2), name).toEqual(of(whole, name).slice(-2));
  }
  expect(of(others, 'Track_pt').slice(-2)).toEqual(of(whole, 'Track_pt').slice(-2));
});

test('equal particles of one event, and of different events, leave different things', () => {
  const shot = { pdgId: 22, energy: 20 };
  const seen = simulated(gun([[shot, shot], [shot]]));
  for (const name of ['Cluster_E', 'Cluster_E1', 'Cluster_eta', 'Cluster_depth']) {
    expect(new Set(column(seen, name) as Float64Array).size, name).toBe(3);
  }
});

test('another seed or another detail sees the same events otherwise', () => {
  const again = simulated(input);
  expectSameBits(again, made);
  for (const other of [simulator({ detail }, '7f'), simulator({ detail: 0.03 })]) {
    expect(simulated(input, 0, other).values['Cluster_E']).not.toEqual(made.values['Cluster_E']);
  }
});

test('what was simulated can be simulated again: of its record the particles are read', () => {
  const again = simulated(made, 0, simulator({ detail }, '11'));
  expectSameBits(again, simulated(input, 0, simulator({ detail }, '11')));
});

test('an input that is missing, or has other events than were asked for, is refused', () => {
  expect(() => simulator().make({ first: 0, end: 200 })).toThrow(TypeError);
  expect(() => simulator().make({ first: 0, end: 199 }, input)).toThrow(TypeError);
});

test('whatever numbers a particle has, its event is sound or fails by its number', () => {
  const number = fc.oneof(
    fc.double(),
    fc.constantFrom(0, -0, 5e-324, 1e-300, 1e-9, 0.01, 1, 1e4, 1.0000001e6, 1e150, 1e300, NaN, Infinity, -Infinity, -1),
  );
  const particle = fc.record({
    pdgId: fc.oneof(fc.constantFrom(11, -13, 22, 211, 2112, 0, 12), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
    px: number,
    py: number,
    pz: number,
    E: fc.oneof(number, fc.double({ min: 0, max: 100, noNaN: true })),
    status: fc.constantFrom(1, 1, 1, 2),
  });
  fc.assert(
    fc.property(fc.array(particle, { minLength: 1, maxLength: 3 }), fc.nat({ max: 2 }), (particles, row) => {
      const events = gun(
        [0, 1, 2].map((at) => (at === row ? particles.map(() => ({ pdgId: 22, energy: 1 })) : [])),
        77,
      );
      for (const name of ['pdgId', 'px', 'py', 'pz', 'E', 'status'] as const) {
        particles.forEach((given, at) => {
          (events.values[`GenPart_${name}`] as Float64Array)[at] = given[name];
        });
      }
      let seen: EventColumns;
      try {
        seen = simulated(events, 77, simulator({ detail: 0.01 }));
      } catch (error) {
        expect(error).toBeInstanceOf(EvokeError);
        expect(error).toMatchObject({ code: 'GENERATION_FAILED', details: { event: 78 + row } });
        return;
      }
      for (const { name } of detsim.columns.slice(particleColumns.length)) {
        expect(Array.from(column(seen, name)).every(Number.isFinite), name).toBe(true);
      }
    }),
    { numRuns: 400 },
  );
});

test.for<[string, Record<string, number>]>([
  ['an energy that is not a number', { E: NaN }],
  ['an infinite momentum', { px: Infinity }],
  ['a negative energy', { E: -1 }],
  ['more energy than the formulas are for', { E: 1.1e6, px: 1.1e6 }],
])('%s fails the event, whose number is said', ([, change]) => {
  const events = repeated(3, { pdgId: 22, energy: 5 });
  for (const [name, value] of Object.entries(change)) (events.values[`GenPart_${name}`] as Float64Array)[1] = value;
  const failure = { code: 'GENERATION_FAILED', details: expect.objectContaining({ event: 12 }) };
  expect(() => simulated(events, 10)).toThrow(expect.objectContaining(failure));
});

test('a particle along the beam, at rest or without energy is not seen, and harms nobody', () => {
  const events = repeated(3, { pdgId: 22, energy: 5 });
  const set = (at: number, px: number, pz: number, E: number) => {
    for (const [name, value] of Object.entries({ px, py: 0, pz, E })) {
      (events.values[`GenPart_${name}`] as Float64Array)[at] = value;
    }
  };
  set(0, 0, 7_000, 7_000);
  set(1, 0, 0, 0.14);
  set(2, 0, 0, 0);
  expect(Array.from(column(simulated(events), 'nCluster'))).toEqual([0, 0, 0]);
});

test.for<[string, Generator, Record<string, number>]>([
  ['pions of 1.7 GeV', minbias, {}],
  ['pions of hundreds of GeV', minbias, { mean: 2, slope: 20, etaMax: 4 }],
  ['pions of which half pass the calorimeter by', minbias, { slope: 0.1, etaMax: 10 }],
  ['muons, which do not shower', eeMuMu, {}],
])('what it says that an event costs follows the spots of %s, also when it is simulated again', ([, source, given]) => {
  const events = 200;
  const seen = simulated(makerOf(source, given).make({ first: 0, end: events }), 0, simulator({ detail: 0.01 }));
  const left = kept(seen);
  // As many as there are without `detail`: its roundings would be what is measured.
  const spots = Array.from(column(seen, 'Cluster_leakage'), (leakage, at) => spotNumber((left[at] ?? NaN) + leakage));
  const all = source === eeMuMu ? 0 : spots.reduce((sum, count) => sum + count, 0);
  const cost = detsim.cost({ detail: 1 }, source.cost(source.parameters.parse(given)));
  const showers = cost.cpuSeconds - 5.5e-6 * (column(seen, 'GenPart_E').length / events);
  const measured = 0.31e-6 * (all / events);
  expect(showers).toBeGreaterThan(0.8 * measured);
  expect(showers).toBeLessThan(1.2 * measured + 10e-6);
  expect(detsim.cost({ detail: 1 }, cost)).toEqual(cost);
});
