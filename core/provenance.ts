// Where a chunk came from: written into its trailer by the worker that made it, read by whoever asks.
import type { Derivation } from './derivation.ts';

/** What is known of a chunk's making before it begins: who makes it, and for whom. */
export type Origin = Pick<Provenance, 'code' | 'worker' | 'attempt' | 'requestId' | 'dataset' | 'batch'>;

/** What making a chunk took from one of its inputs. */
export interface InputUse {
  /** `scope:name`. */
  readonly dataset: string;
  readonly derivation: Derivation;
  readonly derivationId: string;
  readonly batchEvents: number;
  /** Events that were read from stored chunks. */
  readonly readEvents: number;
  /** Events that were made again, on the way, and not kept. */
  readonly remadeEvents: number;
  /** Of the thread, remaking them; without what their own input took. Reading an input counts with what is made of it. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}

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
  /** CPU seconds of the thread that generated and encoded; without what remaking its inputs took. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** Its input, the input of that, and so on; absent where it reads nothing. */
  readonly inputs?: readonly InputUse[];
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

/** CPU that making a chunk took, its inputs' included: whole microseconds, as the ledger counts. */
export function cpuMicrosOf({ cpuSeconds, inputs = [] }: Pick<Provenance, 'cpuSeconds' | 'inputs'>): number {
  return inputs.reduce((sum, input) => sum + Math.round(input.cpuSeconds * 1e6), Math.round(cpuSeconds * 1e6));
}
