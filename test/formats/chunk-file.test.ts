import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChunkRef } from '../../core/chunk.ts';
import { chunkKey } from '../../core/chunk.ts';
import { EvokeError } from '../../core/errors.ts';
import { openChunk, sealChunk, verifyChunk } from '../../formats/chunk-file.ts';
import { storedChunk } from '../../formats/chunk-reader.ts';
import { endMarker } from '../../formats/ipc.ts';
import { decodeBatch } from './reader.ts';
import { chunkAt, columns, derivationId, provenanceOf, stored, streamOf } from './synthetic.ts';

const chunk: ChunkRef = { derivation: derivationId, batchEvents: 2, range: { first: 4, end: 7 } };
const key = chunkKey(chunk);
const few = columns.slice(0, 6);
const sound = stored(chunk, few);
const { stream, digest } = streamOf(chunk, few);

async function isDamaged(bytes: Buffer): Promise<boolean> {
  try {
    await verifyChunk(key, bytes);
    return false;
  } catch (error) {
    if (error instanceof EvokeError && error.code === 'CHUNK_DAMAGED' && error.details['chunk'] === key) return true;
    throw error;
  }
}

test('what was sealed is opened again: the same stream, the same provenance', async () => {
  const opened = openChunk(key, sound);
  expect(opened.stream.equals(stream)).toBe(true);
  expect(opened.provenance).toEqual(provenanceOf(chunk, digest));
  await expect(verifyChunk(key, sound)).resolves.toEqual(provenanceOf(chunk, digest));
});

test('a provenance with an input, and with fields of a later version, is let through', async () => {
  const provenance = provenanceOf(chunk, digest);
  const later = { ...provenance, derivation: { ...provenance.derivation, input: derivationId }, fromTheFuture: 1 };
  await expect(verifyChunk(key, Buffer.concat(sealChunk(stream, later)))).resolves.toEqual(later);
});

test('a flipped bit is found in whichever byte', async () => {
  for (let at = 0; at < sound.length; at++) {
    const flipped = Buffer.from(sound);
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
    expect(await isDamaged(flipped), `byte ${at}`).toBe(true);
  }
});

test('a cut is found wherever it is, and so is whatever is added', async () => {
  for (let length = 0; length < sound.length; length++) {
    expect(await isDamaged(sound.subarray(0, length)), `${length} bytes`).toBe(true);
  }
  expect(await isDamaged(Buffer.concat([sound, Buffer.alloc(1)]))).toBe(true);
  expect(await isDamaged(Buffer.concat([sound, sound]))).toBe(true);
  expect(await isDamaged(sound.subarray(8))).toBe(true);
});

test('any change to any stretch of bytes is found', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: sound.length }),
      fc.nat({ max: 200 }),
      fc.uint8Array({ maxLength: 200 }),
      async (at, length, bytes) => {
        const changed = Buffer.concat([sound.subarray(0, at), bytes, sound.subarray(at + length)]);
        expect(await isDamaged(changed)).toBe(!changed.equals(sound));
      },
    ),
    { numRuns: 300 },
  );
});

test('garbage, zeros and nothing are damage', async () => {
  expect(await isDamaged(Buffer.alloc(0))).toBe(true);
  expect(await isDamaged(Buffer.alloc(sound.length))).toBe(true);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      expect(await isDamaged(Buffer.from(bytes))).toBe(true);
      expect(await isDamaged(Buffer.concat([bytes, sound.subarray(-40)]))).toBe(true);
    }),
  );
});

test('a sound chunk under the name of another is damage: other events, other batches, another derivation', () => {
  const others: ChunkRef[] = [
    { ...chunk, range: { first: 4, end: 8 } },
    { ...chunk, range: { first: 3, end: 7 } },
    { ...chunk, batchEvents: 4 },
    { ...chunk, derivation: derivationId.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) },
  ];
  for (const other of others) {
    expect(() => openChunk(chunkKey(other), sound)).toThrow(expect.objectContaining({ code: 'CHUNK_DAMAGED' }));
  }
});

test('a well sealed object whose contents are wrong is damage', async () => {
  const provenance = provenanceOf(chunk, digest);
  const sealed = (bytes: Uint8Array, changes: object): Buffer =>
    Buffer.concat(sealChunk(bytes, { ...provenance, ...changes }));
  expect(await isDamaged(sealed(stream, {}))).toBe(false);
  expect(await isDamaged(sealed(stream, { writer: undefined }))).toBe(true);
  expect(await isDamaged(sealed(stream, { lastEvent: 3 }))).toBe(true);
  expect(await isDamaged(sealed(stream, { cpuSeconds: 'much' }))).toBe(true);
  const { derivation } = provenance;
  const taken = { readEvents: 0, remadeEvents: 3, cpuSeconds: 0.5, wallSeconds: 1 };
  const use = { dataset: 'test:input', derivation, derivationId, batchEvents: 2, ...taken };
  expect(await isDamaged(sealed(stream, { inputs: [use, use] }))).toBe(false);
  expect(await isDamaged(sealed(stream, { inputs: [{ ...use, cpuSeconds: -1 }] }))).toBe(true);
  expect(await isDamaged(sealed(stream, { inputs: [use, {}] }))).toBe(true);
  expect(await isDamaged(sealed(stream, { inputs: 'some' }))).toBe(true);
  expect(await isDamaged(sealed(stream.subarray(0, -8), {}))).toBe(true);
  expect(await isDamaged(sealed(endMarker, {}))).toBe(true);
  expect(await isDamaged(sealed(Buffer.concat([endMarker, endMarker]), {}))).toBe(true);
});

test('opening and reading unverified bytes fails as CHUNK_DAMAGED or not at all', () => {
  fc.assert(
    fc.property(fc.nat({ max: sound.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flips) => {
      const changed = Buffer.from(sound);
      changed[at] = (changed[at] as number) ^ flips;
      try {
        const parsed = storedChunk(changed, chunk);
        parsed.batches.forEach((_, index) => {
          decodeBatch(parsed, index, few);
        });
      } catch (error) {
        expect(error).toMatchObject({ code: 'CHUNK_DAMAGED' });
      }
    }),
    { numRuns: 2000 },
  );
});

test('verifying does not change the bytes', async () => {
  const bytes = stored(chunkAt(0));
  const before = Buffer.from(bytes);
  await verifyChunk(chunkKey(chunkAt(0)), bytes);
  expect(bytes.equals(before)).toBe(true);
});
