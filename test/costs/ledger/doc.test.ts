// docs/ledger.md, held to what it says: its columns are the columns, and its query gives what the ledger has.
import { readFileSync } from 'node:fs';
import pl from 'nodejs-polars';
import { expect, test } from 'vitest';
import { silentLog } from '../../../core/log.ts';
import { compact } from '../../../costs/ledger/compaction.ts';
import { Ledger } from '../../../costs/ledger/ledger.ts';
import { ledgerColumns } from '../../../costs/ledger/schema.ts';
import { encodeSegment, type SegmentContent } from '../../../costs/ledger/segment.ts';
import { FsStore } from '../../../store/fs-store.ts';
import { failing, unavailable } from '../../store/faults.ts';
import { temporaryFolder } from '../../temp.ts';
import { aGeneration, anAccess, aPut, hour, tenAm } from './any-entry.ts';

const text = readFileSync(new URL('../../../docs/ledger.md', import.meta.url), 'utf8');

test('the document names every column, and no other', () => {
  const table = text.split('| --- | --- | --- |')[1]?.split('\n\n')[0] ?? '';
  const named = table
    .split('\n')
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name));
  expect(new Set(named)).toEqual(new Set(ledgerColumns.map(({ name }) => name)));
});

test('the query of the document gives what was made, also of what was told twice and of a merging cut short', async () => {
  const folder = await temporaryFolder();
  const store = new FsStore(folder);
  const clock = { now: () => tenAm };
  const ledger = new Ledger({ store, process: 'w', flushMs: 1_000_000, clock, log: silentLog });
  for (let i = 0; i < 10; i++) {
    const fields = { dataset: `test:${i % 2}`, range: { first: i, end: i + 1 }, bytes: 1000 + i };
    ledger.record(aGeneration({ ...fields, cpuMicros: 10 ** i }));
    ledger.record(aPut(fields));
    ledger.record(anAccess({ range: fields.range }));
    // Told again, from the trailer.
    ledger.record(aGeneration({ ...fields, cpuMicros: 10 ** i }));
    await ledger.flush();
  }
  await ledger.close();
  const encoder = { encode: async (content: SegmentContent) => encodeSegment(content) };
  let deletes = 0;
  const cut = failing(store, (operation) => {
    if (operation === 'delete' && ++deletes > 3) throw unavailable();
  });
  await compact(cut, { nowMs: tenAm + 3 * hour, encoder, log: silentLog }).catch(() => undefined);
  expect((await store.list('ledger/')).length).toBe(8);

  const query = /```js\n([\s\S]*?)```/.exec(text)?.[1]?.replace(/^import .*$/m, '') ?? '';
  const AsyncFunction = (async () => undefined).constructor as new (
    ...parts: string[]
  ) => (...given: unknown[]) => unknown;
  const run = new AsyncFunction('pl', 'store', `${query}\nreturn made;`);
  const made = (await run(pl, folder)) as pl.DataFrame;
  expect(made.toRecords()).toEqual([
    { dataset: 'test:0', cpu_micros: 101010101, bytes: 5020 },
    { dataset: 'test:1', cpu_micros: 1010101010, bytes: 5025 },
  ]);
  await store.close();
});
