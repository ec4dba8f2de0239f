// A store in a bucket of any S3 server that knows conditional puts: an object's key is the store's prefix and its name.
// Credentials are the standard chain's, and shown nowhere. Times are the server's, in whole seconds from `head`.
import {
  type _Object,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { StoreLocation } from '../core/store-location.ts';
import { checkName, checkPrefix, isName } from './names.ts';
import { wholeBody } from './s3-body.ts';
import { type Attempt, S3Calls, type S3Limits } from './s3-calls.ts';
import { BadAnswer, isAbsence, isBeyondEnd, isPreconditionFailure, s3Unavailable } from './s3-errors.ts';
import { abortOldUploads, putInParts, type S3Object } from './s3-multipart.ts';
import { type ByteSpan, listLimitMax, type ObjectInfo, type StoreBackend } from './store.ts';

/** What the answer to a HEAD cannot tell, an absent object from an absent bucket, is asked for again after this. */
const bucketSeenMsMax = 10_000;
/** Pages in a row without anything of ours that a listing passes over. */
const foreignPagesMax = 100;

type PageStart = { readonly StartAfter?: string } | { readonly ContinuationToken: string };
type Listed = Pick<_Object, 'Key' | 'Size' | 'LastModified'>;

export interface S3StoreOptions {
  readonly limits?: Partial<S3Limits>;
  /** Objects larger than this go up in parts of it, at least 5 MiB; not with `ifAbsent`: older servers forget the condition. */
  readonly partBytes?: number;
}

export class S3Store implements StoreBackend {
  readonly description: string;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #calls: S3Calls;
  readonly #partBytes: number;
  #bucketSeenAt = Number.NEGATIVE_INFINITY;

  constructor(location: Extract<StoreLocation, { kind: 's3' }>, options: S3StoreOptions = {}) {
    const { bucket, prefix, endpoint, region } = location;
    this.description = `s3://${bucket}/${prefix} at ${endpoint ?? region}`;
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#calls = new S3Calls(location, options.limits);
    this.#partBytes = options.partBytes ?? 16 * 1024 * 1024;
  }

  async get(name: string): Promise<Buffer | undefined> {
    const object = this.#object(name);
    return this.#calls.run('read', (attempt) => this.#get(object, attempt));
  }

  async getRange(name: string, range: ByteSpan): Promise<Buffer | undefined> {
    const object = this.#object(name);
    const nothing = 'last' in range ? range.last < 1 : range.end <= range.start;
    // Such a range cannot be asked for.
    if (nothing) return (await this.head(name)) && Buffer.alloc(0);
    const Range = 'last' in range ? `bytes=-${range.last}` : `bytes=${range.start}-${range.end - 1}`;
    return this.#calls.run('read', async ({ client, options }) => {
      try {
        const answer = await client.send(new GetObjectCommand({ ...object, Range }), options);
        const bytes = await wholeBody(answer);
        this.#sawBucket();
        // Who does not know ranges, or finds this one longer than the object, sends all of it.
        return answer.ContentRange === undefined ? cutTo(bytes, range) : bytes;
      } catch (error) {
        if (isBeyondEnd(error)) return Buffer.alloc(0);
        if (isAbsence(error)) return undefined;
        throw error;
      }
    });
  }

  async head(name: string): Promise<ObjectInfo | undefined> {
    const object = this.#object(name);
    return this.#calls.run('read', async (attempt) => {
      const info = await this.#head(object, attempt);
      return info && { name, ...info };
    });
  }

  async put(name: string, parts: readonly Uint8Array[], options: { ifAbsent?: boolean } = {}): Promise<boolean> {
    const object = this.#object(name);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (options.ifAbsent === true) return this.#create(object, joined(parts));
    if (bytes > this.#partBytes) await putInParts(this.#calls, object, parts, this.#partBytes);
    else {
      const Body = joined(parts);
      await this.#calls.run('write', ({ client, options: call }) =>
        client.send(new PutObjectCommand({ ...object, Body }), call),
      );
    }
    return true;
  }

  /** Of two at one moment both may be told that there was something: the server does not say. */
  async delete(name: string): Promise<boolean> {
    const object = this.#object(name);
    let found: boolean | undefined;
    return this.#calls.run('delete', async (attempt) => {
      // Once: an attempt whose answer was lost may have deleted it.
      found ??= (await this.#head(object, attempt)) !== undefined;
      if (found) await attempt.client.send(new DeleteObjectCommand(object), attempt.options);
      return found;
    });
  }

  async list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<ObjectInfo[]> {
    checkPrefix(prefix);
    const limit = Math.min(options.limit ?? listLimitMax, listLimitMax);
    const page: ObjectInfo[] = [];
    let from: PageStart = options.after === undefined ? {} : { StartAfter: this.#prefix + options.after };
    // A server may give less than was asked for, and the bucket may hold what is not ours.
    for (let foreign = 0; page.length < limit; ) {
      const { ours, next } = await this.#page(prefix, from, foreign === 0 ? limit - page.length : listLimitMax);
      page.push(...ours.slice(0, limit - page.length));
      if (next === undefined) return page;
      from = next;
      foreign = ours.length === 0 ? foreign + 1 : 0;
      if (foreign > foreignPagesMax) throw s3Unavailable(new BadAnswer('too much there is not ours'), 'list');
    }
    return page;
  }

  async close(): Promise<void> {
    this.#calls.close();
  }

  removeLeftovers(olderThanMs: number, chooses: (name: string) => boolean = () => true): Promise<number> {
    const place = { Bucket: this.#bucket, Prefix: this.#prefix };
    return abortOldUploads(this.#calls, place, olderThanMs, (key) => chooses(key.slice(this.#prefix.length)));
  }

  #object(name: string): S3Object {
    checkName(name);
    return { Bucket: this.#bucket, Key: this.#prefix + name };
  }

  async #get(object: S3Object, { client, options }: Attempt): Promise<Buffer | undefined> {
    try {
      const bytes = await wholeBody(await client.send(new GetObjectCommand(object), options));
      this.#sawBucket();
      return bytes;
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw error;
    }
  }

  async #head(object: S3Object, { client, options }: Attempt): Promise<Omit<ObjectInfo, 'name'> | undefined> {
    try {
      const { ContentLength: bytes, LastModified: modifiedAt } = await client.send(
        new HeadObjectCommand(object),
        options,
      );
      if (bytes === undefined || modifiedAt === undefined) throw new BadAnswer('its answer lacks length or time');
      this.#sawBucket();
      return { bytes, modifiedAtMs: modifiedAt.getTime() };
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
    if (performance.now() - this.#bucketSeenAt > bucketSeenMsMax) {
      await client.send(new HeadBucketCommand({ Bucket: object.Bucket }), options);
      this.#sawBucket();
    }
    return undefined;
  }

  #create(object: S3Object, Body: Buffer): Promise<boolean> {
    return this.#calls.run('write', async (attempt) => {
      try {
        await attempt.client.send(new PutObjectCommand({ ...object, Body, IfNoneMatch: '*' }), attempt.options);
        return true;
      } catch (error) {
        if (!isPreconditionFailure(error)) throw error;
        // Perhaps it is ours: stored by an attempt whose answer was lost.
        return attempt.again && (await this.#get(object, attempt))?.equals(Body) === true;
      }
    });
  }

  /** Objects of ours among the next `limit`, and where the next page begins, undefined when there is none. */
  #page(prefix: string, from: PageStart, limit: number): Promise<{ ours: ObjectInfo[]; next: PageStart | undefined }> {
    const place = { Bucket: this.#bucket, Prefix: this.#prefix + prefix };
    // Keys of others may hold what XML cannot.
    const input = { ...place, ...from, MaxKeys: limit, EncodingType: 'url' as const };
    return this.#calls.run('list', async ({ client, options }) => {
      const answer = await client.send(new ListObjectsV2Command(input), options);
      this.#sawBucket();
      const { Contents: objects = [], IsTruncated, NextContinuationToken } = answer;
      const ours = objects.flatMap((object) => this.#listed(object) ?? []);
      if (IsTruncated !== true) return { ours, next: undefined };
      const last = objects.at(-1)?.Key;
      if (NextContinuationToken !== undefined) return { ours, next: { ContinuationToken: NextContinuationToken } };
      if (last !== undefined) return { ours, next: { StartAfter: decoded(last) } };
      throw new BadAnswer('its listing breaks off');
    });
  }

  #listed({ Key = '', Size: bytes, LastModified: modifiedAt }: Listed): ObjectInfo | undefined {
    const key = decoded(Key);
    const name = key.slice(this.#prefix.length);
    const isOurs = key.startsWith(this.#prefix) && isName(name);
    if (!isOurs || bytes === undefined || modifiedAt === undefined) return undefined;
    return { name, bytes, modifiedAtMs: modifiedAt.getTime() };
  }

  #sawBucket(): void {
    this.#bucketSeenAt = performance.now();
  }
}

function joined(parts: readonly Uint8Array[]): Buffer {
  const [first, ...others] = parts;
  if (first !== undefined && others.length === 0) return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
  return Buffer.concat(parts);
}

function cutTo(bytes: Buffer, range: ByteSpan): Buffer {
  return 'last' in range
    ? bytes.subarray(Math.max(0, bytes.length - range.last))
    : bytes.subarray(range.start, range.end);
}

/** What is no encoding is a name as it is; ours hold nothing that would be encoded. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
