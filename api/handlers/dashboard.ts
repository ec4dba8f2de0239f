// The first page and what it is made of: files of the dashboard's folder, read and compressed once when the process starts,
// and served as data. The page may load nothing from elsewhere, and nobody may frame it: it has buttons.
import { readdirSync } from 'node:fs';
import { extname } from 'node:path';
import { EvokeError } from '../../core/errors.ts';
import type { Answer, HeaderList, Input } from '../answer.ts';
import { type Asset, assetAnswer, readAsset } from '../assets.ts';

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
  'Content-Security-Policy',
  policy,
  'X-Content-Type-Options',
  'nosniff',
  'Referrer-Policy',
  'no-referrer',
];

const assets = readAssets(new URL('../../dashboard/', import.meta.url));

/** The files that a browser is given, by name; others of the folder are not served. @throws the system's error */
function readAssets(folder: URL): ReadonlyMap<string, Asset> {
  const found = new Map<string, Asset>();
  for (const name of readdirSync(folder)) {
    const mediaType = mediaTypes[extname(name)];
    if (mediaType === undefined) continue;
    found.set(name, readAsset(new URL(name, folder), mediaType));
  }
  return found;
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
  return assetAnswer(asset, headersOfAll, input);
}
