// The worker process: from the settings to a running worker, and back to nothing when it is told to end.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { pino } from 'pino';
import { type Config, type Environment, readConfig, storeLocationOf } from '../config/settings.ts';
import { systemClock, timestamp } from '../core/clock.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { serviceVersion, stopSignal } from '../core/process.ts';
import { ledgerBeat } from '../costs/ledger/beat.ts';
import { Ledger } from '../costs/ledger/ledger.ts';
import { builtInGenerators, type GeneratorRegistry } from '../generators/registry.ts';
import { RedisHoldBook } from '../queue/hold-book.ts';
import { Processes } from '../queue/processes.ts';
import { RedisUsageBook } from '../queue/usage-book.ts';
import { BatchHolds } from '../store/batch-holds.ts';
import { Batches } from '../store/batches.ts';
import { Capacity } from '../store/capacity.ts';
import { Catalog } from '../store/catalog.ts';
import { Chunks } from '../store/chunks.ts';
import { Evictor } from '../store/eviction.ts';
import { openStore } from '../store/open-store.ts';
import { verifying } from '../store/verifying.ts';
import { WorkerCounters } from './counters.ts';
import { ChunkWorker, type WorkerParts } from './worker.ts';

/** The generators of a worker: the registry, and the URL of the module from which its threads take the same. */
export interface CarriedGenerators {
  readonly registry: GeneratorRegistry;
  readonly url: string;
}

const builtIn: CarriedGenerators = {
  registry: builtInGenerators,
  url: new URL('../generators/registry.ts', import.meta.url).href,
};

export interface RunningWorker {
  readonly worker: ChunkWorker;
  /** Finishes what it can within `ms`, puts the rest back, says goodbye. */
  stop(ms: number): Promise<void>;
}

/**
 * Joins the other processes and begins to work; waits for Redis as long as it takes, or until `stopping`.
 * @throws EvokeError PEERS_DISAGREE
 */
export async function startWorker(
  parts: Omit<WorkerParts, 'identity'> & {
    readonly storeId: string;
    /** Unique to this run of the process; made up unless given. */
    readonly id?: string;
    /** What else the heartbeat tells. */
    readonly tells?: () => Readonly<Record<string, number>>;
  },
  stopping?: AbortSignal,
): Promise<RunningWorker> {
  const { redisUrl, redisPrefix, log, registry, storeId, code, clock = systemClock } = parts;
  const { id = randomUUID(), tells = () => ({}) } = parts;
  const identity = { id, pid: process.pid, host: hostname() };
  const worker = new ChunkWorker({ ...parts, identity });
  const processes = new Processes({ url: redisUrl, prefix: redisPrefix, log, clock });
  const leave = () => processes.leave();
  stopping?.addEventListener('abort', leave, { once: true });
  const stop = async (ms: number) => {
    await worker.drain(ms);
    await processes.leave();
  };
  const me = {
    ...identity,
    role: 'worker' as const,
    startedAt: timestamp(clock),
    storeId,
    registry: registry.fingerprint(),
    version: code,
  };
  try {
    await processes.join(me, () => ({
      threads: worker.threads,
      busy: worker.busy,
      cpuSecondsUnderway: worker.cpuSecondsUnderway,
      ...worker.counters.snapshot(),
      ...tells(),
    }));
  } catch (error) {
    await stop(0);
    throw error;
  } finally {
    stopping?.removeEventListener('abort', leave);
  }
  if (!stopping?.aborted) worker.start();
  return { worker, stop };
}

/** Runs a worker until SIGTERM or SIGINT; a second signal ends it at once. */
export async function runWorker(environment: Environment, carried: CarriedGenerators = builtIn): Promise<void> {
  const config = readConfig(environment);
  const log: Log = pino({ level: config.logLevel, base: { role: 'worker', pid: process.pid } });
  const stopping = stopSignal();
  const { parts, close } = await wire(config, carried, log);
  const running = await startWorker(parts, stopping);
  log.info({ threads: config.workerThreads, store: parts.storeId }, 'the worker is at work');
  const end = async () => {
    log.info({}, 'the worker stops');
    await running.stop(config.drainSeconds * 1000);
    await close();
    process.exit(0);
  };
  if (stopping.aborted) await end();
  else stopping.addEventListener('abort', () => void end(), { once: true });
}

async function wire(config: Config, carried: CarriedGenerators, log: Log) {
  const { redisUrl, redisPrefix: prefix } = config;
  if (redisUrl === undefined) {
    throw new EvokeError('BAD_SETTINGS', {
      detail:
        'One setting is missing:\n  EVOKE_REDIS_URL says where the queue is; only `evoke start` brings its own Redis',
    });
  }
  const clock = systemClock;
  const opened = await openStore(storeLocationOf(config));
  const counters = new WorkerCounters();
  const id = randomUUID();
  const flushMs = config.ledgerSeconds * 1000;
  const ledger = new Ledger({ store: opened.store, process: id, flushMs, clock, log });
  const onDamaged = (name: string, reason: string) => {
    counters.damaged += 1;
    log.error({ name, reason }, 'a stored chunk is damaged');
  };
  const store = verifying(opened.store, onDamaged, ledger);
  const chunks = new Chunks(store);
  const catalog = new Catalog(store, clock);
  const book = new RedisUsageBook({ url: redisUrl, prefix, log });
  const rangeHolds = new RedisHoldBook({ url: redisUrl, prefix, log });
  const evictor = new Evictor({
    chunks,
    catalog,
    canRemake: (dataset) => carried.registry.canRemake(dataset),
    book,
    holds: new BatchHolds(new Batches(store, clock), clock),
    rangeHolds,
    onDifferent: (chunk) => log.error({ chunk }, 'a chunk differs from the one recorded for the same writer'),
    ledger,
  });
  const capacityBytes = config.capacityBytes ?? (await opened.capacityBytes());
  const parts = {
    id,
    redisUrl,
    redisPrefix: prefix,
    threads: config.workerThreads,
    attempts: config.attempts,
    registry: carried.registry,
    generators: carried.url,
    chunks,
    book,
    room: new Capacity({ book, chunks, evictor: counting(evictor, counters), capacityBytes, clock }),
    counters,
    ledger,
    tells: () => ledgerBeat(ledger.counters),
    code: serviceVersion(),
    storeId: await catalog.identity(),
    log,
    clock,
  };
  const close = async () => {
    book.close();
    rangeHolds.close();
    await ledger.close();
    await store.close().catch((error: unknown) => log.warn({ error: messageOf(error) }, 'the store did not close'));
  };
  return { parts, close };
}

/** An evictor whose evictions are counted. */
function counting(evictor: Evictor, counters: WorkerCounters): Pick<Evictor, 'evict'> {
  return {
    evict: async (chunk) => {
      const freed = await evictor.evict(chunk);
      if (freed !== undefined) counters.evicted += 1;
      return freed;
    },
  };
}
