// The scheduler process: joins the others, and keeps house while it leads. Nobody waits for it: hits and misses are served
// without any scheduler.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { pino } from 'pino';
import { type Config, type Environment, readConfig, storeLocationOf } from '../config/settings.ts';
import { systemClock, timestamp } from '../core/clock.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { serviceVersion, stopSignal } from '../core/process.ts';
import { builtInGenerators } from '../generators/registry.ts';
import type { ProcessIdentity } from '../queue/processes.ts';
import { Processes } from '../queue/processes.ts';
import { RedisUsageBook } from '../queue/usage-book.ts';
import { Catalog } from '../store/catalog.ts';
import { Chunks } from '../store/chunks.ts';
import { openStore } from '../store/open-store.ts';
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
  readonly housekeeping: Pick<Housekeeping, 'keep'>;
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
  const { me, processes, lease, housekeeping, time, log } = parts;
  const leader = new Leader({ lease, time, log, lead: (signal) => housekeeping.keep(signal) });
  const leave = () => processes.leave();
  stopping?.addEventListener('abort', leave, { once: true });
  try {
    await processes.join(me, () => ({ leading: leader.leading ? 1 : 0 }));
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
  const id = randomUUID();
  const lease = new RedisLease({ url, prefix, id, log });
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
    processes: new Processes({ url, prefix, log }),
    lease,
    housekeeping: new Housekeeping({ store, catalog, chunks: new Chunks(store), book, time: systemTime, log }),
    time: systemTime,
    log,
  };
  const close = async () => {
    lease.close();
    book.close();
    await store.close().catch((error: unknown) => log.warn({ error: messageOf(error) }, 'the store did not close'));
  };
  return { parts, close };
}
