// The first page and what it is made of: files of the dashboard's folder, read and compressed once when the process starts,
// and served as data. The page may load nothing from elsewhere, and nobody may frame it: it has buttons.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { gzipSync } from 'node:zlib';
import { EvokeError } from '../../core/errors.ts';
import type { Answer, HeaderList, Input } from '../answer.ts';
import { namesTag } from '../preconditions.ts';

const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const headersOfAll: HeaderList = [
  'Cache-Control',
  'no-cache',
  'Vary',
  'Accept-Encoding',
  'Content-Security-Policy',
  policy,
  'X-Content-Type-Options',
  'nosniff',
  'Referrer-Policy',
  'no-referrer',
];

interface Representation {
  readonly bytes: Buffer;
  readonly tag: string;
  readonly headers: HeaderList;
}

interface Asset {
  readonly plain: Representation;
  readonly compressed: Representation;
}

const assets = readAssets(new URL('../../dashboard/', import.meta.url));

/** The files that a browser is given, by name; others of the folder are not served. @throws the system's error */
function readAssets(folder: URL): ReadonlyMap<string, Asset> {
  const found = new Map<string, Asset>();
  for (const name of readdirSync(folder)) {
    const mediaType = mediaTypes[extname(name)];
    if (mediaType === undefined) continue;
    const bytes = readFileSync(new URL(name, folder));
    found.set(name, {
      plain: representation(bytes, ['Content-Type', mediaType]),
      compressed: representation(gzipSync(bytes, { level: 9 }), [
        'Content-Type',
        mediaType,
        'Content-Encoding',
        'gzip',
      ]),
    });
  }
  return found;
}

function representation(bytes: Buffer, headers: HeaderList): Representation {
  const tag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
  return { bytes, tag, headers: [...headers, 'Content-Length', String(bytes.length)] };
}

export function getPage(input: Input): Answer {
  return answer('index.html', input);
}

/** @throws EvokeError NOT_FOUND */
export function getPageAsset(input: Input<{ asset: string }>): Answer {
  return answer(input.params.asset, input);
}

function answer(name: string, input: Input): Answer {
  const asset = assets.get(name);
  if (asset === undefined) throw new EvokeError('NOT_FOUND', { detail: 'The page has no such part.' });
  const { bytes, tag, headers } = takesGzip(input.header('accept-encoding')) ? asset.compressed : asset.plain;
  const known = input.header('if-none-match');
  const always = [...headersOfAll, 'ETag', tag];
  if (known !== undefined && namesTag(known, tag, 'weak')) return { status: 304, headers: always };
  const whole = { status: 200, headers: [...headers, ...always] };
  return input.method === 'HEAD' ? whole : { ...whole, body: { kind: 'bytes', pieces: [bytes] } };
}

/** Whether gzip is named, and not with the weight 0 (RFC 9110, 12.5.3). */
function takesGzip(accepted = ''): boolean {
  return accepted
    .toLowerCase()
    .split(',')
    .some((coding) => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/.test(coding));
}
