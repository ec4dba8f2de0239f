// Lists of event ranges in PanDA's words: what a list must be, and what its objects must say. What else an object says is its
// own business, and is given back as it came.
import { isNamePart } from '../core/dataset.ts';
import { EvokeError, type FieldError } from '../core/errors.ts';

/** One object of a list, as it came. */
export type RangeObject = Readonly<Record<string, unknown>>;

export interface RangeList {
  readonly ranges: readonly RangeObject[];
  /** What startEvent and lastEvent count. */
  readonly bounds: 'positions' | 'event numbers';
}

/** What an object asks for. */
export interface AskedRange {
  readonly scope: string;
  readonly lfn: string;
  readonly startEvent: number;
  readonly lastEvent: number;
}

/** For each range of a list, in the body: PanDA's take about 250 bytes. */
export const rangeBytesMax = 1024;
const idCharsMax = 1_000;
const lfnCharsMax = 250;
/** Refusals that are told one by one. */
const errorsMax = 100;

/** @throws EvokeError INVALID_BODY when it is no list of objects; BODY_TOO_LARGE over `rangesMax` */
export function readRangeList(body: unknown, rangesMax: number): RangeList {
  const { list, at, byPosition } = isObject(body) ? unwrapped(body) : { list: body, at: '', byPosition: true };
  if (!Array.isArray(list)) throw refused([{ path: at, message: 'is not a list of event ranges' }]);
  if (list.length > rangesMax) {
    throw new EvokeError('BODY_TOO_LARGE', {
      detail: `The list has ${list.length} event ranges; a list has at most ${rangesMax}.`,
      hint: 'Post them in several lists. EVOKE_EVENT_RANGES sets the bound.',
      eventRangesMax: rangesMax,
    });
  }
  const strangers = list.flatMap((range: unknown, i) => (isObject(range) ? [] : [`${at}/${i}`]));
  if (strangers.length > 0) throw refused(strangers.map((path) => ({ path, message: 'is not an event range' })));
  return { ranges: list as RangeObject[], bounds: byPosition ? 'positions' : 'event numbers' };
}

function unwrapped(body: RangeObject) {
  const { eventRanges, inFilePosEvtNum = true, ...others } = body;
  const errors = Object.keys(others).map((key) => ({
    path: `/${key.slice(0, 80).replaceAll('~', '~0').replaceAll('/', '~1')}`,
    message: 'is not a known field',
  }));
  if (typeof inFilePosEvtNum !== 'boolean') errors.push({ path: '/inFilePosEvtNum', message: 'is not true or false' });
  if (errors.length > 0) throw refused(errors);
  return { list: eventRanges, at: '/eventRanges', byPosition: inFilePosEvtNum === true };
}

function refused(errors: readonly FieldError[]): EvokeError {
  return new EvokeError('INVALID_BODY', {
    detail: 'The list of event ranges was refused.',
    hint: 'Post [{eventRangeID, LFN, GUID, scope, startEvent, lastEvent}], or {"eventRanges": […], "inFilePosEvtNum": true}.',
    errors: errors.slice(0, errorsMax),
  });
}

/** @throws EvokeError INVALID_BODY, MALFORMED_NAME, MALFORMED_RANGE: what is wrong with this object */
export function askedRange(range: RangeObject): AskedRange {
  const { eventRangeID, LFN: lfn, scope, startEvent, lastEvent } = range;
  const errors = [
    ...textErrors('eventRangeID', eventRangeID, idCharsMax),
    ...textErrors('LFN', lfn, lfnCharsMax),
    ...textErrors('scope', scope, Number.POSITIVE_INFINITY),
  ];
  if (errors.length > 0) {
    const fields = errors.map(({ path }) => path.slice(1)).join(', ');
    throw new EvokeError('INVALID_BODY', { detail: `The event range was refused for its ${fields}.`, errors });
  }
  if (!isNamePart(String(scope))) {
    throw new EvokeError('MALFORMED_NAME', { detail: `"${String(scope).slice(0, 80)}" is not a scope.` });
  }
  if (!isEventNumber(startEvent) || !isEventNumber(lastEvent)) {
    throw new EvokeError('MALFORMED_RANGE', {
      detail: 'startEvent and lastEvent have to be whole numbers from 1, both included.',
    });
  }
  return { scope: String(scope), lfn: String(lfn), startEvent, lastEvent };
}

/** The object as it came, with what this service says of it in place of what such an answer had said before. */
export function answered(range: RangeObject, said: RangeObject): RangeObject {
  const { url: _u, state: _s, heldUntil: _h, error: _e, ...own } = range;
  return { ...own, ...said };
}

function textErrors(field: string, value: unknown, charsMax: number): FieldError[] {
  const path = `/${field}`;
  if (typeof value !== 'string') return [{ path, message: 'is not a text' }];
  return value.length > charsMax ? [{ path, message: `has more than ${charsMax} characters` }] : [];
}

/** Beyond the safe integers a number is not the one that was written. */
function isEventNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isObject(value: unknown): value is RangeObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
