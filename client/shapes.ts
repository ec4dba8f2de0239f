// What the service answers, as types. They follow the API's own schemas, and a test holds them to those; at run time they are
// taken at the service's word, and what a newer service adds is simply there.
import type { ColumnType } from '../core/columns.ts';
import type { Reproducibility } from '../core/dataset.ts';
import type { WorkState } from '../core/work-state.ts';

export type { ColumnType, Reproducibility, WorkState };

/** Event numbers, 1-based, both ends included. */
export interface EventSpan {
  readonly startEvent: number;
  readonly lastEvent: number;
}

export interface ColumnInfo {
  readonly name: string;
  readonly type: ColumnType;
  /** `GeV`, `rad`; `1` for a pure number. */
  readonly unit: string;
  readonly description: string;
  /** Of a jagged column: the column that has the number of values per event. */
  readonly countedBy?: string | undefined;
}

export interface GeneratorInfo {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** JSON Schema. */
  readonly parametersSchema: Readonly<Record<string, unknown>>;
  readonly columns: readonly ColumnInfo[];
  readonly formats: readonly { readonly name: string; readonly mediaType: string; readonly extension: string }[];
  readonly reproducibility: Reproducibility;
  readonly input: 'none' | 'required';
  /** Columns that the input must have. */
  readonly inputColumns?: readonly string[] | undefined;
}

/** A dataset as a list shows it. */
export interface DatasetSummary {
  readonly scope: string;
  readonly name: string;
  readonly generator: string;
  readonly version: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly seed: number;
  /** `scope:name` of the dataset that it is derived from. */
  readonly input?: string | undefined;
  readonly files?: { readonly eventsPerFile: number; readonly lfn: string } | undefined;
  readonly events: number;
  readonly chunkEvents: number;
  readonly batchEvents: number;
  readonly chunks: number;
  /** 64 hex digits. */
  readonly derivation: string;
  readonly declaredAt: string;
}

export interface DatasetInfo extends DatasetSummary {
  /** What it is derived from, the nearest first. */
  readonly inputs?: readonly InputInfo[] | undefined;
  readonly columns: readonly ColumnInfo[];
  readonly reproducibility: Reproducibility;
  readonly materializedChunks: number;
  readonly materializedBytes: number;
  readonly pinned: boolean;
  readonly retired: boolean;
  readonly crossSection?: { readonly value: number; readonly error: number; readonly unit: 'pb' } | undefined;
}

export interface InputInfo {
  /** `scope:name` */
  readonly dataset: string;
  readonly generator: string;
  readonly version: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly derivation: string;
}

export interface PinInfo {
  readonly scope: string;
  readonly name: string;
  readonly pinnedAt: string;
  readonly expiresAt: string;
  readonly reason?: string | undefined;
}

export type ChunkState = 'virtual' | 'queued' | 'generating' | 'materialized' | 'failed' | 'fossil';

/** Consecutive chunks in one state; indices from 0. */
export interface StateRun {
  readonly firstChunk: number;
  readonly lastChunk: number;
  readonly state: ChunkState;
}

export interface PlanAmounts {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly bytes: number;
  readonly cost: number;
}

export interface PlanRun extends PlanAmounts {
  readonly firstChunk: number;
  readonly lastChunk: number;
  readonly means: 'memory' | 'near' | 'far' | 'join' | 'generate';
  readonly why: string;
  /** What a run that is generated takes of its inputs, the nearest first: a part of its own figures. */
  readonly inputs?: readonly PlannedInput[] | undefined;
}

export interface PlannedInput {
  /** `scope:name` */
  readonly dataset: string;
  readonly derivation: string;
  readonly means: 'read' | 'remake' | 'both' | 'none';
  readonly chunksRead: number;
  readonly eventsRemade: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly why: string;
}

export interface Plan {
  readonly runs: readonly PlanRun[];
  readonly total: PlanAmounts & { readonly chunks: number };
  readonly currency: string;
  /** The first chunk that is not in the runs, where there are too many to show. */
  readonly nextChunk?: number | undefined;
}

/** Where a chunk came from, as far as it is known: most of it only of a chunk that is stored. */
export interface ProvenanceInfo extends EventSpan {
  readonly dataset: string;
  readonly chunk: number;
  readonly state: ChunkState;
  readonly derivationId: string;
  readonly derivation: Readonly<Record<string, unknown>>;
  readonly batchEvents: number;
  readonly digests: readonly { readonly writer: string; readonly digest: string; readonly at: string }[];
  readonly bytes?: number | undefined;
  readonly digest?: string | undefined;
  readonly writer?: string | undefined;
  readonly code?: string | undefined;
  readonly runtime?: Readonly<Record<'node' | 'v8' | 'arch' | 'platform', string>> | undefined;
  readonly worker?: { readonly host: string; readonly pid: number; readonly id: string } | undefined;
  readonly cpuSeconds?: number | undefined;
  readonly wallSeconds?: number | undefined;
  /** What it is derived from, the nearest first; of a stored chunk also what that took. */
  readonly inputs?: readonly InputUseInfo[] | undefined;
  readonly attempt?: number | undefined;
  readonly generatedAt?: string | undefined;
  readonly requestId?: string | undefined;
  readonly kept?: { readonly until: string | null; readonly why: string } | undefined;
}

export interface InputUseInfo {
  readonly dataset: string;
  readonly derivationId: string;
  readonly derivation: Readonly<Record<string, unknown>>;
  readonly batchEvents: number;
  /** Events that were read from stored chunks. */
  readonly readEvents?: number | undefined;
  /** Events that were made again on the way, and not kept. */
  readonly remadeEvents?: number | undefined;
  readonly cpuSeconds?: number | undefined;
  readonly wallSeconds?: number | undefined;
}

export interface BatchInfo extends EventSpan {
  readonly id: string;
  readonly dataset: string;
  readonly state: WorkState;
  readonly reason?: string | undefined;
  readonly chunks: number;
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  readonly cpuSeconds: number;
  readonly cost: number;
  readonly estimatedSecondsLeft: number | null;
  readonly priority: number;
  readonly deadline?: string | undefined;
  readonly late?: boolean | undefined;
  readonly budget?: { readonly cpuSeconds?: number | undefined; readonly cost?: number | undefined } | undefined;
  readonly hold: number;
  readonly pin: boolean;
  readonly createdAt: string;
  readonly startedAt?: string | undefined;
  readonly endedAt?: string | undefined;
}

/** Events that are made without anybody waiting, or a request that failed. */
export interface RequestInfo {
  readonly id: string;
  readonly state: WorkState;
  readonly dataset?: string | undefined;
  readonly startEvent?: number | undefined;
  readonly lastEvent?: number | undefined;
  readonly chunksDone?: number | undefined;
  readonly chunks?: number | undefined;
  readonly startedAt: string;
  readonly endedAt?: string | undefined;
  readonly estimatedSecondsLeft?: number | null | undefined;
  /** Where the events are. */
  readonly result?: string | undefined;
  readonly target?: string | undefined;
  readonly error?: Problem | undefined;
}

/** An error document (RFC 9457). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly requestId: string;
  readonly hint?: string | undefined;
  readonly errors?: readonly { readonly path: string; readonly message: string }[] | undefined;
}

/** One of PanDA's event ranges, with whatever else it says. */
export type EventRangeAsked = Readonly<Record<string, unknown>>;

/** The same object with where its events are (a path on the service, or an address), or with why there are none. */
export type EventRangeAnswer<Asked = EventRangeAsked> = Asked &
  (
    | {
        readonly url: string;
        /** Of the least advanced chunk that has some of the events. */
        readonly state: ChunkState;
        /** Until then, or until they were delivered, the events are not evicted for room. */
        readonly heldUntil?: string | undefined;
        readonly error?: undefined;
      }
    | { readonly url?: undefined; readonly error: Problem }
  );

/** What one way of running things takes. */
export interface World {
  readonly cpuSeconds: number;
  readonly byteSeconds: number;
  readonly bytesServed: number;
  readonly hitRatio: number;
  readonly energyKwh: number;
  readonly gramsCo2e: number;
  readonly cost: number;
  readonly accesses: number;
  readonly hits: number;
  readonly waitSeconds: number;
  readonly requests: number;
  readonly costs: Readonly<Record<'cpu' | 'waiting' | 'storage' | 'requests' | 'egress', number>>;
}

export interface Worlds {
  readonly actual: World & {
    readonly waste: { readonly cpuSeconds: number; readonly byCause: Readonly<Record<string, number>> };
    readonly batchCpuSeconds: number;
  };
  readonly never: World;
  readonly always: World;
  readonly optimum: World;
}

export interface CostQuery {
  /** A day, or a time (RFC 3339). */
  readonly from?: string;
  readonly to?: string;
  /** `scope:name` */
  readonly dataset?: string;
  readonly by?: 'dataset' | 'day' | 'generator';
}

export interface CostReport {
  readonly from: string;
  readonly to: string;
  readonly by: 'dataset' | 'day' | 'generator';
  readonly dataset?: string | undefined;
  readonly currency: string;
  readonly rows: readonly (Worlds & { readonly key: string })[];
  readonly total: Worlds;
  readonly unreadableSegments: number;
}
