// Arrow responses are put together, not encoded: the schema, the stored record batches as they lie, cut ones at the edges,
// the end marker. Rows and batches are a function of range and grid alone, whichever writer made the chunk.
import type { EventRange } from '../core/event-range.ts';
import { eventsIn } from '../core/event-range.ts';
import type { Work } from './ahead.ts';
import { oneAhead } from './ahead.ts';
import { streamHead } from './arrow-schema.ts';
import { arrowWriter } from './arrow-writer.ts';
import { batchesTouched, chunkOfPart, marshalled, projected } from './batch-works.ts';
import type { ParsedChunk, StoredBatch } from './chunk-reader.ts';
import { layoutOf } from './chunk-reader.ts';
import { endMarker } from './ipc.ts';
import type { Marshaller } from './marshaller.ts';
import type { RangeEncoder, Selection } from './representation.ts';

export function arrowEncoder(selection: Selection, marshaller: Marshaller): RangeEncoder {
  const { derivationId, grid, range, columns, datasetColumns } = selection;
  const turn = marshaller.open();

  function* works(stored: Buffer, part: EventRange): Generator<Work> {
    const parsed = chunkOfPart(stored, part, selection);
    const isOurs = parsed.provenance.writer === arrowWriter;
    const layout = layoutOf(parsed, datasetColumns);
    const isServedAsItLies = isOurs && layout.isDeclared && columns.length === datasetColumns.length;
    // Batches that lie together leave together.
    let from = 0;
    let to = 0;
    for (const [batch, wanted] of batchesTouched(parsed, part)) {
      const isWhole = eventsIn(wanted) === eventsIn(batch.range);
      if (isWhole && isServedAsItLies) {
        if (to === 0) from = batch.at;
        to = batch.end;
        continue;
      }
      if (to > 0) yield slice(parsed, from, to);
      to = 0;
      if (isWhole && isOurs) yield () => chosen(parsed, batch);
      else yield () => marshalled('arrow', parsed, [batch, wanted], selection, turn);
    }
    if (to > 0) yield slice(parsed, from, to);
  }

  function slice({ stream }: ParsedChunk, from: number, to: number): Buffer {
    turn.admit();
    return stream.subarray(from, to);
  }

  function chosen(parsed: ParsedChunk, batch: StoredBatch): Buffer {
    turn.admit();
    return Buffer.from(projected(parsed, batch, selection).buffer);
  }

  return {
    head: () => [streamHead(columns, { derivationId, batchEvents: grid.batchEvents, range })],
    chunk: (stored, part) => oneAhead(works(stored, part)),
    tail: () => [endMarker],
  };
}
