import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { eeMuMu } from '../../generators/ee-mumu.ts';
import { minbias } from '../../generators/minbias.ts';
import { builtInGenerators, GeneratorRegistry } from '../../generators/registry.ts';

test('a generator is found by name, and by version where one is given', () => {
  expect(builtInGenerators.find('minbias')).toBe(minbias);
  expect(builtInGenerators.find('minbias', minbias.version)).toBe(minbias);
  expect(builtInGenerators.get('ee_mumu', eeMuMu.version)).toBe(eeMuMu);
});

test('an unknown name or version is undefined to find, and GENERATOR_NOT_REGISTERED to get', () => {
  for (const [name, version] of [
    ['nothing', '1'],
    ['minbias', '0'],
    ['minbias', ''],
    ['constructor', '1'],
    ['__proto__', '1'],
  ] as const) {
    expect(builtInGenerators.find(name, version)).toBeUndefined();
    expect(() => builtInGenerators.get(name, version)).toThrow(EvokeError);
    expect(() => builtInGenerators.get(name, version)).toThrow(
      expect.objectContaining({ code: 'GENERATOR_NOT_REGISTERED' }),
    );
  }
});

test('the fingerprint is that of names and versions: order does not matter, everything else does', () => {
  const newer = { ...minbias, version: '2' };
  const fingerprint = new GeneratorRegistry([eeMuMu, minbias]).fingerprint();
  expect(new GeneratorRegistry([minbias, eeMuMu]).fingerprint()).toBe(fingerprint);
  const others = [[eeMuMu], [minbias], [eeMuMu, newer], []].map((list) => new GeneratorRegistry(list).fingerprint());
  expect(new Set([fingerprint, ...others]).size).toBe(5);
});
