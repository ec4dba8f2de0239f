// What crosses the boundary between a worker's main thread and its generating threads: plain types, read by both sides.
import type { ChunkRef } from '../core/chunk.ts';
import type { Derivation } from '../core/derivation.ts';

export interface ChunkTask {
  readonly derivation: Derivation;
  readonly chunk: ChunkRef;
  /** One Int32: becomes 1 when the task is to stop; looked at between record batches. */
  readonly cancel: SharedArrayBuffer;
}

export type ChunkTaskResult = ChunkMade | ChunkNotMade;

export interface ChunkMade {
  readonly state: 'made';
  /** The Arrow stream, without trailer; moved, not copied. */
  readonly stream: Uint8Array<ArrayBuffer>;
  /** SHA-256 of the stream, hex. */
  readonly digest: string;
  /** CPU seconds of the thread, generating and encoding. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}

/** Expected ways to end without bytes; anything unexpected is thrown. */
export interface ChunkNotMade {
  readonly state: 'cancelled' | 'failed';
  readonly detail: string;
  /** The event number that could not be made. */
  readonly event?: number;
  readonly cpuSeconds: number;
}
