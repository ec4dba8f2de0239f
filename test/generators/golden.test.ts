// The events of a generator's version, for ever: whoever declared a dataset gets these bits from every later build.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Generator } from '../../generators/generator.ts';
import { builtInGenerators } from '../../generators/registry.ts';
import { bytes, makerOf } from './sample.ts';

/** One entry for every version that ever was; entries are added, never edited. */
const golden: Readonly<Record<string, string>> = {
  'detsim@1': 'f9f1393b4682a5f833ba363918b32830120fb479120dd0a0a6ad1cded6118fa4',
  'ee_mumu@1': 'f28de769312754769330ab099a9ce9848af1eb3a9cfadbea9daa6a00dfa1d352',
  'minbias@1': '97c9e70de9d9429b85a32616a83f22a03acdf2c288754a0b5f588427fd1c5a8f',
};

/** SHA-256 of names and bytes of all columns of some events near the beginning and beyond 2^32, defaults, seed 1. */
function digestOf(generator: Generator): string {
  const hash = createHash('sha256');
  const maker = makerOf(generator, {}, 1);
  // A simulated event has as many numbers in it as a thousand others.
  const events = generator.input === 'none' ? 2_000 : 100;
  for (const range of [
    { first: 0, end: events },
    { first: 2 ** 40 - 10, end: 2 ** 40 + 10 },
  ]) {
    const made = maker.make(range);
    for (const part of [made.values, made.offsets]) {
      for (const [name, array] of Object.entries(part)) hash.update(`${name} ${array.length}\n`).update(bytes(array));
    }
  }
  return hash.digest('hex');
}

test.for(builtInGenerators.list().map((generator) => [`${generator.name}@${generator.version}`, generator] as const))(
  'the events of %s are bit for bit those ever made',
  ([name, generator]) => {
    const digest = digestOf(generator);
    expect(
      golden,
      `${name} has no golden digest: add '${name}': '${digest}' to test/generators/golden.test.ts.`,
    ).toHaveProperty([name]);
    expect(
      digest,
      `The events of ${name} have changed. Stored chunks and declared datasets name this version: undo the change, or give the ` +
        `generator a new version and add a golden digest for it. Never edit the digest of a version that exists.`,
    ).toBe(golden[name]);
  },
);
