// What one job says, read by both sides of the queue: plain data, small, and never event bytes.
import { type ChunkRef, chunkKey } from '../core/chunk.ts';
import { type Dataset, formatDatasetName, type InputLink } from '../core/dataset.ts';
import type { Derivation } from '../core/derivation.ts';
import { type ErrorCode, errorCatalogue } from '../core/errors.ts';

export interface ChunkJob {
  /** core/chunk.ts chunkKey: also the deduplication id. */
  readonly key: string;
  readonly chunk: ChunkRef;
  readonly derivation: Derivation;
  /** What it is derived from, the nearest first, as in the dataset's record. */
  readonly inputs?: readonly InputLink[];
  /** The request that asked first: goes into provenance, ledger and logs. */
  readonly requestId: string;
  /** `scope:name` of the dataset through which it is asked for: the same. */
  readonly dataset: string;
  /** Id of the batch it is made for: the same. */
  readonly batch?: string;
}

/** Who asks for a chunk. */
type Asker = Pick<ChunkJob, 'requestId' | 'batch'>;

/** The order for one chunk of a dataset. */
export function orderOf(dataset: Dataset, chunk: ChunkRef, { requestId, batch }: Asker): ChunkJob {
  const { derivation, inputs } = dataset;
  return {
    key: chunkKey(chunk),
    chunk,
    derivation,
    ...(inputs === undefined ? {} : { inputs }),
    requestId,
    dataset: formatDatasetName(dataset),
    ...(batch === undefined ? {} : { batch }),
  };
}

/** Whether a job's data has the shape of an order; whether it makes sense is for whoever fulfils it. */
export function isChunkJob(value: unknown): value is ChunkJob {
  const { key, chunk, derivation, inputs, requestId, dataset } = fieldsOf(value);
  const { derivation: id, batchEvents, range } = fieldsOf(chunk);
  const { first, end } = fieldsOf(range);
  const { generator, version, parameters, seed } = fieldsOf(derivation);
  return (
    isKey(key) &&
    [id, generator, version, requestId, dataset].every((text) => typeof text === 'string') &&
    [batchEvents, first, end, seed].every(isCount) &&
    typeof parameters === 'object' &&
    (inputs === undefined || (Array.isArray(inputs) && inputs.every(isInput)))
  );
}

function isInput(value: unknown): boolean {
  const { derivation, derivationId } = fieldsOf(value);
  return typeof derivationId === 'string' && typeof fieldsOf(derivation)['generator'] === 'string';
}

/** A completed job's return value: the chunk is in the store. */
export interface ChunkDone {
  readonly key: string;
  readonly bytes: number;
  /** 0 when the chunk was found stored and nothing was generated. */
  readonly cpuSeconds: number;
  readonly generated: boolean;
  /** Milliseconds from the start of the job until it was stored. */
  readonly workMs: number;
}

/** Why a job failed for good, as JSON in its failedReason (the queue carries one string). */
export interface ChunkFailed {
  readonly key: string;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly attempts: number;
  /** The event number that could not be made, where known. */
  readonly event?: number;
}

export function failedReason(failed: ChunkFailed): string {
  return JSON.stringify(failed);
}

/** More than any chunk's key has. */
const keyCharsMax = 200;
/** Longer last words are cut. */
const detailCharsMax = 2_000;

/**
 * Undefined when the text is not ours: the queue's own reasons ("job stalled more than allowable limit"), or somebody else's
 * writing. A code of a later version counts as what it most likely is.
 */
export function parseFailedReason(text: string): ChunkFailed | undefined {
  const { key, code, detail, attempts, event } = fieldsOf(parsedJson(text));
  if (!isKey(key) || typeof code !== 'string' || typeof detail !== 'string') return undefined;
  return {
    key,
    code: Object.hasOwn(errorCatalogue, code) ? (code as ErrorCode) : 'GENERATION_FAILED',
    detail: detail.slice(0, detailCharsMax),
    attempts: isCount(attempts) ? attempts : 1,
    ...(isCount(event) ? { event } : {}),
  };
}

/** A return value as the queue gives it; undefined when it is none of ours. */
export function parseChunkDone(value: unknown): ChunkDone | undefined {
  const { key, bytes, cpuSeconds, generated, workMs } = fieldsOf(value);
  const numbers = [bytes, cpuSeconds, workMs];
  if (!isKey(key) || typeof generated !== 'boolean' || !numbers.every(isAmount)) return undefined;
  return value as ChunkDone;
}

/** Of an order, as far as the queue is concerned. */
export function isKey(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= keyCharsMax;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** Why the job for this chunk failed, in our words also where the queue itself gave it up. */
export function failureOf(key: string, reason: string | undefined): ChunkFailed {
  const ours = reason === undefined ? undefined : parseFailedReason(reason);
  if (ours !== undefined) return ours;
  // The attempts are not known then: at least one.
  return {
    key,
    code: 'GENERATION_FAILED',
    detail: `The queue gave the chunk up: ${reason?.slice(0, detailCharsMax) ?? 'no reason'}.`,
    attempts: 1,
  };
}
