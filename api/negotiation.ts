// Which format an answer has: the suffix of the path wins over `?format=`, that over `Accept` (RFC 9110, 12.5.1).
import { EvokeError } from '../core/errors.ts';
import { type Format, formats, formatsToCome } from '../formats/representation.ts';

/** In the order of preference where a client has none: what a person at a terminal can read comes first. */
const offered: readonly Format[] = [formats.ndjson, formats.arrow];

export interface FormatWish {
  /** The path's suffix, without the dot. */
  readonly suffix?: string | undefined;
  /** `?format=` */
  readonly format?: string | undefined;
  readonly accept?: string | undefined;
}

/** @throws EvokeError NOT_ACCEPTABLE when no format of the service fits. */
export function chooseFormat(wish: FormatWish): Format {
  const { suffix, format, accept } = wish;
  if (suffix !== undefined) return bySuffix(suffix);
  if (format !== undefined) return byName(format);
  if (accept === undefined || accept === '*/*' || isEmptyList(accept)) return formats.ndjson;
  return byAccept(accept);
}

/** A list of nothing wishes for nothing. */
function isEmptyList(text: string): boolean {
  return /^[\s,]*$/.test(text);
}

function bySuffix(suffix: string): Format {
  const format = offered.find((candidate) => candidate.extension === suffix);
  if (format !== undefined) return format;
  throw notAcceptable(`The format of .${suffix} is not written by this build.`);
}

function byName(name: string): Format {
  const format = offered.find((candidate) => candidate.name === name);
  if (format !== undefined) return format;
  throw notAcceptable(
    formatsToCome.includes(name)
      ? `The format ${name} is not written by this build.`
      : `"${name.slice(0, 40)}" is not a format.`,
  );
}

function byAccept(accept: string): Format {
  const mediaType = preferred(
    accept,
    offered.map((format) => format.mediaType),
  );
  const format = offered.find((candidate) => candidate.mediaType === mediaType);
  if (format !== undefined) return format;
  throw notAcceptable('Nothing that Accept allows is written by this build.');
}

/** The media type of those offered, in our order, that an Accept header likes best; the first where it has no wish. */
export function preferred<M extends string>(accept: string | undefined, mediaTypes: readonly M[]): M | undefined {
  if (accept === undefined || isEmptyList(accept)) return mediaTypes[0];
  const ranges = parseAccept(accept);
  let best: M | undefined;
  let bestQuality = 0;
  for (const mediaType of mediaTypes) {
    const quality = qualityOf(mediaType, ranges);
    if (quality > bestQuality) {
      best = mediaType;
      bestQuality = quality;
    }
  }
  return best;
}

interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
}

const mediaRange = /^([!#$%&'*+.^_`|~0-9a-z-]+)\/([!#$%&'*+.^_`|~0-9a-z-]+)$/;
const qualityValue = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/;

/** The media ranges of an Accept header. An element that does not read as one accepts nothing. */
function parseAccept(accept: string): MediaRange[] {
  const ranges: MediaRange[] = [];
  for (const element of accept.toLowerCase().split(',')) {
    const [name = '', ...parameters] = element.split(';').map((part) => part.trim());
    const match = mediaRange.exec(name);
    if (match === null) continue;
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    if (weight !== undefined && !qualityValue.test(weight)) continue;
    ranges.push({
      type: match[1] as string,
      subtype: match[2] as string,
      quality: weight === undefined ? 1 : Number(weight),
    });
  }
  return ranges;
}

/** The quality of the most specific range that matches, 0 when none does. */
function qualityOf(mediaType: string, ranges: readonly MediaRange[]): number {
  const [type, subtype] = mediaType.split('/');
  let quality = 0;
  let specificity = -1;
  for (const range of ranges) {
    const matches =
      (range.type === type && (range.subtype === subtype || range.subtype === '*')) ||
      (range.type === '*' && range.subtype === '*');
    const specific = range.type === '*' ? 0 : range.subtype === '*' ? 1 : 2;
    if (matches && specific > specificity) {
      specificity = specific;
      quality = range.quality;
    }
  }
  return quality;
}

function notAcceptable(detail: string): EvokeError {
  const names = offered.map((format) => `${format.name} (${format.mediaType}, .${format.extension})`);
  return new EvokeError('NOT_ACCEPTABLE', { detail, hint: `This build writes ${names.join(' and ')}.` });
}
