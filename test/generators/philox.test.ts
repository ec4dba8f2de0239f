import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openUniform, Philox, philox4x32, philoxOf, uniform } from '../../generators/philox.ts';

const blockOf = (counter: number[], key: number[]): string => {
  const [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = counter;
  const out = new Uint32Array(4);
  philox4x32(c0, c1, c2, c3, key[0] ?? 0, key[1] ?? 0, out);
  return Array.from(out, (word) => word.toString(16).padStart(8, '0')).join(' ');
};

const words = (random: Philox, event: number, stage: number, block: number): number[] => {
  const out = new Uint32Array(4);
  random.block(event, stage, block, out);
  return [...out];
};

test('the Random123 known answers of philox4x32-10 come out', () => {
  const ones = 0xffffffff;
  expect(blockOf([0, 0, 0, 0], [0, 0])).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  expect(blockOf([ones, ones, ones, ones], [ones, ones])).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
  expect(blockOf([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toBe(
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
});

/** The same function written with 64-bit products, from the definition in the paper. */
function philoxOfBigInts(counter: bigint[], key: bigint[]): string {
  const mask = 0xffffffffn;
  let [x0 = 0n, x1 = 0n, x2 = 0n, x3 = 0n] = counter;
  let [k0 = 0n, k1 = 0n] = key;
  for (let round = 0; round < 10; round++) {
    const p0 = x0 * 0xd2511f53n;
    const p1 = x2 * 0xcd9e8d57n;
    [x0, x1, x2, x3] = [(p1 >> 32n) ^ x1 ^ k0, p1 & mask, (p0 >> 32n) ^ x3 ^ k1, p0 & mask];
    k0 = (k0 + 0x9e3779b9n) & mask;
    k1 = (k1 + 0xbb67ae85n) & mask;
  }
  return [x0, x1, x2, x3].map((word) => word.toString(16).padStart(8, '0')).join(' ');
}

test('32-bit arithmetic in halves equals the 64-bit definition for every counter and key', () => {
  const word = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.constantFrom(0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff),
  );
  fc.assert(
    fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, key) => {
      expect(blockOf(counter, key)).toBe(philoxOfBigInts(counter.map(BigInt), key.map(BigInt)));
    }),
    { numRuns: 2000 },
  );
});

test('the counter is block, stage, low and high word of the event index, for every safe integer', () => {
  const random = new Philox(0xa4093822, 0x299f31d0);
  const event = 0x07344 * 2 ** 32 + 0x93198a2e;
  expect(
    words(random, event, 0x85a308d3, 0x243f6a88)
      .map((word) => word.toString(16).padStart(8, '0'))
      .join(' '),
  ).toBe(blockOf([0x243f6a88, 0x85a308d3, 0x93198a2e, 0x07344], [0xa4093822, 0x299f31d0]));
  const last = Number.MAX_SAFE_INTEGER;
  const expected = new Uint32Array(4);
  philox4x32(7, 3, 0xffffffff, 0x1fffff, 0xa4093822, 0x299f31d0, expected);
  expect(words(random, last, 3, 7)).toEqual([...expected]);
});

test('events, stages and blocks that differ give different words, also 2^32 events apart', () => {
  const random = new Philox(1, 2);
  const seen = new Set<string>();
  const events = [0, 1, 2, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 33, 2 ** 52, Number.MAX_SAFE_INTEGER];
  for (const event of events) {
    for (const stage of [0, 1, 2]) {
      for (const block of [0, 1, 2, 65_535, 65_536]) seen.add(words(random, event, stage, block).join());
    }
  }
  expect(seen.size).toBe(events.length * 3 * 5);
});

test('a block never depends on what was drawn before', () => {
  const fresh = words(new Philox(5, 6), 12, 1, 3);
  const used = new Philox(5, 6);
  for (let i = 0; i < 10; i++) words(used, i, i, i);
  expect(words(used, 12, 1, 3)).toEqual(fresh);
});

test('the key is the first eight bytes of the derivation id, big-endian', () => {
  const random = philoxOf(`a4093822299f31d0${'0'.repeat(48)}`);
  expect(words(random, 0, 0, 0)).toEqual(words(new Philox(0xa4093822, 0x299f31d0), 0, 0, 0));
});

test('every bit of the first eight bytes of the id changes the words', () => {
  const base = words(philoxOf('0'.repeat(64)), 0, 0, 0).join();
  const seen = new Set([base]);
  for (let bit = 0; bit < 64; bit++) {
    const id = (1n << BigInt(63 - bit)).toString(16).padStart(16, '0') + '0'.repeat(48);
    seen.add(words(philoxOf(id), 0, 0, 0).join());
  }
  expect(seen.size).toBe(65);
});

test('what is no derivation id keys nothing', () => {
  for (const id of ['', 'abc', 'G'.repeat(64), 'A'.repeat(64), '0'.repeat(63), '0'.repeat(65), ` ${'0'.repeat(63)}`]) {
    expect(() => philoxOf(id)).toThrow(TypeError);
  }
});

test('uniforms of the zero block are the published ones, and the ends of both intervals hold', () => {
  expect(uniform(0x6627e8d5, 0xe169c58d)).toBe(0.39904647231489565);
  expect(uniform(0xbc57ac4c, 0x9b00dbd8)).toBe(0.7357127860596914);
  const ones = 0xffffffff;
  expect(uniform(0, 0)).toBe(0);
  expect(uniform(ones, ones)).toBe(1 - 2 ** -53);
  expect(openUniform(0, 0)).toBe(2 ** -53);
  expect(openUniform(ones, ones)).toBe(1 - 2 ** -53);
});
