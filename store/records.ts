// Records: small JSON objects of the store, legible for people. What does not read as the record it should be is
// STORE_UNAVAILABLE for whoever needs it, and troubles nobody else.
import { z } from 'zod';
import type { Batch, BatchProgress, BatchWish } from '../core/batch.ts';
import type { Dataset, Pin } from '../core/dataset.ts';
import { isNamePart } from '../core/dataset.ts';
import { derivationId } from '../core/derivation.ts';
import { EvokeError } from '../core/errors.ts';
import type { Store } from './store.ts';
import { damagedRecord } from './unavailable.ts';

/** Records are small: what is larger is none, and is not taken apart. */
export const recordBytesMax = 16 * 1024 * 1024;

const hexId = z.string().regex(/^[0-9a-f]{64}$/);
const namePart = z.string().refine(isNamePart);
const time = z.iso.datetime();
const count = z.int().min(1);

const column = z.looseObject({
  name: z.string(),
  type: z.enum(['int32', 'uint32', 'uint64', 'float32', 'float64']),
  countedBy: z.exactOptional(z.string()),
  unit: z.string(),
  description: z.string(),
});

// Fields that a later version adds are let through everywhere.

const derivation = z.looseObject({
  generator: z.string(),
  version: z.string(),
  parameters: z.record(z.string(), z.json()),
  seed: z.int().min(0),
  input: z.exactOptional(hexId),
});

const grid = { events: count, chunkEvents: count, batchEvents: count };

const ownId = {
  path: ['derivationId'],
  message: 'is not the id of the derivation',
};

const fullName = z.string().refine((text) => {
  const parts = text.split(':');
  return parts.length === 2 && parts.every(isNamePart);
});

const inputLink = z
  .looseObject({ dataset: fullName, derivation, derivationId: hexId, ...grid })
  .refine((link) => derivationId(link.derivation) === link.derivationId, ownId);

/** A dataset, with the id that its derivation really has: a record that contradicts itself is damaged. */
export const datasetRecord: z.ZodType<Dataset> = z
  .looseObject({
    scope: namePart,
    name: namePart,
    derivation,
    derivationId: hexId,
    columns: z.array(column).min(1),
    reproducibility: z.enum(['exact', 'platform', 'statistical']),
    ...grid,
    inputs: z.exactOptional(z.array(inputLink).min(1)),
    files: z.exactOptional(z.looseObject({ eventsPerFile: count, lfn: z.string() })),
    declaredAt: time,
  })
  .refine((dataset) => derivationId(dataset.derivation) === dataset.derivationId, ownId)
  .refine(isLinked, { path: ['inputs'], message: 'are not what the derivation is derived from' });

/** Each derivation names the next one, and has no more events than that. */
function isLinked({ inputs = [], ...own }: Pick<Dataset, 'derivation' | 'events' | 'inputs'>): boolean {
  return [own, ...inputs].every(({ derivation, events }, i) => {
    const next = inputs[i];
    return derivation.input === next?.derivationId && (next === undefined || events <= next.events);
  });
}

export const pinRecord: z.ZodType<Pin> = z.looseObject({
  scope: namePart,
  name: namePart,
  pinnedAt: time,
  expiresAt: time,
  reason: z.exactOptional(z.string()),
});

export const storeRecord = z.looseObject({ id: z.uuid() });

export const capacityRecord = z.looseObject({ capacityBytes: count });

const eventRange = z
  .looseObject({ first: z.int().min(0), end: z.int() })
  .refine(({ first, end }) => first < end, { message: 'is empty' });

export const batchRecord: z.ZodType<Batch> = z.looseObject({
  id: z.string(),
  dataset: z.string(),
  range: eventRange,
  chunks: count,
  priority: z.int().min(0).max(9),
  deadline: z.exactOptional(time),
  budget: z.exactOptional(
    z.looseObject({ cpuSeconds: z.exactOptional(z.number().min(0)), cost: z.exactOptional(z.number().min(0)) }),
  ),
  holdSeconds: z.number().min(0),
  pin: z.boolean(),
  createdAt: time,
  requestId: z.string(),
});

export const wishRecord: z.ZodType<BatchWish> = z.looseObject({
  state: z.enum(['running', 'paused', 'cancelled']),
  at: time,
});

const tallied = z.int().min(0);

export const progressRecord: z.ZodType<BatchProgress> = z.looseObject({
  state: z.enum(['pending', 'running', 'paused', 'completed', 'cancelled', 'failed', 'over-budget']),
  reason: z.exactOptional(z.string()),
  cursor: tallied,
  done: tallied,
  skipped: tallied,
  failed: tallied,
  cpuMicros: tallied,
  startedAt: z.exactOptional(time),
  endedAt: z.exactOptional(time),
  estimatedSecondsLeft: z.exactOptional(z.number().min(0)),
  at: time,
});

/** @throws EvokeError STORE_UNAVAILABLE when the store fails, or what it holds is no such record. */
export async function readRecord<T>(store: Store, name: string, record: z.ZodType<T>): Promise<T | undefined> {
  const bytes = await store.get(name);
  if (bytes === undefined) return undefined;
  if (bytes.length > recordBytesMax) throw damagedRecord(name, `it has more than ${recordBytesMax} bytes`);
  try {
    const { success, data, error } = record.safeParse(JSON.parse(bytes.toString('utf8')));
    if (success) return data;
    const [issue] = error.issues;
    throw new Error(`/${issue?.path.join('/') ?? ''}: ${issue?.message ?? 'not a record'}`);
  } catch (error) {
    // Also of what is nested deeper than anybody can follow.
    throw damagedRecord(name, error);
  }
}

/**
 * Returns whether the record is stored: with `ifAbsent`, one that is there already stays.
 * @throws EvokeError STORE_UNAVAILABLE; BODY_TOO_LARGE for what could not be read again
 */
export async function writeRecord(
  store: Store,
  name: string,
  value: object,
  options?: { ifAbsent?: boolean },
): Promise<boolean> {
  const bytes = Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
  if (bytes.length > recordBytesMax) {
    throw new EvokeError('BODY_TOO_LARGE', {
      detail: `What is kept of this takes ${bytes.length} bytes; a record has at most ${recordBytesMax}.`,
      bytesMax: recordBytesMax,
    });
  }
  return store.put(name, [bytes], options);
}

/** For a `catch`: one damaged record must not hide the others. A failure of the store stays one. */
export function passOverDamaged(error: unknown): undefined {
  if (error instanceof EvokeError && error.details['record'] !== undefined) return undefined;
  throw error;
}
