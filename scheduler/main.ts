// The scheduler process: joins the others, and while it leads, keeps house and runs batches. Nobody waits for it: hits and
// misses are served without any scheduler.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { pino } from 'pino';
import { type Config, type Environment, readConfig, storeLocationOf } from '../config/settings.ts';
import { systemClock, timestamp } from '../core/clock.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { serviceVersion, stopSignal } from '../core/process.ts';
import { ledgerBeat } from '../costs/ledger/beat.ts';
import { compact } from '../costs/ledger/compaction.ts';
import { SegmentEncoder } from '../costs/ledger/encoder.ts';
import { Ledger } from '../costs/ledger/ledger.ts';
import { Reconciler } from '../costs/ledger/reconcile.ts';
import { builtInGenerators } from '../generators/registry.ts';
import { Board } from '../queue/board.ts';
import { ChunkEvents } from '../queue/chunk-events.ts';
import { ChunkQueue } from '../queue/chunk-queue.ts';
import type { ProcessIdentity } from '../queue/processes.ts';
import { Processes } from '../queue/processes.ts';
import { RedisUsageBook } from '../queue/usage-book.ts';
import { Batches } from '../store/batches.ts';
import { Catalog } from '../store/catalog.ts';
import { Chunks } from '../store/chunks.ts';
import { openStore } from '../store/open-store.ts';
import type { StoreBackend } from '../store/store.ts';
import { verifying } from '../store/verifying.ts';
import { BatchRunner } from './batch-runner.ts';
import { BatchWriter } from './batch-writer.ts';
import { Bookkeeping } from './bookkeeping.ts';
import { FairShare } from './fair-share.ts';
import { Flights } from './flights.ts';
import { Housekeeping } from './housekeeping.ts';
import type { Lease } from './leader.ts';
import { Leader } from './leader.ts';
import { RedisLease } from './lease.ts';
import type { Time } from './time.ts';
import { systemTime } from './time.ts';

export interface SchedulerParts {
  readonly me: ProcessIdentity;
  readonly processes: {
    /** Waits for Redis as long as it takes, or until it leaves. @throws EvokeError PEERS_DISAGREE */
    join(me: ProcessIdentity, counters?: () => Readonly<Record<string, number>>): Promise<void>;
    leave(): Promise<void>;
  };
  readonly lease: Lease;
  /** What the leader does until the signal: ends soon after it, and does not reject. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
  /** What it has done so far. */
  readonly counters: () => Readonly<Record<string, number>>;
  readonly time: Time;
  readonly log: Log;
}

export interface RunningScheduler {
  readonly leading: boolean;
  /** Ends what the leader does, lets another lead, says goodbye. */
  stop(): Promise<void>;
}

/** Joins the other processes and stands for leadership. @throws EvokeError PEERS_DISAGREE */
export async function startScheduler(parts: SchedulerParts, stopping?: AbortSignal): Promise<RunningScheduler> {
  const { me, processes, lease, lead, counters, time, log } = parts;
  const leader = new Leader({ lease, time, log, lead });
  const leave = () => processes.leave();
  stopping?.addEventListener('abort', leave, { once: true });
  try {
    await processes.join(me, () => ({ leading: leader.leading ? 1 : 0, ...counters() }));
  } catch (error) {
    await processes.leave();
    throw error;
  } finally {
    stopping?.removeEventListener('abort', leave);
  }
  if (!stopping?.aborted) leader.start();
  return {
    get leading() {
      return leader.leading;
    },
    stop: async () => {
      await leader.stop();
      await processes.leave();
    },
  };
}

/** Runs a scheduler until SIGTERM or SIGINT; a second signal ends it at once. */
export async function runScheduler(environment: Environment): Promise<void> {
  const config = readConfig(environment);
  const log: Log = pino({ level: config.logLevel, base: { role: 'scheduler', pid: process.pid } });
  const stopping = stopSignal();
  const { parts, close } = await wire(config, log);
  const running = await startScheduler(parts, stopping);
  const end = async () => {
    log.info({}, 'the scheduler stops');
    await running.stop();
    await close();
    process.exit(0);
  };
  if (stopping.aborted) return end();
  log.info({ store: parts.me.storeId }, 'the scheduler is at work');
  stopping.addEventListener('abort', () => void end(), { once: true });
}

async function wire(config: Config, log: Log) {
  const { redisUrl: url, redisPrefix: prefix } = config;
  if (url === undefined) {
    throw new EvokeError('BAD_SETTINGS', {
      detail:
        'One setting is missing:\n  EVOKE_REDIS_URL says where the queue is; only `evoke start` brings its own Redis',
    });
  }
  const { store } = await openStore(storeLocationOf(config));
  const catalog = new Catalog(store, systemClock);
  const book = new RedisUsageBook({ url, prefix, log });
  const processes = new Processes({ url, prefix, log });
  const id = randomUUID();
  const lease = new RedisLease({ url, prefix, id, log });
  const chunks = new Chunks(store);
  const housekeeping = new Housekeeping({ store, catalog, chunks, book, time: systemTime, log });
  const ledger = new Ledger({ store, process: id, flushMs: config.ledgerSeconds * 1000, clock: systemClock, log });
  const books = wireBooks({ config, store, chunks, processes, ledger, log });
  const batches = wireBatches({ url, prefix, config, store, catalog, processes, ledger, log });
  const parts: SchedulerParts = {
    me: {
      id,
      role: 'scheduler',
      pid: process.pid,
      host: hostname(),
      startedAt: timestamp(systemClock),
      storeId: await catalog.identity(),
      registry: builtInGenerators.fingerprint(),
      version: serviceVersion(),
    },
    processes,
    lease,
    lead: async (signal) => {
      await Promise.all([housekeeping.keep(signal), books.keep(signal), batches.keep(signal)]);
    },
    counters: () => ({ ...batches.counters(), ...books.counters(), ...ledgerBeat(ledger.counters) }),
    time: systemTime,
    log,
  };
  const close = async () => {
    await batches.close();
    await books.close();
    await ledger.close();
    lease.close();
    book.close();
    await store.close().catch((error: unknown) => log.warn({ error: messageOf(error) }, 'the store did not close'));
  };
  return { parts, close };
}

interface BookWiring {
  readonly config: Config;
  readonly store: StoreBackend;
  readonly chunks: Chunks;
  readonly processes: Processes;
  readonly ledger: Ledger;
  readonly log: Log;
}

/** Flush intervals after which whoever lives has written what happened. */
const marginFlushes = 3;
const marginMsMin = 30_000;

/** What keeps the ledger in order. */
function wireBooks({ config, store, chunks, processes, ledger, log }: BookWiring) {
  const marginMs = Math.max(marginMsMin, marginFlushes * config.ledgerSeconds * 1000);
  const reconciler = new Reconciler({ store, chunks, ledger, clock: systemClock, log, marginMs });
  const encoder = new SegmentEncoder(log);
  const bookkeeping = new Bookkeeping({
    reconcile: (signal) => reconciler.reconcile({}, signal),
    compact: (signal) => compact(store, { nowMs: systemClock.now(), encoder, log }, signal),
    processes,
    marginMs,
    time: systemTime,
    log,
  });
  return {
    keep: (signal: AbortSignal) => bookkeeping.keep(signal),
    counters: () => {
      const { added, lost } = reconciler.counters;
      return { ...bookkeeping.counters, ledgerRecovered: added, ledgerLostChunks: lost };
    },
    close: () => encoder.close(),
  };
}

interface BatchWiring {
  readonly url: string;
  readonly prefix: string;
  readonly config: Config;
  readonly store: StoreBackend;
  readonly catalog: Catalog;
  readonly processes: Processes;
  readonly ledger: Ledger;
  readonly log: Log;
}

/** What runs batches, and gives them their turn. */
function wireBatches({ url, prefix, config, store, catalog, processes, ledger, log }: BatchWiring) {
  const redis = { url, prefix, log };
  const [queue, events, board] = [new ChunkQueue(redis), new ChunkEvents(redis), new Board(redis)];
  // A damaged chunk that a batch comes upon is put away, and made again.
  const onDamaged = (name: string, reason: string) => log.error({ name, reason }, 'a stored chunk is damaged');
  const verified = verifying(store, onDamaged, ledger);
  const chunks = new Chunks(verified);
  const { flights: flightsMax, waitSeconds } = config;
  const flights = new Flights({ queue, events, chunks, time: systemTime, flightsMax, waitMs: waitSeconds * 1000 });
  const batches = new Batches(store, systemClock);
  const runner = new BatchRunner({
    batches,
    writer: new BatchWriter({ batches, board, log }),
    processes,
    catalog,
    chunks,
    flights,
    registry: builtInGenerators,
    prices: config,
    time: systemTime,
    log,
  });
  const fairShare = new FairShare({ events, queue, own: runner.own, log });
  return {
    keep: (signal: AbortSignal) => {
      fairShare.keep(signal);
      return runner.keep(signal);
    },
    counters: () => ({ ...runner.counters, batchGrants: fairShare.grants }),
    close: async () => {
      await Promise.allSettled([queue.close(), events.close()]);
      board.close();
    },
  };
}
