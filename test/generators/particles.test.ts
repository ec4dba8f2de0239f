import { expect, test } from 'vitest';
import { ParticleColumns, particleColumns, particleEventBytes } from '../../generators/particles.ts';
import { bytes, column, kinematicsOf } from './sample.ts';

const still = { pdgId: 211, px: 0, py: 0, pz: 0, energy: 1, pt: 0, eta: 0, phi: 0, mass: 0 };

test('scalars are filled for events with none, one or several particles, and offsets count them', () => {
  const record = new ParticleColumns({ first: 2 ** 40, end: 2 ** 40 + 3 }, Int32Array.of(2, 0, 1)).finish();
  expect(record.events).toBe(3);
  expect(Object.keys(record.values)).toEqual(particleColumns.map(({ name }) => name));
  expect([...(record.offsets['nGenPart'] ?? [])]).toEqual([0, 2, 2, 3]);
  expect(record.values['event']).toEqual(BigUint64Array.of(2n ** 40n + 1n, 2n ** 40n + 2n, 2n ** 40n + 3n));
  for (const name of ['run', 'luminosityBlock', 'genWeight']) expect(column(record, name)).toHaveLength(3);
  expect(column(record, 'GenPart_px')).toHaveLength(3);
});

test('a range of events without any particle is whole', () => {
  const record = new ParticleColumns({ first: 0, end: 2 }, Int32Array.of(0, 0)).finish();
  expect([...(record.offsets['nGenPart'] ?? [])]).toEqual([0, 0, 0]);
  expect(column(record, 'GenPart_pt')).toHaveLength(0);
});

test('negative zeros, and what rounds to them, become zero', () => {
  const columns = new ParticleColumns({ first: 0, end: 1 }, Int32Array.of(2));
  columns.put(0, { ...still, px: -0, py: -0, pz: -0, eta: -0, phi: -0 });
  // Beneath the smallest float32.
  columns.put(1, { ...still, eta: -1e-60, phi: -1e-60 });
  const { px, py, pz, eta, phi } = kinematicsOf(columns.finish());
  for (const values of [px, py, pz, eta, phi]) expect(bytes(values).every((byte) => byte === 0)).toBe(true);
});

test('azimuths at the ends of (−π, π] stay inside when they are rounded to float32', () => {
  const columns = new ParticleColumns({ first: 0, end: 1 }, Int32Array.of(3));
  [Math.PI, -Math.PI, Math.PI - 1e-9].forEach((phi, i) => {
    columns.put(i, { ...still, phi });
  });
  for (const value of kinematicsOf(columns.finish()).phi) {
    expect(Math.abs(value)).toBeLessThan(Math.PI);
    expect(Math.abs(value)).toBeGreaterThan(Math.PI - 3e-7);
  }
});

test('an event takes 24 bytes of scalars, 40 of offsets and 56 a particle', () => {
  expect(particleEventBytes(0)).toBe(64);
  expect(particleEventBytes(2)).toBe(176);
  expect(particleEventBytes(0.5)).toBe(92);
});
