// What the ledger is made of: one entry for everything that costs or is worth something. Plain data with whole-number
// quantities (microseconds, bytes), so that sums are exact in whatever order they are taken.
import type { EventRange } from './event-range.ts';

/** The chunk an entry is about, and for whom. */
interface EntryBase {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** `scope:name` of the dataset through which the chunk was asked for; empty where nobody knows any more. */
  readonly dataset: string;
  /** Name of the generator; empty where nobody knows any more. */
  readonly generator: string;
  readonly derivation: string;
  readonly batchEvents: number;
  /** Event indices of the chunk. */
  readonly range: EventRange;
}

/** What a try at making a chunk took. */
interface Work {
  /** CPU of the thread, measured there. */
  readonly cpuMicros: number;
  readonly wallMicros: number;
  /** Which try: 1 for the first. */
  readonly attempt: number;
  /** The request that asked first; of a batch, the one that created it. */
  readonly requestId: string;
  /** Id of the batch it was made for; empty for none. */
  readonly batch: string;
}

/**
 * A chunk was made and stored. `atMs` is its provenance's `generatedAt`: together with the chunk it names the generation,
 * so one that is told by the worker and again from the chunk's own trailer is counted once.
 */
export interface Generation extends EntryBase, Work {
  readonly kind: 'generation';
  /** Size at rest. */
  readonly bytes: number;
}

/**
 * Events of an input were made again on the way to a chunk that is derived from them, and not kept. `derivation`, `dataset`
 * and `generator` are the input's; `range` and `atMs` are those of the chunk that was made of them. What the worker tells and
 * what the trailer tells again is equal in everything, and counted once.
 */
export interface Remake extends EntryBase, Work {
  readonly kind: 'remake';
}

/**
 * Why CPU came to nothing. `cancelled`: nobody waited any more, or the worker stopped; `failed`: the generator said that an
 * event cannot be made; `crashed`: anything else that was thrown, a thread that died, a time that was up; `duplicate`:
 * somebody else had stored the chunk meanwhile; `unstored`: it was made and could not be kept, as far as its worker knows.
 */
export type WasteCause = 'cancelled' | 'failed' | 'crashed' | 'duplicate' | 'unstored';

/**
 * CPU came to nothing: of a derived chunk, an entry of its own and one for each input that anything was spent on, as in
 * `Remake`. `atMs` of what was unstored is its `generatedAt`: when the store had taken the chunk after all, it
 * turns up as a generation of that time (and its inputs as remakes), and counts as that alone.
 */
export interface Waste extends EntryBase, Work {
  readonly kind: 'waste';
  readonly cause: WasteCause;
}

/** How an answer came by a chunk. `near`: read from the store. */
export type AccessMeans = 'memory' | 'near' | 'joined' | 'generated';

/**
 * A request was given events of a chunk: one entry per request and chunk. Or a chunk was read as an input of a derived one:
 * `near`, with no bytes served.
 */
export interface Access extends EntryBase {
  readonly kind: 'access';
  readonly requestId: string;
  readonly means: AccessMeans;
  /** Events of the chunk that were in the range asked for. */
  readonly events: number;
  /** Bytes of the answer, as encoded, that came from this chunk. */
  readonly bytesServed: number;
  /** For how long the answer had to wait for it. */
  readonly waitMicros: number;
}

/** A chunk was stored; with `atMs` of its generation. */
export interface Put extends EntryBase {
  readonly kind: 'put';
  /** Size at rest. */
  readonly bytes: number;
}

/** `asked`: by a person; `room`: for other chunks; `damaged`: put into quarantine; `lost`: it was found missing. */
export type EvictionCause = 'asked' | 'room' | 'damaged' | 'lost';

/** A stored chunk is gone. */
export interface Eviction extends EntryBase {
  readonly kind: 'eviction';
  readonly bytes: number;
  readonly cause: EvictionCause;
}

export type LedgerEntry = Generation | Remake | Waste | Access | Put | Eviction;

/** Where entries go. Takes them in passing: never throws, never waits. */
export interface LedgerSink {
  record(entry: LedgerEntry): void;
}

export const noLedger: LedgerSink = { record: () => undefined };
