// How the text of a setting is read: a value, or a plain Error that says what it should have been.
import { isIPv4 } from 'node:net';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StoreLocation } from '../core/store-location.ts';

/** Reads a text, or throws a plain Error that says what it should be. */
export type Reader<T> = (text: string) => T;

export const whole =
  (min: number, max: number): Reader<number> =>
  (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) throw new Error(`a whole number from ${min} to ${max}`);
    return value;
  };

export const amount =
  (min: number, max: number): Reader<number> =>
  (text) => {
    const value = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || value < min || value > max) throw new Error(`a number from ${min} to ${max}`);
    return value;
  };

export const oneOf =
  <T extends string>(...values: readonly T[]): Reader<T> =>
  (text) => {
    const value = values.find((candidate) => candidate === text);
    if (value === undefined) throw new Error(`one of ${values.join(', ')}`);
    return value;
  };

export const matching =
  (pattern: RegExp, what: string): Reader<string> =>
  (text) => {
    if (!pattern.test(text)) throw new Error(what);
    return text;
  };

export const loopback: Reader<string> = (text) => {
  if (!((isIPv4(text) && text.startsWith('127.')) || text === '::1' || text === 'localhost')) {
    throw new Error('a loopback address: there is no access control yet, so nothing else is served');
  }
  return text;
};

/** Passwords have no place in it: tokens are what says who asks. */
export const httpUrl: Reader<string> = (text) => {
  const should = new Error('http://HOST[:PORT] or https://HOST[:PORT], without user and password');
  if (!/^https?:\/\/[^@?#\s]+$/i.test(text) || !URL.canParse(text)) throw should;
  return text;
};

/** Strict, because ioredis would make something of nearly every text, or throw when it is first used. */
export const redisUrl: Reader<string> = (text) => {
  const should = new Error('redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// likewise, or unix:///PATH');
  if (/[?#\p{C}\s]/u.test(text) || !URL.canParse(text)) throw should;
  const { protocol, hostname, pathname, username, password } = new URL(text);
  const isUnix = protocol === 'unix:' && hostname === '' && /^unix:\/\/\/[^/]/.test(text);
  const isHost = /^rediss?:\/\//.test(text) && hostname !== '' && /^(\/\d{0,4})?$/.test(pathname);
  if (!isUnix && !isHost) throw should;
  try {
    decodeURIComponent(`${username}:${password}:${pathname}`);
  } catch {
    throw should;
  }
  return text;
};

/**
 * `file:` and a path, from the current folder when it is relative; or `s3://bucket/prefix?endpoint=…&region=…`.
 * Credentials are the standard chain's (environment, profile, role), and refused here.
 */
export const storeLocation: Reader<StoreLocation> = (text) => {
  if (text.includes(',') || text.includes('role=')) throw new Error('one store: several are not built yet');
  if (text.startsWith('s3:')) return s3Location(text);
  if (text.includes('?') || !text.startsWith('file:') || text === 'file:') throw new Error(storeShapes);
  const folder = text.startsWith('file://') ? folderOf(text) : text.slice('file:'.length);
  return { kind: 'file', folder: resolve(folder) };
};

/** Of a URL, which names a folder of this machine and nothing else. */
function folderOf(text: string): string {
  const should = new Error('file:///PATH: a folder of this machine, without #');
  if (!URL.canParse(text)) throw should;
  const { host, hash, pathname } = new URL(text);
  if (host !== '' || hash !== '' || pathname === '/') throw should;
  try {
    return fileURLToPath(text);
  } catch {
    throw should;
  }
}

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

const shownCharsMax = 200;

/** A refused value as a message may show it: on one line, not without end, and without what might be a password or key. */
export function shown(text: string): string {
  const oneLine = withoutSecrets(text).replace(/\p{C}/gu, '\ufffd');
  return oneLine.length > shownCharsMax ? `${oneLine.slice(0, shownCharsMax)}…` : oneLine;
}

/** Of an address only what cannot hold a password or key. */
function withoutSecrets(text: string): string {
  if (!/@|%40|:\/\/|^s3:/i.test(text)) return text;
  const [harmless] = /^[a-z0-9]+:\/\/[a-z0-9.-]*(\/[\w./-]*)?(?=[?#]|$)/.exec(text) ?? [];
  if (harmless === text) return text;
  const scheme = /^[a-z0-9]{1,10}:/i.exec(text)?.[0] ?? '';
  return harmless === undefined || /@|%40/.test(text) ? `${scheme}…` : `${harmless}…`;
}
