import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { ArrowScan } from '../../formats/arrow-scan.ts';
import { fileSource, scanArrowStream } from '../../formats/arrow-scan.ts';
import { readChunk } from '../../formats/chunk-reader.ts';
import { chunkAt, derivationId, streamOf } from './synthetic.ts';

const chunk = chunkAt(3);
const stream = Buffer.from(streamOf(chunk).stream);
const { batches, schemaBytes } = readChunk(stream, chunk);

/** What a scan of the first `length` bytes must find. */
function expected(length: number): Omit<ArrowScan, 'metadata'> {
  const whole = batches.filter((batch) => batch.end <= length);
  return {
    schemaBytes: length < schemaBytes ? 0 : schemaBytes,
    batches: whole.length,
    events: whole.reduce((sum, { range }) => sum + range.end - range.first, 0),
    end: whole.at(-1)?.end ?? (length < schemaBytes ? 0 : schemaBytes),
    isEnded: length === stream.length,
  };
}

test('a whole stream is found whole, with the events it is of', async () => {
  const scan = await scanArrowStream(stream);
  expect(scan).toMatchObject({ batches: 4, events: 232, end: stream.length - 8, isEnded: true });
  expect(Object.fromEntries(scan.metadata)).toEqual({
    derivation: derivationId,
    startEvent: '769',
    lastEvent: '1000',
    batchEvents: '64',
  });
});

test('wherever a stream is cut, the whole record batches before are found', async () => {
  const lengths = [0, 1, 7, 8, schemaBytes - 1, schemaBytes, stream.length - 8, stream.length - 1, stream.length];
  const around = batches.flatMap(({ at, end, headBytes }) => [at + 7, at + headBytes, end - 1, end, end + 4]);
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: stream.length }), async (length) => {
      expect(await scanArrowStream(stream.subarray(0, length))).toMatchObject(expected(length));
    }),
    { examples: [...lengths, ...around].map((length): [number] => [length]) },
  );
});

test('a file that grows is scanned on from where the last scan ended', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'evoke-scan-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'growing.arrows');
  await writeFile(path, '');
  const file = await open(path, 'a+');
  let scan: ArrowScan | undefined;
  for (let at = 0; at < stream.length; at += 5000) {
    await file.appendFile(stream.subarray(at, at + 5000));
    scan = await scanArrowStream(await fileSource(file), scan);
    expect(scan).toMatchObject(expected(Math.min(at + 5000, stream.length)));
  }
  expect(scan?.isEnded).toBe(true);
  await file.close();
});

test('what follows the end marker does not matter, and what is no stream at all holds nothing', async () => {
  expect(await scanArrowStream(Buffer.concat([stream, Buffer.from('trailer')]))).toMatchObject(expected(stream.length));
  for (const other of [Buffer.from('{"event":1}\n'), Buffer.alloc(100), Buffer.alloc(100, 0xff), stream.subarray(-8)]) {
    expect(await scanArrowStream(other)).toMatchObject({ batches: 0, end: 0, isEnded: false });
  }
});
