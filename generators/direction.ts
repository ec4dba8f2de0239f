// Directions in space, as detectors count them: pseudorapidity along the beam and azimuth around it, from sine, cosine and
// logarithm alone.
import { ln, sincos } from './maths.ts';

/** A unit vector. */
export interface Direction {
  readonly sinTheta: number;
  readonly cosTheta: number;
  readonly sinPhi: number;
  readonly cosPhi: number;
}

/** Of a momentum or a point with these components across and along the beam; infinite on the beam axis. */
export function pseudorapidity(across: number, along: number): number {
  const size = ln((Math.sqrt(across * across + along * along) + Math.abs(along)) / across);
  return along < 0 ? -size : size;
}

const sinCos = new Float64Array(2);

/** The angle from the x axis to (x, y), in [−π, π] to the last digits, rad; 0 for the origin. */
export function azimuth(x: number, y: number): number {
  const size = Math.sqrt(x * x + y * y);
  if (size === 0) return 0;
  const cos = x / size;
  const sin = y / size;
  const tan = Math.min(Math.abs(cos), Math.abs(sin)) / Math.max(Math.abs(cos), Math.abs(sin));
  // Within 4 mrad of the arc tangent over the octant.
  let angle = tan * (Math.PI / 4 + 0.273 * (1 - tan));
  if (Math.abs(sin) > Math.abs(cos)) angle = Math.PI / 2 - angle;
  if (cos < 0) angle = Math.PI - angle;
  if (sin < 0) angle = -angle;
  // A step adds the sine of what is missing, which leaves a sixth of its cube: 10⁻⁸, then nothing.
  for (let step = 0; step < 2; step++) {
    sincos(angle, sinCos);
    angle += sin * (sinCos[1] as number) - cos * (sinCos[0] as number);
  }
  return angle;
}
