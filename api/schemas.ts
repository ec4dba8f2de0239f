// The JSON of the API, as zod schemas: what requests are checked against and what /openapi.json shows.
import { z } from 'zod';
import { lfnProblem } from '../core/files.ts';

const namePattern = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}';
export const scope = z
  .string()
  .regex(new RegExp(`^${namePattern}$`), '1 to 200 of A-Z a-z 0-9 _ . -, not beginning with . or -')
  .describe('The scope of a dataset.');
export const name = scope.describe('The name of a dataset within its scope.');
const rangePattern = '[1-9]\\d{0,15}-[1-9]\\d{0,15}';
export const range = z
  .string()
  .regex(new RegExp(`^${rangePattern}$`), 'write startEvent-lastEvent, both 1-based and inclusive')
  .describe('An event range, 1-based and inclusive: `1-1000`.');
export const rangeWithSuffix = z
  .string()
  .regex(
    new RegExp(`^${rangePattern}(\\.(arrows|parquet|hepmc3|ndjson))?$`),
    'write startEvent-lastEvent, both 1-based and inclusive, and at most one of .arrows .parquet .hepmc3 .ndjson',
  )
  .describe('An event range, 1-based and inclusive, with or without a suffix that names the format: `1-1000.arrows`.');
export const chunkIndex = z
  .string()
  .regex(/^(0|[1-9]\d{0,15})$/, 'a whole number')
  .transform(Number)
  .describe('The 0-based index of a chunk on the grid of the dataset.');

const limitMax = 1000;
export const limit = z
  .string()
  .regex(/^[1-9]\d{0,3}$/, 'a whole number from 1 to 1000')
  .transform(Number)
  .pipe(z.number().max(limitMax))
  .default(100)
  .describe('How many items at most, 1 to 1000.');
export const after = z.string().min(1).max(500).optional().describe('`next` of the page before.');
export const eventNumberText = z
  .string()
  .regex(/^[1-9]\d{0,15}$/, 'an event number')
  .transform(Number)
  .optional();

export const datasetPath = z.strictObject({ scope, name });
export const pageQuery = z.strictObject({ limit, after });

/** Files that exist by name only. */
const filesDeclared = z.strictObject({
  eventsPerFile: z.int().min(1).describe('File n, from 1, has the nth so many events; the last one what is left.'),
  lfn: z
    .string()
    .superRefine((lfn, context) => {
      const problem = lfnProblem(lfn);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    })
    .describe('Logical file name, with `{n}` or `{n:06}` where the number of the file stands.'),
});

/** The body of a declaration; integers are safe ones. Parameters are checked by the generator's own schema. */
export const declaration = z.strictObject({
  generator: z.string().min(1).max(200).describe('Name of a generator.'),
  version: z.string().min(1).max(200).optional().describe('Of the generator; the registered one unless said.'),
  parameters: z.record(z.string(), z.unknown()).optional().describe("Checked by the generator's parametersSchema."),
  seed: z.int().min(0).describe('Names the random stream.'),
  events: z.int().min(1).describe('How many events there are.'),
  chunkEvents: z.int().min(1).optional().describe('Events of a chunk; chosen by cost unless said.'),
  input: z
    .string()
    .regex(new RegExp(`^${namePattern}:${namePattern}$`), 'write scope:name')
    .optional()
    .describe('`scope:name` of the dataset that the generator reads; it has at least as many events.'),
  files: filesDeclared.optional(),
});

export const pinBody = z
  .strictObject({
    expiresAt: z.iso.datetime({ offset: true }).optional().describe('In 30 days unless said.'),
    reason: z.string().max(1000).optional(),
  })
  .optional();

/** A PUT that says all with its address. */
export const emptyBody = z.strictObject({}).optional();

const time = z.iso.datetime();
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);

export const column = z.object({
  name: z.string(),
  type: z.enum(['int32', 'uint32', 'uint64', 'float32', 'float64']),
  unit: z.string(),
  description: z.string(),
  countedBy: z.string().optional(),
});

const reproducibility = z.enum(['exact', 'platform', 'statistical']);

export const generatorShown = z.object({
  name: z.string(),
  version: z.string(),
  description: z.string(),
  parametersSchema: z.record(z.string(), z.unknown()).describe('JSON Schema.'),
  columns: z.array(column),
  formats: z.array(z.object({ name: z.string(), mediaType: z.string(), extension: z.string() })),
  reproducibility,
  input: z.enum(['none', 'required']),
  inputColumns: z.array(z.string()).optional().describe('Columns that the input must have.'),
});

const filesShown = z.object({ eventsPerFile: z.int(), lfn: z.string() });

const inputShown = z.object({
  dataset: z.string(),
  generator: z.string(),
  version: z.string(),
  parameters: z.record(z.string(), z.unknown()),
  seed: z.int(),
  derivation: hex64,
  retired: z.literal(true).optional().describe('It was found wrong: so is what is derived from it, perhaps.'),
});

export const datasetDefinition = z.object({
  scope: z.string(),
  name: z.string(),
  generator: z.string(),
  version: z.string(),
  parameters: z.record(z.string(), z.unknown()),
  seed: z.int(),
  input: z.string().optional().describe('`scope:name` of the dataset that it is derived from.'),
  files: filesShown.optional(),
  events: z.int(),
  chunkEvents: z.int(),
  batchEvents: z.int(),
  chunks: z.int(),
  derivation: hex64,
  declaredAt: time,
});

export const datasetShown = datasetDefinition.extend({
  inputs: z.array(inputShown).optional().describe('What it is derived from, the nearest first.'),
  columns: z.array(column),
  reproducibility,
  materializedChunks: z.int(),
  materializedBytes: z.int(),
  pinned: z.boolean(),
  retired: z.boolean(),
  crossSection: z.object({ value: z.number(), error: z.number(), unit: z.literal('pb') }).optional(),
});

export const retiredShown = z.object({ scope: z.string(), name: z.string(), retired: z.literal(true) });

export const pinShown = z.object({
  scope: z.string(),
  name: z.string(),
  pinnedAt: time,
  expiresAt: time,
  reason: z.string().optional(),
});

export const chunkState = z.enum(['virtual', 'queued', 'generating', 'materialized', 'failed', 'fossil']);

export const stateRun = z.object({ firstChunk: z.int(), lastChunk: z.int(), state: chunkState });

const plannedInput = z.object({
  dataset: z.string(),
  derivation: hex64,
  means: z.enum(['read', 'remake', 'both', 'none']).describe('`none`: all that is derived from it is read.'),
  chunksRead: z.int().describe('Reads of stored chunks: one that is read for two chunks counts twice.'),
  eventsRemade: z.int().describe('Events that are made on the way, and not kept.'),
  cpuSeconds: z.number(),
  seconds: z.number(),
  why: z.string(),
});

export const planShown = z.object({
  runs: z.array(
    z.object({
      firstChunk: z.int(),
      lastChunk: z.int(),
      means: z.enum(['memory', 'near', 'far', 'join', 'generate']),
      seconds: z.number(),
      cpuSeconds: z.number(),
      bytes: z.number(),
      cost: z.number(),
      why: z.string(),
      inputs: z
        .array(plannedInput)
        .optional()
        .describe('What a run that is generated takes of its inputs, the nearest first: a part of its own figures.'),
    }),
  ),
  total: z.object({
    chunks: z.int(),
    seconds: z.number(),
    cpuSeconds: z.number(),
    bytes: z.number(),
    cost: z.number(),
  }),
  currency: z.string(),
  nextChunk: z.int().optional().describe('The first chunk that is not in the runs, where there are too many to show.'),
});

const inputUseShown = z.object({
  dataset: z.string(),
  derivationId: hex64,
  derivation: z.record(z.string(), z.unknown()),
  batchEvents: z.int(),
  readEvents: z.int().optional().describe('Events that were read from stored chunks.'),
  remadeEvents: z.int().optional().describe('Events that were made again on the way, and not kept.'),
  cpuSeconds: z.number().optional().describe('Of remaking; without what its own input took.'),
  wallSeconds: z.number().optional(),
});

export const provenanceShown = z.object({
  dataset: z.string(),
  chunk: z.int(),
  startEvent: z.int(),
  lastEvent: z.int(),
  state: chunkState,
  derivationId: hex64,
  derivation: z.record(z.string(), z.unknown()),
  batchEvents: z.int(),
  digests: z.array(z.object({ writer: z.string(), digest: hex64, at: z.string() })).describe('All ever recorded.'),
  bytes: z.int().optional(),
  digest: hex64.optional().describe('Of the Arrow stream.'),
  writer: z.string().optional(),
  code: z.string().optional(),
  runtime: z.object({ node: z.string(), v8: z.string(), arch: z.string(), platform: z.string() }).optional(),
  worker: z.object({ host: z.string(), pid: z.int(), id: z.string() }).optional(),
  cpuSeconds: z.number().optional().describe('Without what remaking its inputs took.'),
  wallSeconds: z.number().optional(),
  inputs: z
    .array(inputUseShown)
    .optional()
    .describe('What it is derived from, the nearest first; of a stored chunk also what that took.'),
  attempt: z.int().optional(),
  generatedAt: z.string().optional(),
  requestId: z.string().optional().describe('The request that asked first.'),
  kept: z.object({ until: z.string().nullable(), why: z.string() }).optional(),
});

export const healthShown = z.object({ status: z.literal('alive') });
export const readyShown = z.object({ status: z.enum(['ready', 'degraded']), missing: z.array(z.string()) });
export const versionShown = z.object({
  version: z.string(),
  api: z.literal('v1'),
  node: z.string(),
  registry: z.string(),
});
export const workerShown = z.looseObject({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  startedAt: z.string(),
  registry: z.string(),
  version: z.string(),
});

export const problemShown = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  requestId: z.string(),
  hint: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

export function pageOf(items: z.ZodType): z.ZodType {
  return z.object({
    items: z.array(items),
    next: z.string().nullable().describe('Give it as `after`; null at the end.'),
  });
}
