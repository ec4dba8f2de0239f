// The cost report of the API, as zod schemas.
import { z } from 'zod';

/** Milliseconds since the epoch, of an RFC 3339 time or of the beginning of a day, UTC. */
const moment = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })], {
    error: 'is to be a date (2026-11-01: its beginning, UTC) or a time (2026-11-01T08:00:00Z)',
  })
  .transform((text) => Date.parse(text))
  .optional();

export const costQuery = z.strictObject({
  from: moment.describe('What happened at or after this time; 30 days before `to` unless said.'),
  to: moment.describe('What happened before this time; now unless said.'),
  dataset: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/, 'is to be scope:name')
    .optional()
    .describe('`scope:name`: only what belongs to this dataset.'),
  by: z
    .enum(['dataset', 'day', 'generator'], { error: 'is to be dataset, day or generator' })
    .default('dataset')
    .describe('What there is a row for.'),
});

const amount = z.number().min(0);
const count = z.int().min(0);

const worldShown = z.object({
  cpuSeconds: amount,
  byteSeconds: amount.describe('Bytes kept, times the seconds for which they were; one copy.'),
  bytesServed: amount,
  hitRatio: amount.max(1).describe('0 where nothing was asked for.'),
  energyKwh: amount,
  gramsCo2e: amount,
  cost: amount.describe('In `currency`, to the nano-unit.'),
  accesses: count,
  hits: count,
  waitSeconds: amount,
  requests: count.describe('To the store.'),
  costs: z
    .object({ cpu: amount, waiting: amount, storage: amount, requests: amount, egress: amount })
    .describe('What `cost` is the sum of.'),
});

const worldsShown = z.object({
  actual: worldShown
    .extend({
      waste: z
        .object({ cpuSeconds: amount, byCause: z.record(z.string(), amount) })
        .describe('CPU that came to nothing.'),
      batchCpuSeconds: amount,
    })
    .describe('What was really done.'),
  never: worldShown.describe('Nothing is kept: every access makes its chunk.'),
  always: worldShown.describe('Everything is kept from its first access in the window to the end of it.'),
  optimum: worldShown.describe('Kept exactly where that is cheaper than making again, knowing the future.'),
});

export const costReportShown = z.object({
  from: z.iso.datetime(),
  to: z.iso.datetime().describe('Not after the time of the report.'),
  by: z.enum(['dataset', 'day', 'generator']),
  dataset: z.string().optional(),
  currency: z.string(),
  rows: z.array(worldsShown.extend({ key: z.string().describe('Empty where nobody knows it any more.') })),
  total: worldsShown,
  assumptions: z
    .object({
      chunks: count,
      workOfDerivation: count,
      workUnknown: count,
      bytesOfDerivation: count,
      bytesUnknown: count,
    })
    .describe(
      'Chunks that were asked for; and those of which CPU or size is a mean of the derivation, or unknown and 0.',
    ),
  unreadableSegments: count.describe('Segments of the ledger that could not be read: what they held is missing.'),
});

export type CostReportShown = z.output<typeof costReportShown>;
