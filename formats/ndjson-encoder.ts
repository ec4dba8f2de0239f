// NDJSON responses: the lines of every record batch touched, printed in the marshalling threads.

import type { EventRange } from '../core/event-range.ts';
import { oneAhead, type Work } from './ahead.ts';
import { batchesTouched, chunkOfPart, marshalled } from './batch-works.ts';
import type { Marshaller } from './marshaller.ts';
import type { RangeEncoder, Selection } from './representation.ts';

export function ndjsonEncoder(selection: Selection, marshaller: Marshaller): RangeEncoder {
  const turn = marshaller.open();

  function* works(stored: Buffer, part: EventRange): Generator<Work> {
    const parsed = chunkOfPart(stored, part, selection);
    for (const touched of batchesTouched(parsed, part)) {
      yield () => marshalled('ndjson', parsed, touched, selection, turn);
    }
  }

  return { head: () => [], chunk: (stored, part) => oneAhead(works(stored, part)), tail: () => [] };
}
