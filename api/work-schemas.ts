// The JSON of long work, batches and asynchronous requests: what their bodies are checked against and what /openapi.json shows.
import { z } from 'zod';
import { problemShown } from './schemas.ts';

const time = z.iso.datetime();
const eventNumber = z.int().min(1);
const holdSecondsMax = 10 * 365 * 24 * 3600;
const cpuSecondsMax = 1e12;

export const workState = z
  .enum(['pending', 'running', 'paused', 'completed', 'cancelled', 'failed', 'over-budget'])
  .describe('The last four are final.');

export const batchId = z.string().min(1).max(200).describe('The id of a batch.');
export const requestId = z
  .string()
  .min(1)
  .max(200)
  .describe('The Request-Id of the request that was accepted, or that failed.');

export const batchBody = z.strictObject({
  dataset: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/, 'write scope:name')
    .describe('`scope:name`'),
  startEvent: eventNumber.optional().describe('1 unless said.'),
  lastEvent: eventNumber.optional().describe('The last of the dataset unless said.'),
  priority: z.int().min(0).max(9).optional().describe('0 to 9, higher sooner; 5 unless said.'),
  deadline: z.iso.datetime({ offset: true }).optional().describe('Orders batches of one priority.'),
  budget: z
    .strictObject({
      cpuSeconds: z.number().positive().max(cpuSecondsMax).optional(),
      cost: z.number().positive().max(cpuSecondsMax).optional().describe('In the configured currency.'),
    })
    .optional()
    .describe('It ends when that is spent.'),
  hold: z
    .number()
    .min(0)
    .max(holdSecondsMax)
    .optional()
    .describe('Seconds after its end in which its chunks are not evicted for room; 30 days unless said.'),
  pin: z.boolean().optional().describe('Also pins the dataset.'),
});

/** What a person may want of a batch; DELETE cancels. */
export const batchPatch = z.strictObject({ state: z.enum(['paused', 'running']) });

export const batchShown = z.object({
  id: z.string(),
  dataset: z.string(),
  startEvent: eventNumber,
  lastEvent: eventNumber,
  state: workState,
  reason: z.string().optional().describe('Why it is paused, failed or over its budget.'),
  chunks: z.int(),
  done: z.int().describe('Chunks that this batch made.'),
  skipped: z.int().describe('Chunks stored already, or made for others meanwhile.'),
  failed: z.int(),
  cpuSeconds: z.number(),
  cost: z.number().describe('Of the CPU seconds, in the configured currency.'),
  estimatedSecondsLeft: z.number().nullable().describe('Null while nobody knows.'),
  priority: z.int(),
  deadline: time.optional(),
  late: z.boolean().optional().describe('Whether the deadline passed before it ended.'),
  budget: z.object({ cpuSeconds: z.number().optional(), cost: z.number().optional() }).optional(),
  hold: z.number().describe('Seconds.'),
  pin: z.boolean(),
  createdAt: time,
  startedAt: time.optional(),
  endedAt: time.optional(),
});

export const requestShown = z.object({
  id: z.string(),
  state: workState,
  dataset: z.string().optional(),
  startEvent: eventNumber.optional(),
  lastEvent: eventNumber.optional(),
  chunksDone: z.int().optional().describe('Chunks that are stored.'),
  chunks: z.int().optional(),
  startedAt: time,
  endedAt: time.optional(),
  estimatedSecondsLeft: z.number().nullable().optional().describe('Null while nobody knows.'),
  result: z.string().optional().describe('Where the events are, in the format and columns asked for.'),
  target: z.string().optional().describe('Of a synchronous request that failed: what it asked for.'),
  error: problemShown.optional().describe('Of a request that failed.'),
});
