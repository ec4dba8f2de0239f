import { readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeFiles } from '../../store/file-layer.ts';
import { FsStore } from '../../store/fs-store.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { verifying } from '../../store/verifying.ts';
import { temporaryFolder } from '../temp.ts';
import { aChunk } from './a-chunk.ts';
import { storeSuite } from './conformance.ts';
import { failing, faultyFiles, systemError, unavailable } from './faults.ts';

storeSuite('verifying a folder', async () => verifying(new FsStore(await temporaryFolder())));
storeSuite('verifying a folder, beside chunks', async () => verifying(new FsStore(await temporaryFolder())), 'chunks/');

const { name, bytes: good } = aChunk();

/** A store that holds these bytes under the name of the first chunk, and what was reported of it. */
async function storeWith(bytes: Buffer) {
  const inner = new MemoryStore();
  await inner.put(name, [bytes]);
  const reports: string[] = [];
  return {
    inner,
    reports,
    store: verifying(inner, (damagedName, reason) => reports.push(`${damagedName}: ${reason}`)),
  };
}

async function expectQuarantined(bytes: Buffer) {
  const { inner, reports, store } = await storeWith(bytes);
  await expect(store.get(name)).rejects.toMatchObject({ code: 'CHUNK_DAMAGED' });
  expect(reports).toHaveLength(1);
  expect(reports[0]).toContain(name);
  expect(await store.get(name)).toBeUndefined();
  expect(await store.head(name)).toBeUndefined();
  const [kept, ...more] = await inner.list('quarantine/');
  expect(more).toEqual([]);
  expect((await inner.get(kept?.name ?? ''))?.equals(bytes)).toBe(true);
}

test('a good chunk passes, and so does everything that is no chunk', async () => {
  const { inner, reports, store } = await storeWith(good);
  expect((await store.get(name))?.equals(good)).toBe(true);
  await store.put('datasets/a/b.json', [Buffer.from('{}')]);
  await store.put('chunks/notes.arrows', [Buffer.from('not a chunk key')]);
  expect((await store.get('datasets/a/b.json'))?.toString()).toBe('{}');
  expect((await store.get('chunks/notes.arrows'))?.toString()).toBe('not a chunk key');
  expect(reports).toEqual([]);
  expect(await inner.list('quarantine/')).toEqual([]);
});

test('an emptied chunk is put into quarantine', () => expectQuarantined(Buffer.alloc(0)));

test('another chunk under this name is put into quarantine', async () => {
  await expectQuarantined(aChunk({ index: 1 }).bytes);
});

test('a chunk with something appended is put into quarantine', () => expectQuarantined(Buffer.concat([good, good])));

test('a chunk cut anywhere is put into quarantine', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), (length) => expectQuarantined(good.subarray(0, length))),
    {
      numRuns: 60,
    },
  );
});

test('a chunk with any bit flipped is put into quarantine', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.nat(7), (at, bit) => {
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] as number) ^ (1 << bit);
      return expectQuarantined(bytes);
    }),
    { numRuns: 150 },
  );
});

test('many who meet the same damage report it once', async () => {
  const { inner, reports, store } = await storeWith(good.subarray(1));
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => store.get(name)));
  expect(outcomes.every((outcome) => outcome.status === 'rejected')).toBe(true);
  expect(reports).toHaveLength(1);
  expect(await inner.list('quarantine/')).toHaveLength(1);
});

test('a chunk that was made again meanwhile is not put away with the damaged one', async () => {
  const inner = new MemoryStore();
  await inner.put(name, [good.subarray(1)]);
  const store = verifying(inner, () => void inner.put(name, [good]));
  await expect(store.get(name)).rejects.toMatchObject({ code: 'CHUNK_DAMAGED' });
  expect((await store.get(name))?.equals(good)).toBe(true);
});

test('the quarantine keeps the latest twenty', async () => {
  const folder = await temporaryFolder();
  const inner = new FsStore(folder);
  const store = verifying(inner);
  const names = Array.from({ length: 15 }, (_, index) => aChunk({ index }).name);
  for (const [round, chunk] of [...names, ...names].entries()) {
    await inner.put(chunk, [Buffer.from(`damage ${round}`)]);
    await expect(store.get(chunk)).rejects.toMatchObject({ code: 'CHUNK_DAMAGED' });
  }
  const kept = await inner.list('quarantine/');
  expect(kept).toHaveLength(20);
  const contents = await Promise.all(kept.map(async (info) => (await inner.get(info.name))?.toString()));
  // Those of one millisecond are in no order among themselves.
  expect(contents).not.toContain('damage 0');
  expect(contents).toContain('damage 29');
});

test('a copy that cannot be kept does not keep the damaged chunk in place', async () => {
  const { inner } = await storeWith(good.subarray(1));
  const full = failing(inner, (operation) => {
    if (operation === 'put') throw unavailable();
  });
  await expect(verifying(full).get(name)).rejects.toMatchObject({ code: 'CHUNK_DAMAGED' });
  expect(await inner.get(name)).toBeUndefined();
});

test('a damaged chunk that cannot be taken away is never served', async () => {
  const { inner } = await storeWith(good.subarray(1));
  const readOnly = verifying(
    failing(inner, (operation) => {
      if (operation === 'delete') throw unavailable();
    }),
  );
  await expect(readOnly.get(name)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await expect(readOnly.get(name)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

test('a chunk file that the disk cannot read is STORE_UNAVAILABLE and stays', async () => {
  const folder = await temporaryFolder();
  await new FsStore(folder).put(name, [good]);
  const files = faultyFiles(nodeFiles, (step) => {
    if (step === 'read') throw systemError('EIO');
  });
  const reports: string[] = [];
  const store = verifying(new FsStore(folder, files), (damagedName) => reports.push(damagedName));
  await expect(store.get(name)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(reports).toEqual([]);
  expect((await verifying(new FsStore(folder)).get(name))?.equals(good)).toBe(true);
});

test('damage done to the file itself is found', async () => {
  const folder = await temporaryFolder();
  const store = verifying(new FsStore(folder));
  await store.put(name, [good]);
  const path = join(folder, name);
  await writeFile(path, Buffer.concat([good.subarray(0, 100), Buffer.from('!'), good.subarray(101)]));
  await expect(store.get(name)).rejects.toMatchObject({ code: 'CHUNK_DAMAGED' });
  expect(await readdir(dirname(path))).toEqual([]);
});
