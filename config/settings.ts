// Every setting, described where it is defined: name, unit, default, meaning, and how its text is read.
// An environment that does not read well stops the start with one message that names every bad variable.
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { chainLinksMax } from '../core/dataset.ts';
import { EvokeError } from '../core/errors.ts';
import type { StoreLocation } from '../core/store-location.ts';
import {
  amount,
  httpUrl,
  loopback,
  matching,
  oneOf,
  type Reader,
  redisUrl,
  shown,
  storeLocation,
  whole,
} from './readers.ts';

const prefix = 'EVOKE_';
const MiB = 1024 * 1024;

interface Setting<T> {
  readonly name: string;
  readonly unit: string;
  /** As one would write it. */
  readonly default: string;
  readonly meaning: string;
  readonly read: Reader<T>;
}

/** A setting that may stay unset: its value is then undefined. */
interface OptionalSetting<T> extends Setting<T> {
  readonly default: '';
}

function define<T>(setting: Setting<T>): Setting<T> {
  return setting;
}

function defineOptional<T>(setting: Omit<Setting<T>, 'default'>): OptionalSetting<T> {
  return { ...setting, default: '' };
}

export const settings = {
  host: define({
    name: 'HOST',
    unit: 'address',
    default: '127.0.0.1',
    meaning: 'where the api listens',
    read: loopback,
  }),
  port: define({
    name: 'PORT',
    unit: 'port',
    default: '8080',
    meaning: 'where the api listens; 0 takes a free one',
    read: whole(0, 65535),
  }),
  server: defineOptional({
    name: 'SERVER',
    unit: 'URL',
    meaning: 'the service that commands and clients ask; the one of EVOKE_HOST and EVOKE_PORT unless set',
    read: httpUrl,
  }),
  dataDir: define({
    name: 'DATA_DIR',
    unit: 'path',
    default: './data',
    meaning: 'the folder of a one-machine service',
    read: (text) => resolve(text),
  }),
  store: defineOptional({
    name: 'STORE',
    unit: 'URL',
    meaning:
      'where everything is kept, `file:PATH` or `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`; DATA_DIR/store unless set',
    read: storeLocation,
  }),
  redisUrl: defineOptional({
    name: 'REDIS_URL',
    unit: 'URL',
    meaning: 'the shared Redis; a private one is started unless set',
    read: redisUrl,
  }),
  redisPrefix: define({
    name: 'REDIS_PREFIX',
    unit: 'name',
    default: 'evoke',
    meaning: 'what every key in Redis begins with',
    read: matching(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -'),
  }),
  workerThreads: define({
    name: 'WORKER_THREADS',
    unit: 'threads',
    default: String(availableParallelism()),
    meaning: 'generating threads of a worker (the cores, unless said)',
    read: whole(1, 1024),
  }),
  chunkSeconds: define({
    name: 'CHUNK_SECONDS',
    unit: 'CPU seconds',
    default: '2',
    meaning: 'the most a chunk of a newly declared dataset should cost',
    read: amount(0.001, 3600),
  }),
  windowBytes: define({
    name: 'WINDOW_BYTES',
    unit: 'bytes',
    default: String(512 * MiB),
    meaning: 'buffers that answers under way may hold, all together',
    read: whole(16 * MiB, 1024 * 1024 * MiB),
  }),
  memoryBytes: define({
    name: 'MEMORY_BYTES',
    unit: 'bytes',
    default: String(256 * MiB),
    meaning: 'hot chunks an api process keeps in memory; 0 keeps none',
    read: whole(0, 1024 * 1024 * MiB),
  }),
  capacityBytes: defineOptional({
    name: 'CAPACITY_BYTES',
    unit: 'bytes',
    meaning: 'what stored chunks may take; unless set, 80 % of the free space at first start, a terabyte in S3',
    read: whole(MiB, Number.MAX_SAFE_INTEGER),
  }),
  clientRequests: define({
    name: 'CLIENT_REQUESTS',
    unit: 'requests',
    default: '64',
    meaning: 'requests one client may have in flight, and as many asynchronous ones under way',
    read: whole(1, 100000),
  }),
  flights: define({
    name: 'FLIGHTS',
    unit: 'chunks',
    default: '4096',
    meaning: 'chunks an api process may have ordered at a time',
    read: whole(1, 1000000),
  }),
  streams: define({
    name: 'STREAMS',
    unit: 'streams',
    default: '256',
    meaning: 'progress streams (server-sent events) an api process keeps open',
    read: whole(1, 100000),
  }),
  asyncRequests: define({
    name: 'ASYNC_REQUESTS',
    unit: 'requests',
    default: '256',
    meaning: 'asynchronous requests an api process has under way',
    read: whole(1, 10000),
  }),
  connections: define({
    name: 'CONNECTIONS',
    unit: 'connections',
    default: '4096',
    meaning: 'connections an api process holds',
    read: whole(1, 100000),
  }),
  headerBytes: define({
    name: 'HEADER_BYTES',
    unit: 'bytes',
    default: String(16 * 1024),
    meaning:
      'the largest request line and headers together; long tokens and the cookies of other local pages need room',
    read: whole(4096, MiB),
  }),
  bodyBytes: define({
    name: 'BODY_BYTES',
    unit: 'bytes',
    default: String(MiB),
    meaning: 'the largest request body',
    read: whole(1024, 64 * MiB),
  }),
  requestSeconds: define({
    name: 'REQUEST_SECONDS',
    unit: 'seconds',
    default: '60',
    meaning: 'how long a request may take to arrive; its headers alone a quarter of that',
    read: amount(1, 3600),
  }),
  idleSeconds: define({
    name: 'IDLE_SECONDS',
    unit: 'seconds',
    default: '65',
    meaning:
      'how long a connection stays open between requests: longer than a proxy before the service keeps it, so that it is the proxy that lets go',
    read: amount(1, 3600),
  }),
  waitSeconds: define({
    name: 'WAIT_SECONDS',
    unit: 'seconds',
    default: '600',
    meaning: 'how long a request waits for one chunk',
    read: amount(0.1, 86400),
  }),
  stallSeconds: define({
    name: 'STALL_SECONDS',
    unit: 'seconds',
    default: '120',
    meaning: 'how long a client may take nothing of what is ready for it',
    read: amount(1, 86400),
  }),
  drainSeconds: define({
    name: 'DRAIN_SECONDS',
    unit: 'seconds',
    default: '10',
    meaning: 'how long a stopping process finishes what it began',
    read: amount(0, 3600),
  }),
  holdSeconds: define({
    name: 'HOLD_SECONDS',
    unit: 'seconds',
    default: '7200',
    meaning: 'how long the chunks of an event range are kept for whoever asked for it, at most: until it was delivered',
    read: whole(0, 30 * 86400),
  }),
  eventRanges: define({
    name: 'EVENT_RANGES',
    unit: 'event ranges',
    default: '10000',
    meaning: 'event ranges in one list',
    read: whole(1, 100000),
  }),
  chainLinks: define({
    name: 'CHAIN_LINKS',
    unit: 'datasets',
    default: '8',
    meaning: 'inputs, one behind the other, that a newly declared dataset may have',
    read: whole(1, chainLinksMax),
  }),
  ledgerSeconds: define({
    name: 'LEDGER_SECONDS',
    unit: 'seconds',
    default: '10',
    meaning: 'how long the ledger gathers entries before it writes them to the store; the most a killed process loses',
    read: amount(0.1, 3600),
  }),
  attempts: define({
    name: 'ATTEMPTS',
    unit: 'tries',
    default: '3',
    meaning: 'how often a chunk is tried before it counts as failed',
    read: whole(1, 100),
  }),
  cpuCoreHour: define({
    name: 'CPU_CORE_HOUR',
    unit: 'currency per core hour',
    default: '0.012',
    meaning: 'price of computing',
    read: amount(0, 1e6),
  }),
  waitHour: define({
    name: 'WAIT_HOUR',
    unit: 'currency per hour',
    default: '0',
    meaning: 'what an hour of waiting is worth',
    read: amount(0, 1e6),
  }),
  storageTbYear: define({
    name: 'STORAGE_TB_YEAR',
    unit: 'currency per TB and year',
    default: '80',
    meaning: 'price of keeping a terabyte (1e12 bytes) for a year of 365 days',
    read: amount(0, 1e6),
  }),
  requestPer1000: define({
    name: 'REQUEST_PER_1000',
    unit: 'currency per 1000 requests',
    default: '0',
    meaning: 'price of requests to the store: a chunk read or written is one',
    read: amount(0, 1e6),
  }),
  replicas: define({
    name: 'REPLICAS',
    unit: 'copies',
    default: '1',
    meaning: 'how many copies the store keeps of what it is given, paid for each',
    read: amount(1, 100),
  }),
  wattsPerCore: define({
    name: 'WATTS_PER_CORE',
    unit: 'watts',
    default: '10',
    meaning: 'power that a busy core takes',
    read: amount(0, 10000),
  }),
  gramsCo2PerKwh: define({
    name: 'GRAMS_CO2_PER_KWH',
    unit: 'grams per kWh',
    default: '250',
    meaning: 'carbon dioxide of the electricity',
    read: amount(0, 10000),
  }),
  egressGb: define({
    name: 'EGRESS_GB',
    unit: 'currency per GB',
    default: '0',
    meaning: 'price of a gigabyte sent',
    read: amount(0, 1e6),
  }),
  currency: define({
    name: 'CURRENCY',
    unit: 'ISO 4217 code',
    default: 'EUR',
    meaning: 'what prices are in',
    read: matching(/^[A-Z]{3}$/, 'three capital letters'),
  }),
  logLevel: define({
    name: 'LOG_LEVEL',
    unit: 'level',
    default: 'info',
    meaning: 'how much is logged',
    read: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'),
  }),
  noInstall: define({
    name: 'NO_INSTALL',
    unit: '0 or 1',
    default: '0',
    meaning: '1 forbids the start to install a Redis',
    read: (text) => oneOf('0', '1')(text) === '1',
  }),
} as const;

/** Settings of the contract that this build does not honour: naming one stops the start, so that nothing is ignored. */
export const settingsToCome: readonly string[] = ['TOKENS', 'ISSUERS'];

type Settings = typeof settings;
type Value<S> = S extends OptionalSetting<infer T> ? T | undefined : S extends Setting<infer T> ? T : never;

/** The frozen outcome: only `main` files and the command line read it, and hand slices down. */
export type Config = { readonly [K in keyof Settings]: Value<Settings[K]> };

/** Where chunks are kept. */
export function storeLocationOf({ store, dataDir }: Pick<Config, 'store' | 'dataDir'>): StoreLocation {
  return store ?? { kind: 'file', folder: resolve(dataDir, 'store') };
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws EvokeError BAD_SETTINGS with one message for all that is wrong. */
export function readConfig(environment: Environment): Config {
  const problems: string[] = [];
  const config: Record<string, unknown> = {};
  const known = new Set<string>();
  for (const [key, setting] of Object.entries<Setting<unknown>>(settings)) {
    const variable = prefix + setting.name;
    known.add(variable);
    // An empty variable counts as unset, as shells and service files use it.
    const given = environment[variable] || undefined;
    const text = given ?? setting.default;
    if (text === '') {
      config[key] = undefined;
      continue;
    }
    try {
      config[key] = setting.read(text);
    } catch (error) {
      const should = error instanceof Error ? error.message : String(error);
      problems.push(
        `${variable}="${shown(text)}" (${setting.unit}; default ${setting.default || 'none'}) should be ${should}`,
      );
    }
  }
  for (const variable of Object.keys(environment)) {
    if (!variable.startsWith(prefix) || known.has(variable) || !environment[variable]) continue;
    const name = variable.slice(prefix.length);
    problems.push(
      settingsToCome.includes(name)
        ? `${variable} is not honoured yet: leave it unset`
        : `${variable} is not a setting of Evoke`,
    );
  }
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'One setting was' : `${problems.length} settings were`;
    throw new EvokeError('BAD_SETTINGS', {
      detail: `${count} refused:\n${problems.map((line) => `  ${line}`).join('\n')}`,
    });
  }
  return Object.freeze(config) as unknown as Config;
}
