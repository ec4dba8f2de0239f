// Files that exist by name only: a dataset's events dealt out, `eventsPerFile` at a time, to numbered logical file names.
import type { Files } from './dataset.ts';
import { EvokeError } from './errors.ts';
import { type EventRange, eventsIn, formatEventRange, rangeOfEventNumbers } from './event-range.ts';

/** `{n}` or `{n:06}`, once: the file's number, from 1, padded with zeros to so many digits. */
const placeholder = /\{n(?::0([1-9]))?\}/;
const lfnPattern = /^[A-Za-z0-9_][A-Za-z0-9_.+~-]*$/;
const lfnCharsMax = 250;

/** What is wrong with the pattern of a logical file name; undefined where nothing is. */
export function lfnProblem(lfn: string): string | undefined {
  if (lfn.length > lfnCharsMax) return `has more than ${lfnCharsMax} characters`;
  if (!placeholder.test(lfn)) return 'has no {n} or {n:06}, where the number of the file stands';
  if (!lfnPattern.test(lfn.replace(placeholder, '1'))) {
    return 'has something beside one {n} or {n:06} and A-Z a-z 0-9 _ . + ~ -, or begins with . + ~ or -';
  }
  return undefined;
}

/** The logical name of file n, from 1. */
export function lfnOf({ lfn }: Pick<Files, 'lfn'>, n: number): string {
  return lfn.replace(placeholder, (_, digits: string | undefined) => String(n).padStart(Number(digits ?? 1), '0'));
}

/** What stands before and after the number in every name of a pattern. */
export function aroundNumber({ lfn }: Pick<Files, 'lfn'>): { readonly before: string; readonly after: string } {
  const [before = '', after = ''] = lfn.split(placeholder.exec(lfn)?.[0] ?? '');
  return { before, after };
}

/** The number of the file that has this name; undefined when it is not of the pattern, or of no file that there can be. */
export function fileNumberOf(files: Pick<Files, 'lfn'>, name: string): number | undefined {
  const { before, after } = aroundNumber(files);
  if (!name.startsWith(before) || !name.endsWith(after)) return undefined;
  const digits = name.slice(before.length, name.length - after.length);
  const n = Number(digits);
  return /^\d{1,16}$/.test(digits) && n >= 1 && Number.isSafeInteger(n) && lfnOf(files, n) === name ? n : undefined;
}

/** The events of file n, clipped to the dataset; undefined beyond its last file. */
export function eventsOfFile(
  { eventsPerFile }: Pick<Files, 'eventsPerFile'>,
  n: number,
  events: number,
): EventRange | undefined {
  const first = (n - 1) * eventsPerFile;
  return first < events ? { first, end: Math.min(first + eventsPerFile, events) } : undefined;
}

/**
 * The events between two bounds, both included, of a file that has the events `file`: the bounds are positions in the file,
 * from 1, or event numbers. @throws EvokeError MALFORMED_RANGE, BEYOND_DATASET (with the number of `events` of the file)
 */
export function eventsBetween(
  startEvent: number,
  lastEvent: number,
  file: EventRange,
  bounds: 'positions' | 'event numbers',
): EventRange {
  const asked = rangeOfEventNumbers(startEvent, lastEvent);
  const base = bounds === 'positions' ? file.first : 0;
  // Compared before anything is added: the sum might not be a safe integer.
  if (asked.first >= file.first - base && asked.end <= file.end - base) {
    return { first: asked.first + base, end: asked.end + base };
  }
  const whole = formatEventRange({ first: file.first - base, end: file.end - base });
  throw new EvokeError('BEYOND_DATASET', {
    detail: `${formatEventRange(asked)} is not within the ${bounds} of the file, ${whole}.`,
    events: eventsIn(file),
  });
}
