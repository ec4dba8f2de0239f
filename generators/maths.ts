// The only transcendental functions a generator may use: pure JavaScript of + − × ÷ and bit operations (@stdlib, pinned),
// so they give the same bits on every machine and in every engine. `Math.exp` and its kin belong to the engine, `**` and
// `Math.pow` even to the host's C library; the lint plugin portable.grit and a test keep them out of this room.
import exp from '@stdlib/math-base-special-exp';
import ln from '@stdlib/math-base-special-ln';
import stdlibSincos from '@stdlib/math-base-special-sincos';
import sinh from '@stdlib/math-base-special-sinh';

export { exp, ln, sinh };

/** Writes sin(x) to `out[0]` and cos(x) to `out[1]`; x in radians. */
export function sincos(x: number, out: Float64Array): void {
  stdlibSincos.assign(x, out, 1, 0);
}
