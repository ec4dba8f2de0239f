// The JSON of event ranges: what /openapi.json shows. Lists are checked object by object (event-range-list.ts), because what
// is wrong with one of them concerns no other.
import { z } from 'zod';
import { chunkState, problemShown } from './schemas.ts';

const eventRange = z.looseObject({
  eventRangeID: z.string().max(1000).describe('Any text; the same data under another one is the same data.'),
  LFN: z.string().max(250).describe('A file of a dataset that was declared with `files`, or the name of a dataset.'),
  scope: z.string().describe('The scope of that dataset.'),
  startEvent: z.int().min(1).describe('The first event; its position in the file, from 1, unless said otherwise.'),
  lastEvent: z.int().min(1).describe('The last event, included.'),
});

export const eventRangesBody = z.union([
  z.array(eventRange),
  z.strictObject({
    eventRanges: z.array(eventRange),
    inFilePosEvtNum: z
      .boolean()
      .optional()
      .describe('Whether startEvent and lastEvent are positions in the file, and not event numbers; true unless said.'),
  }),
]);

export const eventRangesShown = z.array(
  z
    .looseObject({
      url: z.string().optional().describe('Where the events are, as a small file of their own.'),
      state: chunkState.optional().describe('Of the least advanced chunk that has some of the events.'),
      heldUntil: z.iso
        .datetime()
        .optional()
        .describe('The chunks are not evicted for room until then, or until the events were delivered.'),
      error: problemShown.optional().describe('Why there is no such range.'),
    })
    .describe('The object as it came, with `url` and `state`, or with `error`.'),
);
