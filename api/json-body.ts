// Request bodies: JSON, bounded in size and depth, and harmless once it is read.
import type { Readable } from 'node:stream';
import { asEvokeError, EvokeError } from '../core/errors.ts';

/** Deeper than any body of the contract; shallow enough for everything that recurses over one. */
const depthMax = 32;

/** What may be different for one body or another. */
export interface BodyOptions {
  readonly bytesMax: number;
  /** Told of bytes before they are kept; throws when there is no room for them. */
  readonly take?: (bytes: number) => void;
  /** Objects may have any key, also `__proto__`: whoever reads them copies own properties as such, and no others. */
  readonly anyKeys?: boolean;
}

export interface BodyHeaders {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly transferEncoding: string | undefined;
  readonly contentLength: string | undefined;
}

/**
 * Reads and parses a body; undefined when there is none.
 * @throws EvokeError UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE (over `bytesMax`), MALFORMED_REQUEST (not JSON, too deep, cut off);
 *   what `take` throws
 */
export async function readJson(stream: Readable, headers: BodyHeaders, options: BodyOptions): Promise<unknown> {
  const { bytesMax, anyKeys = false } = options;
  if (Number(headers.contentLength ?? 0) > bytesMax) throw tooLarge(bytesMax);
  const bytes = await readAll(stream, options);
  if (bytes.length === 0) return undefined;
  checkType(headers);
  return parseJson(bytes, anyKeys);
}

function checkType({ contentType, contentEncoding, transferEncoding }: BodyHeaders): void {
  // node:http takes the chunks apart, and would pass over what else was done to the body.
  if (transferEncoding !== undefined && transferEncoding.trim().toLowerCase() !== 'chunked') {
    throw new EvokeError('UNSUPPORTED_MEDIA_TYPE', { detail: 'A body has no Transfer-Encoding but chunked.' });
  }
  if (contentEncoding !== undefined && contentEncoding.toLowerCase() !== 'identity') {
    throw new EvokeError('UNSUPPORTED_MEDIA_TYPE', { detail: 'A body is taken without Content-Encoding.' });
  }
  if (!/^\s*application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(contentType ?? '')) {
    throw new EvokeError('UNSUPPORTED_MEDIA_TYPE', {
      detail: `A body has Content-Type application/json, not ${contentType?.slice(0, 80) ?? 'none'}.`,
    });
  }
}

function readAll(stream: Readable, { bytesMax, take = () => undefined }: BodyOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const settle = (outcome: Buffer | EvokeError) => {
      stream.off('data', keep).off('end', ended).off('error', broken).off('close', broken);
      if (outcome instanceof EvokeError) reject(outcome);
      else resolve(outcome);
    };
    const keep = (part: Buffer) => {
      length += part.length;
      try {
        if (length > bytesMax) throw tooLarge(bytesMax);
        take(part.length);
        parts.push(part);
      } catch (error) {
        settle(asEvokeError(error));
      }
    };
    const ended = () => settle(Buffer.concat(parts));
    const broken = () => settle(malformed('The body ended before it was whole.'));
    stream.on('data', keep).on('end', ended).on('error', broken).on('close', broken);
  });
}

/** Strict UTF-8 JSON. `-0` becomes 0: identities know no negative zero. @throws EvokeError MALFORMED_REQUEST */
export function parseJson(bytes: Uint8Array, anyKeys = false): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw malformed('The body is not well-formed JSON.');
  }
  const holder: Record<string, unknown> = { value };
  tidy(holder, 0, anyKeys);
  return holder['value'];
}

/** Depth is checked on the way down, so the recursion itself is bounded. */
function tidy(container: Record<string, unknown> | unknown[], depth: number, anyKeys: boolean): void {
  if (depth > depthMax) throw malformed(`The body is nested deeper than ${depthMax} levels.`);
  for (const [key, value] of Object.entries(container)) {
    // As an own key it is data; one careless copy later it would be a prototype.
    if (key === '__proto__' && !anyKeys) throw malformed('The body has a key named __proto__.');
    if (Object.is(value, -0)) (container as Record<string, unknown>)[key] = 0;
    if (typeof value === 'object' && value !== null) tidy(value as Record<string, unknown>, depth + 1, anyKeys);
  }
}

function tooLarge(bytesMax: number): EvokeError {
  return new EvokeError('BODY_TOO_LARGE', { detail: `A body has at most ${bytesMax} bytes.`, bytesMax });
}

function malformed(detail: string): EvokeError {
  return new EvokeError('MALFORMED_REQUEST', { detail });
}
