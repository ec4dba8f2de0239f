// Judges an answer to a request for events: it is whole and right, or a documented problem that there is a reason for, or a
// reset connection. Pure, so that every way of being wrong can be shown to it.
import { createHash } from 'node:crypto';
import type { Answered, Outcome } from './client.ts';
import { codeOf } from './contract.ts';

/** What the model knows of a yes-or-no that others may have been changing during the request. */
export type Certainty = 'no' | 'maybe' | 'yes';

/** What could have kept the service from answering between the beginning of a request and its end. */
export interface Troubles {
  /** The api that was asked was killed, or began to stop. */
  readonly api: boolean;
  /** Redis was away or emptied. */
  readonly redis: boolean;
  /** Any role, Redis, a chunk or the disk was meddled with. */
  readonly any: boolean;
}

export interface Standing {
  readonly declared: Certainty;
  readonly retired: Certainty;
  readonly troubles: Troubles;
}

/** What an answer has to be, were it whole. */
export interface Expectation {
  readonly etag: string;
  readonly mediaType: string;
  body(): Buffer;
  /** Whether an event asked for can never be made: then a whole answer is wrong. */
  readonly isHopeless: boolean;
  /** Answers that the request itself provokes, beside 200. */
  readonly may: {
    readonly later?: boolean;
    /** `only-if-cached`. */
    readonly notStored?: boolean;
    /** Bytes of the whole, both ends included. */
    readonly bytes?: { readonly first: number; readonly last: number };
    /** It names the right entity tag: nothing else than 304 is right. */
    readonly unchanged?: boolean;
    /** HEAD: there is no body. */
    readonly headOnly?: boolean;
  };
}

/** What is wrong with the answer; undefined where nothing is. */
export function judgeEvents(expected: Expectation, outcome: Outcome, standing: Standing): string | undefined {
  switch (outcome.kind) {
    case 'overdue':
      return `There was no end to it: ${outcome.head === undefined ? 'no answer' : `${outcome.head.status} and ${outcome.bytes} bytes`} in time.`;
    case 'unanswered':
      return standing.troubles.api
        ? undefined
        : `The connection was refused or broke (${outcome.code}) while the api lived.`;
    case 'cut':
      if (!standing.troubles.any && !expected.isHopeless) return 'The answer was cut off for no reason.';
      return outcome.status >= 400 ? undefined : prefixBreach(expected, outcome);
    case 'left':
      return outcome.status >= 400 ? undefined : prefixBreach(expected, outcome);
    case 'answered':
      return outcome.status < 400
        ? judgeSuccess(expected, outcome, standing)
        : judgeProblem(expected, outcome, standing);
  }
}

function judgeSuccess(expected: Expectation, outcome: Answered, { declared, retired }: Standing): string | undefined {
  const { status, headers, body, trailers } = outcome;
  const { may } = expected;
  if (declared === 'no') return `${status} for a dataset that was never declared.`;
  if (retired === 'yes') return `${status} for a dataset that is retired.`;
  if (status === 202) return may.later === true ? undefined : '202 for a request that waits.';
  if (headers['etag'] !== expected.etag) return `The entity tag is ${headers['etag']} and should be ${expected.etag}.`;
  if (status === 304) return may.unchanged === true ? undefined : '304 for a request without the tag.';
  if (may.unchanged === true) return `${status} for a request that has the tag already.`;
  if (headers['content-type'] !== expected.mediaType) return `The type is ${headers['content-type']}.`;
  if (may.headOnly === true) return lengthBreach(expected, headers['content-length']);
  if (expected.isHopeless) return `${status}, whole, with an event that cannot be made.`;
  const whole = expected.body();
  if (status === 206) {
    if (may.bytes === undefined) return '206 for a request without a range.';
    const { first, last } = may.bytes;
    const said = `bytes ${first}-${last}/${whole.length}`;
    if (headers['content-range'] !== said) return `The range is said to be ${headers['content-range']}, not ${said}.`;
    return difference(whole.subarray(first, last + 1), body);
  }
  if (status !== 200) return `${status} is no answer to this.`;
  const digest = (headers['repr-digest'] ?? trailers['repr-digest'])?.match(/^sha-256=:(.+):$/)?.[1];
  if (digest !== undefined && digest !== createHash('sha256').update(whole).digest('base64')) {
    return 'Repr-Digest is that of something else.';
  }
  return difference(whole, body);
}

function judgeProblem(
  expected: Expectation,
  outcome: Answered,
  { declared, retired, troubles }: Standing,
): string | undefined {
  const { status } = outcome;
  const code = expected.may.headOnly === true ? undefined : codeOf(outcome);
  switch (status) {
    case 404:
      return declared === 'yes' ? 'A dataset that was declared is not there.' : undefined;
    case 410:
      return retired === 'no' ? 'A dataset that nobody retired is retired.' : undefined;
    case 429:
      return undefined;
    case 502:
      return expected.isHopeless ? undefined : `502 for events that can be made: ${detailOf(outcome)}`;
    case 503:
      if (retired === 'yes') return '503 for a dataset that is retired.';
      if (code === 'QUEUE_UNAVAILABLE' && !troubles.redis)
        return 'QUEUE_UNAVAILABLE, and nothing was wrong with Redis.';
      return undefined;
    case 504:
      return expected.may.notStored === true ? undefined : '504 for a request that lets it be made.';
    default:
      return `${status} ${code ?? ''} for a request in order: ${detailOf(outcome)}`;
  }
}

function detailOf(outcome: Answered): string {
  return outcome.body.toString('utf8').slice(0, 500);
}

/** What came before the end must be what the whole begins with. */
function prefixBreach(expected: Expectation, outcome: Outcome & { kind: 'cut' | 'left' }): string | undefined {
  const from = outcome.status === 206 ? (expected.may.bytes?.first ?? 0) : 0;
  const whole = expected.body().subarray(from);
  return difference(whole.subarray(0, outcome.body.length), outcome.body);
}

function lengthBreach(expected: Expectation, said: string | undefined): string | undefined {
  if (said === undefined || expected.isHopeless) return undefined;
  const { length } = expected.body();
  return Number(said) === length ? undefined : `HEAD says ${said} bytes, and there are ${length}.`;
}

/** How two bodies differ; undefined when they do not. */
function difference(expected: Buffer, actual: Buffer): string | undefined {
  if (expected.equals(actual)) return undefined;
  const shorter = Math.min(expected.length, actual.length);
  let at = 0;
  while (at < shorter && expected[at] === actual[at]) at++;
  if (at < shorter) return `Byte ${at} of ${actual.length} is wrong (${expected.length} were expected).`;
  return actual.length < expected.length
    ? `The answer ended as if it were whole after ${actual.length} of ${expected.length} bytes.`
    : `${actual.length} bytes came, and there are only ${expected.length}.`;
}
