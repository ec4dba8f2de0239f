// Every setting, described where it is defined: name, unit, default, meaning, and how its text is read.
// An environment that does not read well stops the start with one message that names every bad variable.
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { EvokeError } from '../core/errors.ts';
import type { StoreLocation } from '../core/store-location.ts';

const prefix = 'EVOKE_';
const MiB = 1024 * 1024;

/** Reads a text, or throws a plain Error that says what it should be. */
type Reader<T> = (text: string) => T;

interface Setting<T> {
  readonly name: string;
  readonly unit: string;
  /** As one would write it. */
  readonly default: string;
  readonly meaning: string;
  readonly read: Reader<T>;
}

const whole =
  (min: number, max: number): Reader<number> =>
  (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) throw new Error(`a whole number from ${min} to ${max}`);
    return value;
  };

const amount =
  (min: number, max: number): Reader<number> =>
  (text) => {
    const value = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || value < min || value > max) throw new Error(`a number from ${min} to ${max}`);
    return value;
  };

const oneOf =
  <T extends string>(...values: readonly T[]): Reader<T> =>
  (text) => {
    const value = values.find((candidate) => candidate === text);
    if (value === undefined) throw new Error(`one of ${values.join(', ')}`);
    return value;
  };

const matching =
  (pattern: RegExp, what: string): Reader<string> =>
  (text) => {
    if (!pattern.test(text)) throw new Error(what);
    return text;
  };

const loopback: Reader<string> = (text) => {
  if (!/^(127(\.\d{1,3}){3}|::1|localhost)$/.test(text)) {
    throw new Error('a loopback address: there is no access control yet, so nothing else is served');
  }
  return text;
};

const redisUrl: Reader<string> = (text) => {
  const problem = new Error('a redis://, rediss:// or unix:// URL');
  if (!URL.canParse(text)) throw problem;
  if (!['redis:', 'rediss:', 'unix:'].includes(new URL(text).protocol)) throw problem;
  return text;
};

/**
 * `file:` and a path, from the current folder when it is relative; or `s3://bucket/prefix?endpoint=…&region=…`.
 * Credentials are the standard chain's (environment, profile, role), and refused here.
 */
const storeLocation: Reader<StoreLocation> = (text) => {
  if (text.includes(',') || text.includes('role=')) throw new Error('one store: several are not built yet');
  if (text.startsWith('s3:')) return s3Location(text);
  if (text.includes('?') || !text.startsWith('file:') || text === 'file:') throw new Error(storeShapes);
  const folder = text.startsWith('file://') ? new URL(text).pathname : text.slice('file:'.length);
  return { kind: 'file', folder: resolve(folder) };
};

const storeShapes = 'file:PATH or s3://BUCKET/PREFIX?endpoint=URL&region=NAME';
const bucketName = /^(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const objectPrefix = /^([A-Za-z0-9_][A-Za-z0-9_.-]*\/)*$/;
/** Names of objects need the rest of what S3 takes as a key. */
const objectPrefixMax = 200;
const regionName = /^[a-z0-9-]{1,64}$/;
const s3Parameters = ['endpoint', 'region'];

function s3Location(text: string): StoreLocation {
  const should = (what: string) => new Error(`${storeShapes}: ${what}`);
  if (!text.startsWith('s3://') || !URL.canParse(text)) throw new Error(storeShapes);
  const { hostname: bucket, port, username, password, pathname, searchParams, hash } = new URL(text);
  if (username !== '' || password !== '') {
    throw should('keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from a profile, and never stand here');
  }
  if (!bucketName.test(bucket) || port !== '') throw should('a bucket is 3 to 63 of a-z 0-9 . -');
  const prefix = pathname.replace(/^\//, '').replace(/([^/])$/, '$1/');
  if (!objectPrefix.test(prefix) || prefix.length > objectPrefixMax) {
    throw should(`a prefix is segments of A-Z a-z 0-9 _ . -, at most ${objectPrefixMax} in all`);
  }
  const given = [...searchParams.keys()];
  if (hash !== '' || given.some((key) => !s3Parameters.includes(key)) || new Set(given).size < given.length) {
    throw should('there is endpoint and region, each once, and nothing else');
  }
  const endpoint = searchParams.get('endpoint')?.replace(/\/$/, '');
  if (endpoint !== undefined && !(/^https?:\/\/[^/?#@\\\s]+$/.test(endpoint) && URL.canParse(endpoint))) {
    throw should('an endpoint is http://HOST:PORT or https://HOST:PORT');
  }
  const region = searchParams.get('region') ?? 'us-east-1';
  if (!regionName.test(region)) throw should('a region is a name like eu-west-1');
  return { kind: 's3', bucket, prefix, region, ...(endpoint === undefined ? {} : { endpoint }) };
}

/** A refused value as a message may show it: of an address only what cannot hold a password or key. */
function withoutSecrets(text: string): string {
  if (!/@|%40|:\/\/|^s3:/i.test(text)) return text;
  const [harmless] = /^[a-z0-9]+:\/\/[a-z0-9.-]*(\/[\w./-]*)?(?=[?#]|$)/.exec(text) ?? [];
  if (harmless === text) return text;
  const scheme = /^[a-z0-9]{1,10}:/i.exec(text)?.[0] ?? '';
  return harmless === undefined || /@|%40/.test(text) ? `${scheme}…` : `${harmless}…`;
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
  bodyBytes: define({
    name: 'BODY_BYTES',
    unit: 'bytes',
    default: String(MiB),
    meaning: 'the largest request body',
    read: whole(1024, 64 * MiB),
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
export const settingsToCome: readonly string[] = ['HOLD_SECONDS', 'TOKENS', 'ISSUERS'];

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
        `${variable}="${withoutSecrets(text)}" (${setting.unit}; default ${setting.default || 'none'}) should be ${should}`,
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
