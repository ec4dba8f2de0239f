import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { exp, ln, sincos, sinh } from '../../generators/maths.ts';
import { bytes } from './sample.ts';

const pair = new Float64Array(2);
const ofPair = (x: number, which: 0 | 1): number => {
  sincos(x, pair);
  return pair[which] as number;
};

const functions: Record<
  string,
  { portable: (x: number) => number; engine: (x: number) => number; low: number; high: number }
> = {
  exp: { portable: exp, engine: Math.exp, low: -740, high: 700 },
  ln: { portable: ln, engine: Math.log, low: 1e-300, high: 50 },
  sinh: { portable: sinh, engine: Math.sinh, low: -12, high: 12 },
  sin: { portable: (x) => ofPair(x, 0), engine: Math.sin, low: -10, high: 10 },
  cos: { portable: (x) => ofPair(x, 1), engine: Math.cos, low: -10, high: 10 },
};

/** Points without pattern: multiples of the golden ratio modulo 1, the same for ever. */
function* points(low: number, high: number, count: number): Generator<number> {
  for (let i = 1; i <= count; i++) yield low + (high - low) * ((i * 0.6180339887498949) % 1);
}

test.for(Object.entries(functions))('%s agrees with the engine to a few units in the last place', ([, it]) => {
  for (const x of points(it.low, it.high, 20_000)) {
    const [portable, engine] = [it.portable(x), it.engine(x)];
    const scale = Math.max(Math.abs(engine), 5e-324, it.engine === Math.sin || it.engine === Math.cos ? 1e-3 : 0);
    expect(Math.abs(portable - engine) / scale, `at ${x}`).toBeLessThan(2e-15);
  }
});

test('exact points are exact', () => {
  expect([exp(0), exp(-Infinity), ln(1), ln(0), sinh(0)]).toEqual([1, 0, 0, -Infinity, 0]);
  sincos(0, pair);
  expect([...pair]).toEqual([0, 1]);
  expect(ln(-1)).toBeNaN();
});

test('the results are bit for bit those ever given: another version of the functions is another version of every generator', () => {
  const digests = Object.entries(functions).map(([name, it]) => {
    const results = Float64Array.from(points(it.low, it.high, 10_000), it.portable);
    return [name, createHash('sha256').update(bytes(results)).digest('hex').slice(0, 16)];
  });
  expect(Object.fromEntries(digests)).toEqual({
    exp: '5d1ee61dea1b53d8',
    ln: '270f56049be42b3b',
    sinh: '50e7079fcebe1671',
    sin: '892a7416efc3b4c6',
    cos: 'f7bacdefc81139d2',
  });
});

test('the functions are pure JavaScript: no native addon is loaded, and the engine computes nothing transcendental', () => {
  exp(1);
  const loaded = Object.keys(createRequire(import.meta.url).cache).filter((file) => file.includes('@stdlib'));
  expect(loaded.length).toBeGreaterThan(50);
  expect(loaded.filter((file) => !file.endsWith('.js'))).toEqual([]);
  const uses = loaded.flatMap((file) => {
    const code = readFileSync(file, 'utf8')
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/\/\/.*$/gm, '');
    return [...code.matchAll(/Math\s*[.[]\s*\w*|\*\*|native\.js|\.node\b/g)].map(([text]) => text);
  });
  expect([...new Set(uses)].sort()).toEqual(['Math.abs', 'Math.ceil', 'Math.floor', 'Math.round']);
});
