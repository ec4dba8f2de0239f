// What handlers work with. Each collaborator is the narrow view that they need, so that a test can stand in for one.
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Prices } from '../costs/prices.ts';
import type { Marshaller } from '../formats/marshaller.ts';
import type { GeneratorRegistry } from '../generators/registry.ts';
import type { ChunkQueue } from '../queue/chunk-queue.ts';
import type { Processes } from '../queue/processes.ts';
import type { Delivery } from '../scheduler/delivery.ts';
import type { Catalog } from '../store/catalog.ts';
import type { Chunks } from '../store/chunks.ts';
import type { Evictor } from '../store/eviction.ts';
import type { Store } from '../store/store.ts';
import type { AtHand } from './at-hand.ts';
import type { ApiMetrics } from './metrics.ts';
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
  readonly marshaller: Marshaller;
  readonly representations: Representations;
  readonly prepared: PreparedEvents;
  readonly atHand: AtHand;
  readonly recency: Recency;
  readonly metrics: ApiMetrics;
  readonly sharedMetrics: Pick<SharedMetrics, 'look'>;
  readonly prices: Prices;
  /** The most CPU seconds a chunk of a newly declared dataset should take. */
  readonly chunkSeconds: number;
  readonly clock: Clock;
  readonly version: string;
  /** What /openapi.json gives. */
  readonly document: object;
  readonly log: Log;
}
