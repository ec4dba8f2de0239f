import fc from 'fast-check';
import { expect, test } from 'vitest';
import { applied, asyncPreference, parsePrefer } from '../../api/prefer.ts';

test.each<[string, Record<string, string>]>([
  ['respond-async', { 'respond-async': '' }],
  ['Respond-Async , WAIT=10', { 'respond-async': '', wait: '10' }],
  ['wait = 10', { wait: '10' }],
  ['wait="10"', { wait: '10' }],
  ['foo="a, b; respond-async", bar', { foo: 'a, b; respond-async', bar: '' }],
  ['foo="say \\"hi\\" \\\\o/"', { foo: 'say "hi" \\o/' }],
  ['foo; respond-async; x="1, 2", wait=1', { foo: '', wait: '1' }],
  ['wait=1, wait=2', { wait: '1' }],
  ['return=minimal;foo="some parameter"', { return: 'minimal' }],
  ['', {}],
  [' , ,, ', {}],
  ['=5, "quoted", @, respond-async', { 'respond-async': '' }],
  ['odd odd, wait=3', { wait: '3' }],
  ['open="never closed, respond-async', {}],
  ['respond-async=""', { 'respond-async': '' }],
])('Prefer: %s', (header, preferences) => {
  expect(Object.fromEntries(parsePrefer(header))).toEqual(preferences);
});

test('a later answer is wished for by respond-async alone; wait bounds the time, and the service bounds the wait', () => {
  expect(asyncPreference(undefined, 600)).toBeUndefined();
  expect(asyncPreference('wait=10', 600)).toBeUndefined();
  expect(asyncPreference('foo="respond-async"', 600)).toBeUndefined();
  expect(asyncPreference('respond-async', 600)).toEqual({ waitSeconds: undefined });
  expect(asyncPreference('wait=10, respond-async', 600)).toEqual({ waitSeconds: 10 });
  for (const wait of ['-1', '1.5', 'soon', '']) {
    expect(asyncPreference(`respond-async, wait=${wait}`, 600)).toEqual({ waitSeconds: undefined });
  }
  expect(asyncPreference(`respond-async, wait=${'9'.repeat(400)}`, 600.5)).toEqual({ waitSeconds: 600 });
  expect(applied({ waitSeconds: undefined })).toBe('respond-async');
  expect(applied({ waitSeconds: 0 })).toBe('respond-async, wait=0');
});

const token = fc.stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,8}$/);
const value = fc.oneof(token, fc.stringMatching(/^[ -~]{0,10}$/));

test('whatever preferences are written as the RFC has it, they are read as they were meant, the first of a name', () => {
  const preference = fc.record({ name: token, value: fc.option(value), parameters: fc.array(fc.tuple(token, value)) });
  const quote = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  fc.assert(
    fc.property(fc.array(preference), fc.constantFrom('', ' ', '\t'), (preferences, space) => {
      const expected = new Map<string, string>();
      const parts = preferences.map(({ name, value: given, parameters }) => {
        if (!expected.has(name)) expected.set(name, given ?? '');
        const rest = parameters.map(([key, text]) => `${space};${space}${key}=${quote(text)}`).join('');
        return `${name}${given === null ? '' : `${space}=${space}${quote(given)}`}${rest}`;
      });
      expect(parsePrefer(parts.join(`${space},${space}`))).toEqual(expected);
    }),
  );
});

test('any text at all is read, and quickly', () => {
  fc.assert(fc.property(fc.string({ maxLength: 300, unit: 'binary' }), (text) => parsePrefer(text) instanceof Map));
  const begun = performance.now();
  for (const text of [
    '"'.repeat(16_000),
    ';'.repeat(16_000),
    'a='.repeat(8_000),
    '\\"'.repeat(8_000),
    ' '.repeat(16_000),
  ]) {
    parsePrefer(text);
  }
  expect(performance.now() - begun).toBeLessThan(2_000);
});
