// Conditional requests and byte ranges (RFC 9110, sections 13 and 14), against an entity tag that is always known.
import { EvokeError } from '../core/errors.ts';

const entityTags = /^\s*(?:W\/)?"[!\x23-\x7e\x80-\xff]*"(?:\s*,\s*(?:W\/)?"[!\x23-\x7e\x80-\xff]*")*\s*$/;
const oneTag = /(W\/)?("[!\x23-\x7e\x80-\xff]*")/g;

/**
 * Whether a list of entity tags (or `*`) names this one, as headers write it. Weak comparison lets `W/"x"` stand for `"x"`
 * and the other way round; strong comparison never matches a weak tag, on whichever side.
 */
export function namesTag(list: string, tag: string, comparison: 'weak' | 'strong'): boolean {
  if (list === tag && (comparison === 'weak' || !isWeak(tag))) return true;
  if (list.trim() === '*') return true;
  if (!entityTags.test(list)) {
    throw new EvokeError('MALFORMED_REQUEST', { detail: 'A precondition is not a list of quoted entity tags.' });
  }
  if (comparison === 'strong' && isWeak(tag)) return false;
  const opaque = isWeak(tag) ? tag.slice(2) : tag;
  for (const match of list.matchAll(oneTag)) {
    if (match[2] === opaque && (comparison === 'weak' || match[1] === undefined)) return true;
  }
  return false;
}

export function isWeak(tag: string): boolean {
  return tag.startsWith('W/');
}

/** Bytes first..last, 0-based and inclusive, of a representation whose length is known. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** However many digits: what lies beyond the numbers lies beyond every body. */
const singleRange = /^bytes=\s*(?:(\d+)-(\d+)?|-(\d+))\s*$/i;

/**
 * The byte range to answer with; undefined means the whole: no Range, another unit, several ranges, or not well formed, which
 * RFC 9110 (14.2) all lets a server answer in full.
 * @throws EvokeError RANGE_NOT_SATISFIABLE with `length`
 */
export function byteRange(header: string | undefined, length: number): ByteRange | undefined {
  if (header === undefined) return undefined;
  const match = singleRange.exec(header);
  if (match === null) return undefined;
  const [, firstText, lastText, suffixText] = match;
  if (suffixText !== undefined) {
    const suffix = Math.min(Number(suffixText), length);
    if (suffix > 0) return { first: length - suffix, last: length - 1 };
  } else {
    const first = Number(firstText);
    const last = lastText === undefined ? length - 1 : Math.min(Number(lastText), length - 1);
    if (lastText !== undefined && Number(lastText) < first) return undefined;
    if (first < length) return { first, last };
  }
  throw new EvokeError('RANGE_NOT_SATISFIABLE', {
    detail: `The representation has ${length} bytes; "${header.slice(0, 80)}" has none of them.`,
    length,
  });
}

/** Those bytes of a body; stops asking for pieces after the last. */
export async function* bytesWithin(pieces: AsyncIterable<Buffer>, range: ByteRange): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const piece of pieces) {
    const from = Math.max(0, range.first - at);
    const to = Math.min(piece.length, range.last + 1 - at);
    if (from < to) yield from === 0 && to === piece.length ? piece : piece.subarray(from, to);
    at += piece.length;
    if (at > range.last) return;
  }
}
