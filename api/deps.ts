// What handlers work with. Each collaborator is the narrow view that they need, so that a test can stand in for one.
import type { Clock } from '../core/clock.ts';
import type { LedgerSink } from '../core/ledger.ts';
import type { Log } from '../core/log.ts';
import type { Prices } from '../costs/prices.ts';
import type { ReportDesk } from '../costs/report/desk.ts';
import type { Marshaller } from '../formats/marshaller.ts';
import type { GeneratorRegistry } from '../generators/registry.ts';
import type { ChunkQueue } from '../queue/chunk-queue.ts';
import type { Processes } from '../queue/processes.ts';
import type { Ahead } from '../scheduler/ahead.ts';
import type { Delivery } from '../scheduler/delivery.ts';
import type { AsyncRequests } from '../scheduler/requests.ts';
import type { Batches } from '../store/batches.ts';
import type { Catalog } from '../store/catalog.ts';
import type { Chunks } from '../store/chunks.ts';
import type { Evictor } from '../store/eviction.ts';
import type { Store } from '../store/store.ts';
import type { AtHand } from './at-hand.ts';
import type { BatchViews } from './batch-views.ts';
import type { EventStreams } from './event-stream.ts';
import type { FailedRequests } from './failed-requests.ts';
import type { ApiMetrics } from './metrics.ts';
import type { RangeHolds } from './range-holds.ts';
import type { RangeTally } from './range-tally.ts';
import type { Recency } from './recency.ts';
import type { Representations } from './representations.ts';
import type { PreparedEvents } from './selection.ts';
import type { SharedMetrics } from './shared-metrics.ts';

/** A registered generator. */
export type Generator = ReturnType<GeneratorRegistry['get']>;

export interface ApiDeps {
  readonly registry: GeneratorRegistry;
  readonly catalog: Catalog;
  readonly chunks: Chunks;
  readonly evictor: Pick<Evictor, 'evictSpan'>;
  /** For a look whether it can be read at all. */
  readonly store: Pick<Store, 'get'>;
  readonly delivery: Pick<Delivery, 'open'>;
  readonly queue: Pick<ChunkQueue, 'states' | 'failures' | 'ping'>;
  readonly processes: Pick<Processes, 'list'>;
  readonly batches: Pick<Batches, 'create' | 'wish'>;
  readonly batchViews: BatchViews;
  readonly streams: EventStreams;
  readonly requests: Pick<AsyncRequests, 'begin' | 'keep' | 'discard' | 'find' | 'cancel'>;
  readonly failures: Pick<FailedRequests, 'find'>;
  readonly eventRanges: {
    /** Ranges in one list (setting EVENT_RANGES). */
    readonly listMax: number;
    readonly holds: Pick<RangeHolds, 'hold' | 'holdMs'>;
    readonly ahead: Pick<Ahead, 'begin'>;
    readonly tally: RangeTally;
  };
  /** The longest that a client may have `Prefer: respond-async` wait. */
  readonly asyncWaitSecondsMax: number;
  /** Aborted when this process begins to stop: whoever can be told to come back is told so at once. */
  readonly stopping: AbortSignal;
  readonly marshaller: Marshaller;
  readonly representations: Representations;
  readonly prepared: PreparedEvents;
  readonly atHand: AtHand;
  readonly recency: Recency;
  readonly ledger: LedgerSink;
  readonly metrics: ApiMetrics;
  readonly sharedMetrics: Pick<SharedMetrics, 'look'>;
  readonly prices: Prices;
  readonly reports: Pick<ReportDesk, 'cost'>;
  /** The most CPU seconds a chunk of a newly declared dataset should take. */
  readonly chunkSeconds: number;
  /** Inputs, one behind the other, that a newly declared dataset may have. */
  readonly chainLinks: number;
  readonly clock: Clock;
  readonly version: string;
  /** What /openapi.json gives. */
  readonly document: object;
  readonly log: Log;
}
