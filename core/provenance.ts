// Where a chunk came from: written into its trailer by the worker that made it, read by whoever asks.
import type { Derivation } from './derivation.ts';

/** What is known of a chunk's making before it begins: who makes it, and for whom. */
export type Origin = Pick<Provenance, 'code' | 'worker' | 'attempt' | 'requestId' | 'dataset' | 'batch'>;

/** Which code wrote the bytes. Chunks are compared only with chunks of the same writer. */
export interface Provenance {
  readonly derivation: Derivation;
  readonly derivationId: string;
  readonly startEvent: number;
  readonly lastEvent: number;
  readonly batchEvents: number;
  /** SHA-256 of the Arrow stream alone, hex: the chunk's digest. */
  readonly digest: string;
  /** The format's writer and codec build. */
  readonly writer: string;
  readonly runtime: { readonly node: string; readonly v8: string; readonly arch: string; readonly platform: string };
  /** The service's own version. */
  readonly code: string;
  readonly worker: { readonly host: string; readonly pid: number; readonly id: string };
  /** CPU seconds of the thread that generated and encoded. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** Which try this was: 1 for the first. */
  readonly attempt: number;
  readonly generatedAt: string;
  /** The request that asked first; of a batch, the one that created it. */
  readonly requestId: string;
  /** `scope:name` of the dataset through which it was asked for. Absent from chunks of the first release. */
  readonly dataset?: string;
  /** Id of the batch it was made for. */
  readonly batch?: string;
}
