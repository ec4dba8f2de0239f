// The table is in the project's own facts: formulas evaluated independently, with mZ 91.1876, ΓZ 2.4952, sin²θW 0.23152.
import { expect, test } from 'vitest';
import type { EeMuMuParameters } from '../../generators/ee-mumu.ts';
import {
  angularCoefficients,
  eeMuMu,
  forwardBackwardAsymmetry,
  symmetricCos,
  totalCrossSection,
} from '../../generators/ee-mumu.ts';
import { column, expectDistribution, expectMean, expectShare, histogram, kinematicsOf, makerOf } from './sample.ts';

const defaults = eeMuMu.parameters.parse({});

const table = [
  { sqrtS: 10, sigma: 868.520255, afb: -0.006409, meanCos: -0.004273 },
  { sqrtS: 34, sigma: 75.331242, afb: -0.084722, meanCos: -0.056481 },
  { sqrtS: 91.1876, sigma: 1750.779069, afb: 0.016118, meanCos: 0.010745 },
  { sqrtS: 200, sigma: 2.613581, afb: 0.555306, meanCos: 0.370204 },
];

test.for(table)(
  'cross section and asymmetry at $sqrtS GeV are the published ones',
  ({ sqrtS, sigma, afb, meanCos }) => {
    const parameters = { ...defaults, sqrtS };
    expect(totalCrossSection(parameters)).toBeCloseTo(sigma, 5);
    expect(forwardBackwardAsymmetry(parameters)).toBeCloseTo(afb, 6);
    const { A, B } = angularCoefficients(parameters);
    expect(B / (4 * A)).toBeCloseTo(meanCos, 6);
  },
);

test('the cross section goes with alpha squared: 2006.692 pb at the Z with alpha 1/128', () => {
  expect(totalCrossSection({ ...defaults, alpha: 1 / 128 })).toBeCloseTo(2006.692, 3);
});

test('with a Z too heavy to matter only the photon is left: 86.8545 nb over s, and no asymmetry', () => {
  const photon = { ...defaults, sqrtS: 10, mZ: 1_000_000 };
  expect(totalCrossSection(photon)).toBeCloseTo(868.545, 3);
  expect(forwardBackwardAsymmetry(photon)).toBeCloseTo(0, 9);
});

test('the declared cross section is the formula, in picobarn, without numerical error', () => {
  expect(eeMuMu.crossSection?.(defaults)).toEqual({ value: totalCrossSection(defaults), error: 0, unit: 'pb' });
});

test('the root of x³ + 3x = 4u is found to the last digits, rises with u, and stays below 1', () => {
  let previous = 0;
  const inner = Array.from({ length: 20_000 }, (_, i) => (i + 0.5) / 20_000);
  for (const u of [2 ** -53, 1e-12, 1e-6, ...inner, 1 - 1e-9, 1 - 2 ** -53]) {
    const x = symmetricCos(u);
    expect(Math.abs((x * (x * x + 3)) / (4 * u) - 1)).toBeLessThan(1e-15);
    expect(x).toBeGreaterThan(previous);
    expect(x).toBeLessThan(1);
    previous = x;
  }
});

/** cosθ of the μ− of many events. */
function cosines(parameters: Partial<EeMuMuParameters>, events: number, seed: number): Float64Array {
  const made = makerOf(eeMuMu, parameters, seed).make({ first: 0, end: events });
  const pz = column(made, 'GenPart_pz');
  const energy = column(made, 'GenPart_E');
  return Float64Array.from({ length: events }, (_, i) => (pz[2 * i] ?? 0) / (energy[2 * i] ?? 0));
}

const events = 200_000;

test.for(table)(
  'cosθ at $sqrtS GeV has the mean, the spread and the asymmetry of the formula',
  ({ sqrtS, afb, meanCos }) => {
    const cos = cosines({ sqrtS }, events, 11);
    expectMean(cos, meanCos, '<cos>');
    expectMean(
      cos.map((c) => c * c),
      2 / 5,
      '<cos²>',
    );
    expectMean(
      cos.map((c) => c * c * c),
      0.6 * meanCos,
      '<cos³>',
    );
    expectShare(cos.filter((c) => c > 0).length, events, (1 + afb) / 2, 'forward muons');
  },
);

test.for(table)('cosθ at $sqrtS GeV is distributed as A (1 + c²) + B c over its whole range', ({ sqrtS }) => {
  const bins = 50;
  const { A, B } = angularCoefficients({ ...defaults, sqrtS });
  const integral = (c: number) => A * (c + (c * c * c) / 3) + (B * c * c) / 2;
  const edges = Array.from({ length: bins + 1 }, (_, i) => (2 * i) / bins - 1);
  const expected = edges
    .slice(1)
    .map((edge, i) => (events * (integral(edge) - integral(edges[i] ?? 0))) / (integral(1) - integral(-1)));
  expectDistribution(histogram(cosines({ sqrtS }, events, 12), bins, -1, 1), expected, 'cosθ');
});

test('azimuth is flat, and knows nothing of cosθ', () => {
  const made = makerOf(eeMuMu, {}, 13).make({ first: 0, end: events });
  const phi = Float64Array.from({ length: events }, (_, i) => column(made, 'GenPart_phi')[2 * i] ?? 0);
  expectDistribution(histogram(phi, 50, -Math.PI, Math.PI), new Array(50).fill(events / 50), 'phi');
  const eta = column(made, 'GenPart_eta');
  expectMean(
    phi.map((angle, i) => angle * Math.sign(eta[2 * i] ?? 0)),
    0,
    '<phi sign(eta)>',
  );
});

test('energy and momentum are conserved in every event, and the muons are massless to rounding', () => {
  for (const sqrtS of [1, 91.1876, 10_000]) {
    const made = makerOf(eeMuMu, { sqrtS }, 14).make({ first: 0, end: 5_000 });
    const { px, py, pz, E } = kinematicsOf(made);
    for (let i = 0; i < 2 * made.events; i += 2) {
      for (const momentum of [px, py, pz]) expect((momentum[i] ?? NaN) + (momentum[i + 1] ?? NaN)).toBe(0);
      expect((E[i] ?? 0) + (E[i + 1] ?? 0)).toBe(sqrtS);
      const p = Math.hypot(px[i] ?? 0, py[i] ?? 0, pz[i] ?? 0);
      expect(Math.abs(p / (E[i] ?? 0) - 1)).toBeLessThan(1e-15);
    }
  }
});

test('every event is one μ− and one μ+ in the final state, of weight 1 and mass 0', () => {
  const made = makerOf(eeMuMu).make({ first: 0, end: 100 });
  expect(new Set(column(made, 'nGenPart') as Int32Array)).toEqual(new Set([2]));
  expect([...(column(made, 'GenPart_pdgId') as Int32Array)]).toEqual(
    Array.from({ length: 100 }, () => [13, -13]).flat(),
  );
  expect(new Set(column(made, 'GenPart_status') as Int32Array)).toEqual(new Set([1]));
  expect(new Set(column(made, 'GenPart_mass') as Float32Array)).toEqual(new Set([0]));
  expect(new Set(column(made, 'genWeight') as Float32Array)).toEqual(new Set([1]));
});

test('random words all zero or all one still give finite muons off the beam axis', () => {
  for (const word of [0, 0xffffffff]) {
    const maker = eeMuMu.prepare(defaults, {
      block: (_event: number, _stage: number, _block: number, out: Uint32Array) => void out.fill(word),
    } as never);
    const made = maker.make({ first: 0, end: 1 });
    for (const { name, type } of eeMuMu.columns.filter(({ type }) => type.startsWith('float'))) {
      for (const value of Array.from(column(made, name))) {
        expect(Number.isFinite(value), `${name} ${type}`).toBe(true);
        expect(Object.is(value, -0), name).toBe(false);
      }
    }
    expect(column(made, 'GenPart_pt')[0]).toBeGreaterThan(0);
    expect(Math.abs(column(made, 'GenPart_eta')[0] ?? 0)).toBeLessThan(18.8);
  }
});
