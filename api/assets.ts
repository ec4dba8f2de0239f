// Files that are served as they are: read and compressed once when the process starts, named by the digest of their bytes.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { Answer, HeaderList, Input } from './answer.ts';
import { namesTag } from './preconditions.ts';

interface Representation {
  readonly bytes: Buffer;
  readonly tag: string;
  readonly headers: HeaderList;
}

export interface Asset {
  readonly plain: Representation;
  readonly compressed: Representation;
}

/** @throws the system's error */
export function readAsset(file: URL, mediaType: string): Asset {
  const bytes = readFileSync(file);
  const type = ['Content-Type', mediaType];
  return {
    plain: representation(bytes, type),
    compressed: representation(gzipSync(bytes, { level: 9 }), [...type, 'Content-Encoding', 'gzip']),
  };
}

function representation(bytes: Buffer, headers: HeaderList): Representation {
  const tag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
  return { bytes, tag, headers: [...headers, 'Content-Length', String(bytes.length)] };
}

/** The file, or 304 where the client has it; clients ask each time, because the next version has the same address. */
export function assetAnswer(asset: Asset, headers: HeaderList, input: Pick<Input, 'header' | 'method'>): Answer {
  const { bytes, tag, headers: own } = takesGzip(input.header('accept-encoding')) ? asset.compressed : asset.plain;
  const known = input.header('if-none-match');
  const always = ['Cache-Control', 'no-cache', 'Vary', 'Accept-Encoding', ...headers, 'ETag', tag];
  if (known !== undefined && namesTag(known, tag, 'weak')) return { status: 304, headers: always };
  const whole = { status: 200, headers: [...own, ...always] };
  return input.method === 'HEAD' ? whole : { ...whole, body: { kind: 'bytes', pieces: [bytes] } };
}

/** Whether gzip is named, and not with the weight 0 (RFC 9110, 12.5.3). */
function takesGzip(accepted = ''): boolean {
  return accepted
    .toLowerCase()
    .split(',')
    .some((coding) => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/.test(coding));
}
