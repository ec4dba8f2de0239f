// What crosses the boundary between a worker's main thread and its generating threads: plain types, read by both sides.
import type { ChunkRef } from '../core/chunk.ts';
import type { InputLink } from '../core/dataset.ts';
import type { Derivation } from '../core/derivation.ts';
import type { InputUse, Origin } from '../core/provenance.ts';

/** What a generating thread is started with. */
export interface ThreadSetup {
  /** URL of the module whose `builtInGenerators` is the registry. */
  readonly generators: string;
}

export interface ChunkTask {
  readonly derivation: Derivation;
  readonly chunk: ChunkRef;
  /** What it is derived from, the nearest first. */
  readonly inputs?: readonly InputTask[];
  /** Goes into the provenance. */
  readonly origin: Origin;
  /** Memory of the task's watch (workers/watch.ts): looked at between record batches. */
  readonly watch: SharedArrayBuffer;
}

/** An input, with those of its chunks that are read; what else is needed of it the thread makes. */
export interface InputTask extends InputLink {
  /** In the order of their events, none of which two have. */
  readonly stored: readonly StoredStream[];
}

export interface StoredStream {
  readonly chunk: ChunkRef;
  /** Its Arrow stream, verified. */
  readonly stream: Uint8Array;
}

/** What a task took on its thread. */
export interface Spent {
  /** CPU of the thread, generating and encoding; without what remaking its inputs took. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** The nearest first; absent where it reads nothing. */
  readonly inputs?: readonly InputUse[];
}

export type ChunkTaskResult = ChunkMade | ChunkNotMade;

/** What it took is, to the last digit, what the trailer says. */
export interface ChunkMade extends Spent {
  readonly state: 'made';
  /** The chunk at rest: the Arrow stream, which is moved and not copied, and the small trailer. */
  readonly sealed: readonly [stream: Uint8Array, trailer: Uint8Array];
  /** SHA-256 of the stream, hex. */
  readonly digest: string;
  /** As in the trailer: RFC 3339. */
  readonly generatedAt: string;
}

/**
 * Ways to end without bytes. `cancelled`: asked to stop. `failed`: the generator says that an event cannot be made, and
 * will say so again. `crashed`: anything else that was thrown, a thread that died, a time that was up; of a thread that is
 * gone, the CPU is known up to its last whole record batch.
 */
export interface ChunkNotMade extends Spent {
  readonly state: 'cancelled' | 'failed' | 'crashed';
  readonly detail: string;
  /** The event number that could not be made. */
  readonly event?: number;
}
