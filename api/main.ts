// The api process: from the settings to a listening service, and back to nothing when it is told to end. It starts, and
// serves what is stored, also while Redis is away.
import { randomUUID } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { pino } from 'pino';
import { type Config, type Environment, readConfig, storeLocationOf } from '../config/settings.ts';
import { systemClock, timestamp } from '../core/clock.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import type { LedgerSink } from '../core/ledger.ts';
import type { Log } from '../core/log.ts';
import { serviceVersion, stopSignal } from '../core/process.ts';
import { ledgerBeat } from '../costs/ledger/beat.ts';
import { Ledger } from '../costs/ledger/ledger.ts';
import { ReportDesk } from '../costs/report/desk.ts';
import { ThreadedReports } from '../costs/report/threaded.ts';
import { Marshaller } from '../formats/marshaller.ts';
import { builtInGenerators, type GeneratorRegistry } from '../generators/registry.ts';
import { Board } from '../queue/board.ts';
import { ChunkEvents } from '../queue/chunk-events.ts';
import { ChunkQueue } from '../queue/chunk-queue.ts';
import { RedisHoldBook } from '../queue/hold-book.ts';
import { Processes } from '../queue/processes.ts';
import { RedisUsageBook } from '../queue/usage-book.ts';
import { Ahead } from '../scheduler/ahead.ts';
import { Delivery } from '../scheduler/delivery.ts';
import { Flights } from '../scheduler/flights.ts';
import { AsyncRequests } from '../scheduler/requests.ts';
import { systemTime } from '../scheduler/time.ts';
import { Batches } from '../store/batches.ts';
import { Catalog } from '../store/catalog.ts';
import { Chunks } from '../store/chunks.ts';
import { Evictor } from '../store/eviction.ts';
import { HotChunks } from '../store/hot.ts';
import { openStore } from '../store/open-store.ts';
import { Requests } from '../store/requests.ts';
import { verifying } from '../store/verifying.ts';
import { buildApp } from './app.ts';
import { AtHand } from './at-hand.ts';
import { BatchViews } from './batch-views.ts';
import { BodyRoom } from './body-room.ts';
import { ClientQuota } from './client-quota.ts';
import { Deliveries } from './deliveries.ts';
import type { ApiDeps } from './deps.ts';
import { rangeBytesMax } from './event-range-list.ts';
import { EventStreams } from './event-stream.ts';
import type { Edge } from './exchange.ts';
import { FailedRequests } from './failed-requests.ts';
import { generatingThreads } from './handlers/plan.ts';
import { ApiMetrics } from './metrics.ts';
import { openapi } from './openapi.ts';
import { Orders } from './orders.ts';
import { RangeHolds } from './range-holds.ts';
import { RangeTally } from './range-tally.ts';
import { Recency } from './recency.ts';
import { Representations } from './representations.ts';
import { routes } from './routes.ts';
import { PreparedEvents } from './selection.ts';
import { ApiServer } from './server.ts';
import { SharedMetrics } from './shared-metrics.ts';

/** Lengths and digests of representations: about 200 bytes each. */
const representationsMax = 100_000;
/** Tasks of the marshalling threads that may wait, per thread. */
const marshalQueueMax = 32;

/** Request bodies that may be larger than others, of all clients together. */
const largeBodiesBytesMax = 64 * 1024 * 1024;

export interface RunningApi {
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  /** Rejects when this process turns out not to fit its peers. */
  readonly joined: Promise<void>;
  /** Finishes what is in flight within `drainMs`, resets the rest, lets go of everything. */
  stop(drainMs: number): Promise<void>;
}

/** @throws EvokeError STORE_UNAVAILABLE, BAD_SETTINGS (no REDIS_URL); the system's error when it cannot listen */
export async function startApi(
  config: Config,
  registry: GeneratorRegistry,
  log: Log,
  stand: { readonly ledger?: LedgerSink } = {},
): Promise<RunningApi> {
  const { redisUrl: url, redisPrefix: prefix } = config;
  if (url === undefined) {
    throw new EvokeError('BAD_SETTINGS', {
      detail: 'EVOKE_REDIS_URL is not set: an api by itself needs to be told which Redis it shares with the others.',
    });
  }
  const clock = systemClock;
  const location = storeLocationOf(config);
  const opened = await openStore(location);
  const metrics = new ApiMetrics();
  const id = randomUUID();
  const flushMs = config.ledgerSeconds * 1000;
  const ownLedger = new Ledger({ store: opened.store, process: id, flushMs, clock, log });
  const { ledger = ownLedger } = stand;
  const onDamaged = (name: string, reason: string) => {
    metrics.damaged();
    log.error({ name, reason }, 'a stored chunk is damaged');
  };
  const store = verifying(opened.store, onDamaged, ledger);
  const hot = new HotChunks(store, { bytesMax: config.memoryBytes, clock });
  const chunks = new Chunks(store, hot);
  const catalog = new Catalog(store, clock);
  const storeId = await catalog.identity();

  const redis = { url, prefix, log };
  const queue = new ChunkQueue(redis);
  const events = new ChunkEvents(redis);
  const processes = new Processes({ ...redis, clock });
  const book = new RedisUsageBook(redis);
  const holdBook = new RedisHoldBook(redis);
  const deliveries = new Deliveries(holdBook, log);
  const recency = new Recency(book, { clock, log, beside: deliveries });
  const marshaller = new Marshaller({
    threads: availableParallelism(),
    queueMax: marshalQueueMax * availableParallelism(),
  });
  const waitMs = config.waitSeconds * 1000;
  const orders = new Orders(queue);
  const flights = new Flights({ queue: orders, events, chunks, time: systemTime, flightsMax: config.flights, waitMs });
  const delivery = new Delivery({
    chunks,
    flights,
    windowBytes: config.windowBytes,
    waitMs,
    time: systemTime,
    touch: (key) => recency.use(key),
  });
  const evictor = new Evictor({
    chunks,
    catalog,
    canRemake: (dataset) => registry.canRemake(dataset),
    book,
    onDifferent: (chunk) => log.error({ chunk }, 'a chunk differs from the one recorded for the same writer'),
    ledger,
  });
  metrics.ledger(() => ownLedger.counters);
  metrics.gauge('evoke_flights', 'Chunks this process has on order.', () => flights.size);
  metrics.gauge('evoke_window_bytes', 'Bytes held for answers under way.', () => delivery.usedBytes);
  metrics.gauge(
    'evoke_marshal_tasks',
    'Record batches that are marshalled or wait for a thread.',
    () => marshaller.tasks,
  );
  const capacityBytes = async () => config.capacityBytes ?? (await opened.capacityBytes());
  const sharedMetrics = new SharedMetrics(metrics.registry, { queue, processes, book, holds: holdBook, capacityBytes });
  const board = new Board(redis);
  const batches = new Batches(store, clock);
  const stopping = new AbortController();
  const streams = new EventStreams({ streamsMax: config.streams, time: systemTime });
  metrics.gauge('evoke_streams', 'Open progress streams.', () => streams.size);
  const failures = new FailedRequests({ board, clock });
  const requests = new AsyncRequests({
    records: new Requests(store),
    board,
    catalog,
    chunks,
    flights,
    threads: () => generatingThreads({ processes }),
    time: systemTime,
    waitMs,
    requestsMax: config.asyncRequests,
    clientRequestsMax: config.clientRequests,
    log,
  });
  metrics.gauge('evoke_async_requests', 'Asynchronous requests under way in this process.', () => requests.size);
  metrics.counts(
    'evoke_async_requests_total',
    'Asynchronous requests: accepted, taken up from another process, and how they ended.',
    'outcome',
    () => ({ ...requests.stats }),
  );
  const ahead = new Ahead({
    chunks,
    flights,
    catalog,
    threads: () => generatingThreads({ processes }),
    time: systemTime,
    log,
  });
  const tally = new RangeTally();
  const holdMs = config.holdSeconds * 1000;
  const eventRanges = {
    listMax: config.eventRanges,
    holds: new RangeHolds({ book: holdBook, deliveries, registry, capacityBytes, holdMs, log }),
    ahead,
    tally,
  };
  countEventRanges(metrics, { ahead, tally, deliveries });
  const reports = new ThreadedReports({ store: location, prices: config, log });
  const version = serviceVersion();
  const deps: ApiDeps = {
    registry,
    catalog,
    chunks,
    evictor,
    store,
    delivery,
    queue,
    processes,
    batches,
    batchViews: new BatchViews({ batches, board, prices: config, clock }),
    streams,
    requests,
    failures,
    eventRanges,
    asyncWaitSecondsMax: config.waitSeconds,
    stopping: stopping.signal,
    marshaller,
    representations: new Representations(representationsMax),
    prepared: new PreparedEvents(),
    atHand: new AtHand(),
    recency,
    ledger,
    metrics,
    sharedMetrics,
    prices: config,
    reports: new ReportDesk((query, signal) => reports.compute(query, signal)),
    chunkSeconds: config.chunkSeconds,
    chainLinks: config.chainLinks,
    clock,
    version,
    document: openapi(routes, version),
    log,
  };
  const edge: Edge = {
    quota: new ClientQuota(config.clientRequests),
    failures,
    metrics,
    log,
    bodyBytesMax: config.bodyBytes,
    bodyRoom: new BodyRoom(Math.max(largeBodiesBytesMax, 2 * rangeBytesMax * config.eventRanges)),
    deliveries,
    stallMs: config.stallSeconds * 1000,
    logsAll: config.logLevel === 'debug' || config.logLevel === 'trace',
    draining: false,
  };
  const close = async () => {
    await requests.close();
    await ahead.close();
    await orders.settled(flights);
    await recency.close();
    await Promise.allSettled([processes.leave(), events.close(), queue.close(), marshaller.close(), reports.close()]);
    book.close();
    holdBook.close();
    board.close();
    await ownLedger.close();
    await hot.close();
  };
  try {
    const server = await ApiServer.listen(buildApp(edge, deps), {
      host: config.host,
      port: config.port,
      connectionsMax: config.connections,
      headerBytesMax: config.headerBytes,
      requestMs: config.requestSeconds * 1000,
      idleMs: config.idleSeconds * 1000,
      stallMs: edge.stallMs,
    });
    metrics.gauge('evoke_connections', 'Open connections.', () => server.connections);
    const me = {
      id,
      role: 'api' as const,
      pid: process.pid,
      host: hostname(),
      startedAt: timestamp(clock),
      storeId,
      registry: registry.fingerprint(),
      version,
    };
    const joined = processes.join(me, () => ledgerBeat(ownLedger.counters));
    const stop = async (drainMs: number) => {
      edge.draining = true;
      stopping.abort();
      streams.end();
      await server.drain(drainMs);
      await close();
    };
    return { url: server.url, joined, stop };
  } catch (error) {
    await close();
    throw error;
  }
}

function countEventRanges(
  metrics: ApiMetrics,
  { ahead, tally, deliveries }: { ahead: Ahead; tally: RangeTally; deliveries: Deliveries },
): void {
  metrics.counts(
    'evoke_event_ranges_total',
    'Event ranges asked for, by what became of them.',
    'outcome',
    () => tally.counts,
  );
  metrics.counts(
    'evoke_event_ranges_delivered_total',
    'Event ranges held no longer because this process sent their events.',
    'means',
    () => ({ sent: deliveries.released }),
  );
  metrics.gauge('evoke_ahead_lists', 'Lists of event ranges whose chunks this process makes ahead.', () => ahead.size);
  metrics.counts(
    'evoke_ahead_lists_total',
    'Lists of event ranges to be made ahead: begun, turned away, and how they ended.',
    'outcome',
    () => ({
      ...ahead.stats,
    }),
  );
}

/**
 * Chunks lie outside of V8's heap. By default V8 collects garbage after every 64 MiB of them that pass through, and walks
 * the whole heap each time; counted into the heap's own limits they cause a third of those walks.
 */
const garbageCollection = '--external-memory-accounted-in-global-limit';

/** Runs an api until SIGTERM or SIGINT; a second signal ends it at once. */
export async function runApi(environment: Environment, registry: GeneratorRegistry = builtInGenerators): Promise<void> {
  setFlagsFromString(garbageCollection);
  const config = readConfig(environment);
  const log: Log = pino({ level: config.logLevel, base: { role: 'api', pid: process.pid } });
  const stopping = stopSignal();
  const api = await startApi(config, registry, log);
  const end = async () => {
    log.info({}, 'the api stops');
    await api.stop(config.drainSeconds * 1000);
    process.exit(0);
  };
  if (stopping.aborted) return end();
  stopping.addEventListener('abort', () => void end(), { once: true });
  log.info({ url: api.url }, 'the api listens');
  process.send?.({ ready: { address: api.url } });
  // Listening does not wait for Redis; but a process that does not belong here must not go on.
  await api.joined.catch(async (error: unknown) => {
    log.error({ error: messageOf(error) }, 'the api does not fit its peers');
    await api.stop(0);
    throw error;
  });
}
