import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { batchesOf, chunkKey, chunkRange } from '../../core/chunk.ts';
import type { Column } from '../../core/columns.ts';
import type { EventRange } from '../../core/event-range.ts';
import { intersection } from '../../core/event-range.ts';
import { streamHead } from '../../formats/arrow-schema.ts';
import { openChunk } from '../../formats/chunk-file.ts';
import { createEncoder } from '../../formats/encoder.ts';
import { endMarker } from '../../formats/ipc.ts';
import { Marshaller } from '../../formats/marshaller.ts';
import { encodeBatch } from '../../formats/record-batch.ts';
import type { Selection } from '../../formats/representation.ts';
import { formats } from '../../formats/representation.ts';
import { storedByAnother } from './another-writer.ts';
import { plain, readIndependently } from './reader.ts';
import {
  bodyOf,
  brokenWithin,
  chunkAt,
  columns,
  grid,
  make,
  selectionOf,
  storedChunks,
  streamOf,
} from './synthetic.ts';

const marshaller = new Marshaller({ threads: 2, queueMax: 16 });
afterAll(() => marshaller.close());

const chunks = storedChunks();
const keyAt = (index: number) => chunkKey(chunkAt(index));
const answer = (selection: Selection, from = chunks) => bodyOf('arrow', selection, from, marshaller);

/** What an answer must be: everything made and encoded afresh, batch by batch on the grid. */
function afresh(selection: Selection): Buffer {
  const { range, columns: chosen, derivationId } = selection;
  const pieces: Uint8Array[] = [streamHead(chosen, { derivationId, batchEvents: grid.batchEvents, range })];
  for (let index = 0; index * grid.chunkEvents < grid.events; index++) {
    for (const batch of batchesOf({ ...chunkAt(index), range: chunkRange(grid, index) })) {
      const wanted = intersection(batch, range);
      if (wanted !== undefined) pieces.push(encodeBatch(chosen, make(wanted)));
    }
  }
  return Buffer.concat([...pieces, endMarker]);
}

const anyRange = fc
  .tuple(fc.nat({ max: grid.events - 1 }), fc.integer({ min: 1, max: grid.events }))
  .map(([first, length]): EventRange => ({ first, end: Math.min(first + length, grid.events) }));
const anyColumns = fc.subarray(
  columns.map((column) => column.name),
  { minLength: 1 },
);

test('an answer of any range and columns is byte for byte what would be encoded afresh', async () => {
  await fc.assert(
    fc.asyncProperty(anyRange, fc.option(anyColumns, { nil: undefined }), async (range, chosen) => {
      const selection = selectionOf(range, chosen);
      expect(Buffer.compare(await answer(selection), afresh(selection))).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('an independent reader finds the asked events in the asked columns', async () => {
  const range = { first: 100, end: 777 };
  const chosen = ['event', 'GenPart_pt', 'Hit_cell'];
  const read = readIndependently(await answer(selectionOf(range, chosen)));
  expect(read.rows).toBe(677);
  expect(read.names).toEqual(chosen);
  const made = make(range);
  for (const column of columns.filter(({ name }) => chosen.includes(name))) {
    expect(read.column(column.name), column.name).toEqual(plain(column, made));
  }
});

test('rows of a range equal those of its halves, wherever it is split', async () => {
  const whole = readIndependently(await answer(selectionOf({ first: 0, end: 200 })));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 199 }), async (at) => {
      const head = readIndependently(await answer(selectionOf({ first: 0, end: at })));
      const rest = readIndependently(await answer(selectionOf({ first: at, end: 200 })));
      for (const { name } of columns) {
        expect([...head.column(name), ...rest.column(name)], name).toEqual(whole.column(name));
      }
    }),
    { numRuns: 8, examples: [[100]] },
  );
});

test('exactly one whole chunk is its stored stream, not copied', async () => {
  const { range } = chunkAt(1);
  const stored = chunks[1] as Buffer;
  expect((await answer(selectionOf(range))).equals(streamOf(chunkAt(1)).stream)).toBe(true);
  const encoder = createEncoder(formats.arrow, selectionOf(range), marshaller);
  const pieces: Buffer[] = [];
  for await (const piece of encoder.chunk(stored, range)) pieces.push(piece);
  expect(pieces).toHaveLength(1);
  expect(pieces[0]?.buffer).toBe(stored.buffer);
});

test('pieces are at most 1 MiB', async () => {
  const large = { events: 2048, chunkEvents: 2048, batchEvents: 1024 };
  const range = { first: 0, end: 2048 };
  const [stored] = storedChunks(large);
  for (const format of [formats.arrow, formats.ndjson]) {
    const sizes: number[] = [];
    const encoder = createEncoder(format, selectionOf(range, undefined, large), marshaller);
    for await (const piece of encoder.chunk(stored as Buffer, range)) sizes.push(piece.length);
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1024 * 1024);
  }
});

test('a chunk of another writer is served as ours: the same bytes, whole, cut or in chosen columns, beside our own chunks', async () => {
  const mixed = chunks.map((own, index) => (index === 1 ? storedByAnother(chunkAt(1), columns) : own));
  expect(readIndependently(openChunk(keyAt(1), mixed[1] as Buffer).stream).rows).toBe(256);
  for (const [range, chosen] of [
    [chunkAt(1).range, undefined],
    [{ first: 200, end: 600 }, undefined],
    [{ first: 300, end: 301 }, undefined],
    [{ first: 0, end: 1000 }, ['event', 'GenPart_pdgId', 'Hit_cell']],
  ] as const) {
    const selection = selectionOf(range, chosen);
    expect(Buffer.compare(await answer(selection, mixed), afresh(selection))).toBe(0);
    const lines = await bodyOf('ndjson', selection, mixed, marshaller);
    expect(lines.equals(await bodyOf('ndjson', selection, chunks, marshaller))).toBe(true);
  }
});

test('a chunk of ours whose columns were described otherwise is served under the dataset’s description', async () => {
  const described = columns.map((column) => ({ ...column, description: 'said better' }));
  const selection = { ...selectionOf({ first: 0, end: 700 }), datasetColumns: described, columns: described };
  expect(Buffer.compare(await answer(selection), afresh(selection))).toBe(0);
});

test('a chunk without the declared columns, or of other events, is damage', async () => {
  const stranger: Column = { name: 'stranger', type: 'int32', unit: '1', description: 'Not there' };
  const retyped = columns.map((column): Column => (column.name === 'run' ? { ...column, type: 'float32' } : column));
  const selection = selectionOf({ first: 0, end: 10 });
  for (const declared of [[...columns, stranger], retyped]) {
    const wrong = { ...selection, datasetColumns: declared, columns: declared };
    await expect(answer(wrong)).rejects.toMatchObject({ code: 'CHUNK_DAMAGED' });
  }
  await expect(answer(selection, [chunks[1] as Buffer])).rejects.toMatchObject({ code: 'CHUNK_DAMAGED' });
});

test('bytes that break within a batch are damage when a thread meets them', async () => {
  const broken = brokenWithin(chunks[0] as Buffer, chunkAt(0));
  const selection = selectionOf({ first: 70, end: 120 }, ['GenPart_px']);
  for (const format of ['arrow', 'ndjson'] as const) {
    const body = bodyOf(format, selection, [broken], marshaller);
    await expect(body).rejects.toMatchObject({ code: 'CHUNK_DAMAGED', details: { chunk: keyAt(0) } });
  }
});
