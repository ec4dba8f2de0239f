// What crosses the boundary between a worker's main thread and its generating threads: plain types, read by both sides.
import type { ChunkRef } from '../core/chunk.ts';
import type { Derivation } from '../core/derivation.ts';
import type { Origin } from '../core/provenance.ts';

/** What a generating thread is started with. */
export interface ThreadSetup {
  /** URL of the module whose `builtInGenerators` is the registry. */
  readonly generators: string;
}

export interface ChunkTask {
  readonly derivation: Derivation;
  readonly chunk: ChunkRef;
  /** Goes into the provenance. */
  readonly origin: Origin;
  /** One Int32: becomes 1 when the task is to stop; looked at between record batches. */
  readonly cancel: SharedArrayBuffer;
}

export type ChunkTaskResult = ChunkMade | ChunkNotMade;

export interface ChunkMade {
  readonly state: 'made';
  /** The chunk at rest: the Arrow stream, which is moved and not copied, and the small trailer. */
  readonly sealed: readonly [stream: Uint8Array, trailer: Uint8Array];
  /** SHA-256 of the stream, hex. */
  readonly digest: string;
  /** CPU seconds of the thread, generating and encoding. */
  readonly cpuSeconds: number;
}

/**
 * Ways to end without bytes. `cancelled`: asked to stop. `failed`: the generator says that an event cannot be made, and
 * will say so again. `crashed`: anything else that was thrown. A thread that dies reports nothing at all.
 */
export interface ChunkNotMade {
  readonly state: 'cancelled' | 'failed' | 'crashed';
  readonly detail: string;
  /** The event number that could not be made. */
  readonly event?: number;
  readonly cpuSeconds: number;
}
