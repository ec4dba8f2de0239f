// The campaign's comparison of ledger and store can fail: what is missing in the ledger, or says something else, is noticed.
import { expect, test } from 'vitest';
import { systemClock } from '../../../core/clock.ts';
import type { LedgerEntry } from '../../../core/ledger.ts';
import { silentLog } from '../../../core/log.ts';
import { Ledger } from '../../../costs/ledger/ledger.ts';
import { readTrailer } from '../../../formats/chunk-file.ts';
import { FsStore } from '../../../store/fs-store.ts';
import { makingOf } from '../../../store/making.ts';
import { aChunk, anInputUse } from '../../store/a-chunk.ts';
import { temporaryFolder } from '../../temp.ts';
import { compareLedger } from './ledger-check.ts';

const { chunk, key, name, parts, bytes } = aChunk({ inputs: [anInputUse(2, 0.05)] });
const { generation, put, remakes } = makingOf(chunk, bytes.length, readTrailer(key, bytes));

/** What is found where a chunk is stored and the ledger has these entries. */
async function problemsWith(...entries: readonly LedgerEntry[]): Promise<readonly string[]> {
  const folder = await temporaryFolder();
  const store = new FsStore(folder);
  await store.put(name, parts);
  const ledger = new Ledger({ store, process: 'test', flushMs: 1000, clock: systemClock, log: silentLog });
  for (const entry of entries) ledger.record(entry);
  await ledger.close();
  return (await compareLedger(folder, new Set())).problems;
}

test('a chunk whose making and remaking are told passes, also when both are told twice', async () => {
  expect(await problemsWith(...remakes, generation, put)).toEqual([]);
  expect(await problemsWith(...remakes, generation, put, ...remakes, generation)).toEqual([]);
});

const wrongs: [string, readonly LedgerEntry[]][] = [
  ['nothing is told', []],
  ['the generation is missing', [...remakes, put]],
  ['the remake is missing', [generation, put]],
  ['the CPU is another', [...remakes, { ...generation, cpuMicros: 1 }, put]],
  ['the remake took something else', [...remakes.map((remake) => ({ ...remake, cpuMicros: 1 })), generation, put]],
  ['the size is another', [...remakes, { ...generation, bytes: 1 }, put]],
  ['it was made at another time', [...remakes, { ...generation, atMs: generation.atMs + 1 }, put]],
];

test.each(wrongs)('it is noticed when %s', async (_, entries) => {
  expect(await problemsWith(...entries)).not.toEqual([]);
});
