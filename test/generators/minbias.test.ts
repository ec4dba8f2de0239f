import { expect, test } from 'vitest';
import type { EventColumns } from '../../core/columns.ts';
import { minbias, negativeBinomialTable } from '../../generators/minbias.ts';
import { column, expectDistribution, expectMean, expectShare, histogram, kinematicsOf, makerOf } from './sample.ts';

const probability = (table: Float64Array, n: number): number => (table[n] ?? 0) - (table[n - 1] ?? 0);

test('the table of mean 20, k 3 holds the published probabilities', () => {
  const table = negativeBinomialTable(20, 3);
  expect(probability(table, 0)).toBeCloseTo(0.0022191173, 9);
  expect(probability(table, 1)).toBeCloseTo(0.0057890016, 9);
  expect(probability(table, 10)).toBeCloseTo(0.0362031024, 9);
  expect(probability(table, 20)).toBeCloseTo(0.0313209863, 9);
});

test.for([
  { mean: 20, k: 3, variance: 153.333333 },
  { mean: 28.592665, k: 3.832724, variance: 241.898 },
  { mean: 0.01, k: 0.5, variance: 0.0102 },
  { mean: 500, k: 0.5, variance: 500_500 },
  { mean: 0.01, k: 1_000, variance: 0.0100001 },
  { mean: 500, k: 1_000, variance: 750 },
])('the table of mean $mean, k $k rises to 1, is not long, and has its mean and variance', ({ mean, k, variance }) => {
  const table = negativeBinomialTable(mean, k);
  expect(table.length).toBeLessThan(40_000);
  expect(table.at(-1)).toBe(1);
  let [sum, squares] = [0, 0];
  for (let n = 0; n < table.length; n++) {
    expect(probability(table, n)).toBeGreaterThanOrEqual(0);
    sum += n * probability(table, n);
    squares += n * n * probability(table, n);
  }
  expect(sum / mean).toBeCloseTo(1, 8);
  expect((squares - sum * sum) / variance).toBeCloseTo(1, 5);
});

test.for([
  { name: 'the default', mean: 20, k: 3, variance: 153.333333 },
  { name: 'UA5 at 540 GeV', mean: 28.592665, k: 3.832724, variance: 241.898 },
])(
  'multiplicity of $name has the mean, variance and probabilities of the negative binomial',
  ({ mean, k, variance }) => {
    const events = 100_000;
    const counts = column(makerOf(minbias, { mean, k }, 21).make({ first: 0, end: events }), 'nGenPart') as Int32Array;
    expectMean(counts, mean, '<n>');
    expectMean(
      Float64Array.from(counts, (n) => (n - mean) * (n - mean)),
      variance,
      'variance of n',
    );
    const table = negativeBinomialTable(mean, k);
    for (const n of [0, 1, 10, 20])
      expectShare(counts.filter((count) => count === n).length, events, probability(table, n), `P(${n})`);
    // All of the distribution, the tail in one bin.
    const end = 80;
    const expected = Array.from(
      { length: end + 1 },
      (_, n) => events * (n < end ? probability(table, n) : 1 - (table[end - 1] ?? 0)),
    );
    expectDistribution(
      histogram(
        counts.map((n) => Math.min(n, end)),
        end + 1,
        0,
        end + 1,
      ),
      expected,
      'n',
    );
  },
);

const sample: EventColumns = makerOf(minbias, {}, 22).make({ first: 0, end: 20_000 });
const pions = column(sample, 'GenPart_pt').length;
const slope = 0.35;

test('pT has the mean and spread of pT exp(−pT/slope), and its distribution', () => {
  const pt = column(sample, 'GenPart_pt') as Float32Array;
  expectMean(pt, 2 * slope, '<pT>');
  expectMean(
    Float64Array.from(pt, (value) => (value - 2 * slope) ** 2),
    2 * slope * slope,
    'variance of pT',
  );
  // The share above x is (1 + x/slope) exp(−x/slope).
  const above = (x: number) => (1 + x / slope) * Math.exp(-x / slope);
  const [bins, high] = [50, 10 * slope];
  const expected = Array.from({ length: bins }, (_, i) => {
    const [from, to] = [(i * high) / bins, ((i + 1) * high) / bins];
    return pions * (above(from) - (i === bins - 1 ? 0 : above(to)));
  });
  expectDistribution(histogram(pt, bins, 0, high), expected, 'pT');
});

test('<pT> follows the slope, and eta its bound', () => {
  const made = makerOf(minbias, { slope: 0.6, etaMax: 5 }, 23).make({ first: 0, end: 2_000 });
  expectMean(column(made, 'GenPart_pt'), 1.2, '<pT>');
  const eta = column(made, 'GenPart_eta');
  expectDistribution(histogram(eta, 40, -5, 5), new Array(40).fill(eta.length / 40), 'eta');
});

test('pseudorapidity and azimuth are flat', () => {
  const flat = new Array(50).fill(pions / 50);
  expectDistribution(histogram(column(sample, 'GenPart_eta'), 50, -2.5, 2.5), flat, 'eta');
  expectDistribution(histogram(column(sample, 'GenPart_phi'), 50, -Math.PI, Math.PI), flat, 'phi');
});

test('charges balance on average, and no quantity of a pion knows of another', () => {
  const pdgId = column(sample, 'GenPart_pdgId') as Int32Array;
  const { pt, eta, phi } = kinematicsOf(sample);
  expectShare(pdgId.filter((id) => id === 211).length, pions, 0.5, 'positive pions');
  expect(new Set(pdgId)).toEqual(new Set([211, -211]));
  const centred = {
    charge: Float64Array.from(pdgId, (id) => Math.sign(id)),
    pt: Float64Array.from(pt, (value) => value - 2 * slope),
    eta: Float64Array.from(eta),
    phi: Float64Array.from(phi),
  };
  const names = Object.keys(centred) as (keyof typeof centred)[];
  for (const a of names) {
    for (const b of names) {
      // Within a particle (lag 0), and with the next one, of the same event or the next.
      for (const lag of a < b ? [0, 1] : [1]) {
        const products = centred[a].subarray(lag).map((value, i) => value * (centred[b][i] ?? 0));
        expectMean(products, 0, `<${a} ${b}> at lag ${lag}`);
      }
    }
  }
});

test('multiplicity knows nothing of the previous event, nor of the momenta', () => {
  const counts = Float64Array.from(column(sample, 'nGenPart'), (n) => n - 20);
  expectMean(
    counts.subarray(1).map((n, i) => n * (counts[i] ?? 0)),
    0,
    '<n n′>',
  );
  const offsets = sample.offsets['nGenPart'] as Int32Array;
  const pt = column(sample, 'GenPart_pt');
  const first = counts.map((n, i) =>
    (offsets[i + 1] ?? 0) > (offsets[i] ?? 0) ? n * ((pt[offsets[i] ?? 0] ?? 0) - 2 * slope) : 0,
  );
  expectMean(first, 0, '<n pT>');
});

test('every pion is on its mass shell', () => {
  const { px, py, pz, E } = kinematicsOf(sample);
  for (let i = 0; i < pions; i += 11) {
    const expected = Math.hypot(px[i] ?? 0, py[i] ?? 0, pz[i] ?? 0, 0.13957039);
    expect(Math.abs((E[i] ?? 0) / expected - 1)).toBeLessThan(1e-14);
  }
  expect(new Set(column(sample, 'GenPart_mass') as Float32Array)).toEqual(new Set([Math.fround(0.13957039)]));
});
