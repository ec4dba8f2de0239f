// Large objects in parts: uploaded a few at a time, visible only when they are completed, and taken away again when that
// fails. What a killed process leaves is invisible, but paid for: `abortOldUploads` removes it.
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type MultipartUpload,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { S3Calls } from './s3-calls.ts';
import { BadAnswer, isNoSuchUpload } from './s3-errors.ts';

export interface S3Object {
  readonly Bucket: string;
  readonly Key: string;
}

/** A server takes at most 10 000 parts, none but the last smaller than 5 MiB. */
const partsMax = 10_000;
const partsAtOnce = 4;

/** Replaces what has this key. @throws EvokeError STORE_UNAVAILABLE */
export async function putInParts(
  calls: S3Calls,
  object: S3Object,
  pieces: readonly Uint8Array[],
  partBytes: number,
): Promise<void> {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const upload = await calls.run('write', async ({ client, options }) => {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(object), options);
    if (UploadId === undefined) throw new BadAnswer('it began an upload without a name');
    return { ...object, UploadId };
  });
  try {
    const Parts = await uploadParts(calls, upload, cut(pieces, Math.max(partBytes, Math.ceil(total / partsMax))));
    await calls.run('write', async ({ client, options, again }) => {
      try {
        await client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }), options);
      } catch (error) {
        if (!again || !isNoSuchUpload(error)) throw error;
        // Completed before, and the answer was lost.
        const { ContentLength } = await client.send(new HeadObjectCommand(object), options);
        if (ContentLength !== total) throw error;
      }
    });
  } catch (error) {
    // What cannot be aborted now is left for abortOldUploads.
    await abort(calls, upload).catch(() => undefined);
    throw error;
  }
}

/** Aborts uploads under the prefix that began more than `olderThanMs` ago, if `chooses` says so; returns how many. */
export async function abortOldUploads(
  calls: S3Calls,
  { Bucket, Prefix }: { readonly Bucket: string; readonly Prefix: string },
  olderThanMs: number,
  chooses: (key: string) => boolean,
): Promise<number> {
  const before = Date.now() - olderThanMs;
  let aborted = 0;
  let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
  for (;;) {
    const page = await calls.run('list', ({ client, options }) =>
      client.send(new ListMultipartUploadsCommand({ Bucket, Prefix, ...from }), options),
    );
    for (const upload of page.Uploads ?? []) {
      if (isOld(upload, before) && chooses(upload.Key) && (await abort(calls, { Bucket, ...upload }))) aborted++;
    }
    const next = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    const moves = next.KeyMarker !== from.KeyMarker || next.UploadIdMarker !== from.UploadIdMarker;
    if (page.IsTruncated !== true || !moves) return aborted;
    from = next;
  }
}

interface Upload extends S3Object {
  readonly UploadId: string;
}

function isOld(upload: MultipartUpload, before: number): upload is MultipartUpload & Pick<Upload, 'Key' | 'UploadId'> {
  const { Key, UploadId, Initiated } = upload;
  return Key !== undefined && UploadId !== undefined && Initiated !== undefined && Initiated.getTime() <= before;
}

/** Returns whether there was something to abort. */
function abort(calls: S3Calls, { Bucket, Key, UploadId }: Upload): Promise<boolean> {
  return calls.run('delete', async ({ client, options }) => {
    try {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), options);
      return true;
    } catch (error) {
      if (isNoSuchUpload(error)) return false;
      throw error;
    }
  });
}

/** In the order of the parts, as completing wants them. */
async function uploadParts(calls: S3Calls, upload: Upload, parts: Generator<Buffer>) {
  const done: { PartNumber: number; ETag: string }[] = [];
  let failed = false;
  let count = 0;
  const worker = async () => {
    try {
      for (;;) {
        const { value: Body } = parts.next();
        if (Body === undefined || failed) return;
        const PartNumber = ++count;
        const ETag = await calls.run('write', async ({ client, options }) => {
          const answer = await client.send(new UploadPartCommand({ ...upload, PartNumber, Body }), options);
          if (answer.ETag === undefined) throw new BadAnswer('it took a part without naming it');
          return answer.ETag;
        });
        done.push({ PartNumber, ETag });
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  // All of them end before an upload is aborted: a part that arrives later would stay.
  const ends = await Promise.allSettled(Array.from({ length: partsAtOnce }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return done.sort((a, b) => a.PartNumber - b.PartNumber);
}

/** The same bytes in buffers of `size`, the last one shorter. */
function* cut(pieces: readonly Uint8Array[], size: number): Generator<Buffer> {
  let part = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const some = piece.subarray(at, at + size - filled);
      part.set(some, filled);
      filled += some.length;
      at += some.length;
      if (filled < size) continue;
      yield part;
      part = Buffer.allocUnsafeSlow(size);
      filled = 0;
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}
