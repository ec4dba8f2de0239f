import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Derivation, Json } from '../../core/derivation.ts';
import { canonicalJson, derivationId, sha256Hex } from '../../core/derivation.ts';
import { philoxOf } from '../../generators/philox.ts';

const zmumu: Derivation = {
  generator: 'ee_mumu',
  version: '1',
  parameters: { sqrtS: 91.1876, mZ: 91.1876, gammaZ: 2.4952, sin2ThetaW: 0.23152, alpha: 1 / 137.035999084 },
  seed: 1,
};

/** RFC 8785 by its own words: names sorted by UTF-16 code units, literals as ECMAScript writes them, no space. */
function plainCanonicalJson(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(plainCanonicalJson).join(',')}]`;
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${plainCanonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

const anyJson = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;

/** The same value with the members of every object in the opposite order. */
function reversed(value: Json): Json {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(reversed);
  // A member named __proto__ must stay a member.
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reversed(member)]),
  );
}

test('canonical JSON is that of RFC 8785: its own examples', () => {
  expect(canonicalJson({ numbers: [333333333.3333333, 1e30, 4.5, 0.002, 1e-27], literals: [null, true, false] })).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}',
  );
  expect(canonicalJson({ string: '\u20ac$\u000f\u000aA\'\u0042\u0022\u005c\\"/' })).toBe(
    '{"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  const names = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
  expect(Object.values(JSON.parse(`[${canonicalJson(names).match(/\d(?=[,}])/g)}]`))).toEqual([2, 4, 6, 7, 1, 5, 3]);
  expect(canonicalJson([-0, 0, 9007199254740991, 1e21, 5e-324])).toBe('[0,0,9007199254740991,1e+21,5e-324]');
});

test('canonical JSON of any value is sorted, without space, and reads back as the value', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      const text = canonicalJson(value);
      expect(text).toBe(plainCanonicalJson(value));
      expect(canonicalJson(JSON.parse(text))).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 500 },
  );
});

test('the order in which members were written does not matter', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      expect(canonicalJson(reversed(value))).toBe(canonicalJson(value));
    }),
    { numRuns: 300 },
  );
});

test('different values have different canonical JSON', () => {
  fc.assert(
    fc.property(anyJson, anyJson, (a, b) => {
      const same =
        JSON.stringify(JSON.parse(plainCanonicalJson(a))) === JSON.stringify(JSON.parse(plainCanonicalJson(b)));
      expect(canonicalJson(a) === canonicalJson(b)).toBe(same);
    }),
    { numRuns: 300 },
  );
});

test('what has no JSON form is no part of an identity', () => {
  for (const value of [undefined, Number.NaN, Infinity, -Infinity, () => 1, Symbol('x'), 1n]) {
    expect(() => canonicalJson(value as never)).toThrow();
  }
  for (const value of [Number.NaN, Infinity, -Infinity, 1n]) {
    expect(() => canonicalJson({ inside: [value] } as never)).toThrow();
  }
});

test('the id is the SHA-256 of the canonical JSON: ids given once hold for ever', () => {
  const text =
    '{"generator":"ee_mumu","parameters":{"alpha":0.0072973525692838015,"gammaZ":2.4952,"mZ":91.1876,"sin2ThetaW":0.23152,"sqrtS":91.1876},"seed":1,"version":"1"}';
  expect(canonicalJson({ ...zmumu })).toBe(text);
  expect(derivationId(zmumu)).toBe(createHash('sha256').update(text).digest('hex'));
  expect(derivationId(zmumu)).toBe('f7150facf3cdec15fa95b1b59378d27ca6fa419164f1b9bd4118ed28529a6745');
  expect(sha256Hex('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test('nothing but the fields of the identity counts', () => {
  const decorated = { ...zmumu, worker: 'w1', declaredAt: '2026-01-01', events: 7 };
  expect(derivationId(decorated)).toBe(derivationId(zmumu));
  // Without input and with an undefined one are the same; `input: undefined` does not come back from a record.
  expect(derivationId({ ...zmumu, input: undefined } as never)).toBe(derivationId(zmumu));
});

/** One change to every field, parameters one by one, each as small as it can be. */
const changed: Record<string, Derivation> = {
  generator: { ...zmumu, generator: 'ee_mumv' },
  version: { ...zmumu, version: '2' },
  seed: { ...zmumu, seed: 2 },
  'seed in its highest bit': { ...zmumu, seed: 2 ** 52 + 1 },
  input: { ...zmumu, input: 'a'.repeat(64) },
  'input by one digit': { ...zmumu, input: `${'a'.repeat(63)}b` },
  'set of parameters, one more,': { ...zmumu, parameters: { ...zmumu.parameters, more: 0 } },
  'set of parameters, some fewer,': { ...zmumu, parameters: { sqrtS: 91.1876 } },
  'type of a parameter': { ...zmumu, parameters: { ...zmumu.parameters, mZ: '91.1876' } },
  ...Object.fromEntries(
    Object.entries(zmumu.parameters).map(([name, value]) => [
      `parameter ${name}`,
      { ...zmumu, parameters: { ...zmumu.parameters, [name]: (value as number) * (1 + Number.EPSILON) } },
    ]),
  ),
};

test.for(Object.entries(changed))(
  'another %s is another id and another key of the random numbers',
  ([, derivation]) => {
    expect(derivationId(derivation)).not.toBe(derivationId(zmumu));
    expect(firstWords(derivation)).not.toEqual(firstWords(zmumu));
  },
);

test('all these ids and keys differ from one another, too', () => {
  const all = [zmumu, ...Object.values(changed)];
  expect(new Set(all.map(derivationId)).size).toBe(all.length);
  expect(new Set(all.map((derivation) => firstWords(derivation).join())).size).toBe(all.length);
});

test('two derivations have one id exactly when they are the same', () => {
  const name = fc.stringMatching(/^[a-z][a-z_]{0,3}$/);
  const derivation = fc.record(
    {
      generator: name,
      version: fc.constantFrom('1', '2'),
      parameters: fc.dictionary(name, fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom('1', true, null)), {
        maxKeys: 2,
      }),
      seed: fc.integer({ min: 0, max: 3 }),
      input: fc.constantFrom('a'.repeat(64), 'b'.repeat(64)),
    },
    { requiredKeys: ['generator', 'version', 'parameters', 'seed'] },
  );
  fc.assert(
    fc.property(derivation, derivation, (a, b) => {
      const same = plainCanonicalJson({ ...a }) === plainCanonicalJson({ ...b });
      expect(derivationId(a) === derivationId(b)).toBe(same);
      expect(derivationId(a)).toMatch(/^[0-9a-f]{64}$/);
    }),
    { numRuns: 500 },
  );
});

function firstWords(derivation: Derivation): number[] {
  const out = new Uint32Array(4);
  philoxOf(derivationId(derivation)).block(0, 0, 0, out);
  return [...out];
}
