// What one job says, read by both sides of the queue: plain data, small, and never event bytes.
import type { ChunkRef } from '../core/chunk.ts';
import type { Derivation } from '../core/derivation.ts';
import type { ErrorCode } from '../core/errors.ts';

export interface ChunkJob {
  /** core/chunk.ts chunkKey: also the deduplication id. */
  readonly key: string;
  readonly chunk: ChunkRef;
  readonly derivation: Derivation;
  /** The request that asked first: goes into provenance, ledger and logs. */
  readonly requestId: string;
  /** `scope:name` of the dataset through which it is asked for: the same. */
  readonly dataset: string;
  /** Id of the batch it is made for: the same. */
  readonly batch?: string;
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

/** Undefined when the text is not ours: the queue's own reasons ("job stalled more than allowable limit"). */
export function parseFailedReason(text: string): ChunkFailed | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'key' in value && 'code' in value
      ? (value as ChunkFailed)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Why the job for this chunk failed, in our words also where the queue itself gave it up. */
export function failureOf(key: string, reason: string | undefined): ChunkFailed {
  const ours = reason === undefined ? undefined : parseFailedReason(reason);
  if (ours !== undefined) return ours;
  // The attempts are not known then: at least one.
  return {
    key,
    code: 'GENERATION_FAILED',
    detail: `The queue gave the chunk up: ${reason ?? 'no reason'}.`,
    attempts: 1,
  };
}
