import fc from 'fast-check';
import { expect, test } from 'vitest';
import { azimuth, pseudorapidity } from '../../generators/direction.ts';

const component = fc.double({ min: -1e6, max: 1e6, noNaN: true });

test('the azimuth is that of the engine’s own arc tangent, all around', () => {
  fc.assert(
    fc.property(component, component, (x, y) => {
      fc.pre(Math.abs(x) + Math.abs(y) > 1e-100);
      const difference = azimuth(x, y) - Math.atan2(y, x);
      // π and −π are the same direction.
      expect(Math.abs(Math.sin(difference))).toBeLessThan(2e-15);
      expect(Math.cos(difference)).toBeGreaterThan(0);
    }),
    {
      numRuns: 2_000,
      examples: [
        [1, 0],
        [0, 1],
        [-1, 0],
        [0, -1],
        [1, 1],
        [-1, 1],
        [-1, -1e-9],
        [3, -3],
      ],
    },
  );
  expect(azimuth(0, 0)).toBe(0);
});

test('the pseudorapidity is the inverse hyperbolic sine of the slope, with its sign, and infinite along the beam', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), component, (across, along) => {
      const expected = Math.asinh(along / across);
      expect(Math.abs(pseudorapidity(across, along) - expected)).toBeLessThan(1e-14 * Math.max(1, Math.abs(expected)));
    }),
  );
  expect([pseudorapidity(0, 1), pseudorapidity(0, -1)]).toEqual([Infinity, -Infinity]);
});
