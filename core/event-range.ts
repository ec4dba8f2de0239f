// Event ranges. Clients speak 1-based inclusive event numbers (`1-1000`), code computes with 0-based
// half-open event indices ([0, 1000)). This file is the one place that converts between the two.
import { EvokeError } from './errors.ts';

/** Event indices [first, end), 0-based and half-open; never empty. */
export interface EventRange {
  readonly first: number;
  readonly end: number;
}

/** The largest number of events a dataset may have: the largest safe integer. */
export const eventsMax = Number.MAX_SAFE_INTEGER;

const pattern = /^([1-9]\d{0,15})-([1-9]\d{0,15})$/;

/**
 * Reads `startEvent-lastEvent`. Sixteen digits reach a little beyond the safe integers; rounding there keeps
 * the order, so such a number still lies beyond every dataset.
 * @throws EvokeError MALFORMED_RANGE
 */
export function parseEventRange(text: string): EventRange {
  const match = pattern.exec(text);
  if (match === null) {
    throw new EvokeError('MALFORMED_RANGE', {
      detail: `"${text.slice(0, 80)}" is not an event range.`,
      hint: 'Write startEvent-lastEvent, both 1-based and inclusive: 1-1000.',
    });
  }
  return rangeOfEventNumbers(Number(match[1]), Number(match[2]));
}

/** @throws EvokeError MALFORMED_RANGE when the last event comes before the first. */
export function rangeOfEventNumbers(startEvent: number, lastEvent: number): EventRange {
  if (lastEvent < startEvent) {
    throw new EvokeError('MALFORMED_RANGE', {
      detail: `The last event, ${lastEvent}, comes before the first, ${startEvent}.`,
    });
  }
  return { first: startEvent - 1, end: lastEvent };
}

/** `1-1000` for the indices [0, 1000). */
export function formatEventRange(range: EventRange): string {
  return `${range.first + 1}-${range.end}`;
}

/** The event number, 1-based, of an event index. */
export function eventNumber(index: number): number {
  return index + 1;
}

export function eventsIn(range: EventRange): number {
  return range.end - range.first;
}

/** The events both ranges hold, or undefined where they have none in common. */
export function intersection(a: EventRange, b: EventRange): EventRange | undefined {
  const first = Math.max(a.first, b.first);
  const end = Math.min(a.end, b.end);
  return first < end ? { first, end } : undefined;
}

/** What the ranges have in common with another one, in their order. */
export function within(ranges: readonly EventRange[], other: EventRange): EventRange[] {
  return ranges.flatMap((range) => intersection(range, other) ?? []);
}

/** What is left of the ranges when the events of another one are taken away, in their order. */
export function without(ranges: readonly EventRange[], other: EventRange): EventRange[] {
  return ranges.flatMap((range) => {
    const before = intersection(range, { first: range.first, end: other.first });
    const after = intersection(range, { first: other.end, end: range.end });
    return [before, after].filter((left) => left !== undefined);
  });
}
