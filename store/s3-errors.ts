// What an S3 server's failures mean: which are worth another try, and what is said of the others. Of the server's own words
// only its code is repeated, so that no credential, address or account that it quotes is ever shown.
import { EvokeError, systemCode } from '../core/errors.ts';

export type Doing = 'read' | 'write' | 'delete' | 'list';

/** An answer that the client library took for good and that is not. */
export class BadAnswer extends Error {
  override readonly name = 'BadAnswer';
}

/** An attempt that took longer than it may. */
export class TookTooLong extends Error {
  override readonly name = 'TimeoutError';
}

/** Too many calls wait for their turn. */
export class NoTurn extends Error {
  override readonly name = 'NoTurn';
}

/** Codes of connections that were refused, lost or never made. */
const connectionCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

const retriedStatuses = new Set([429, 500, 502, 503, 504]);

/** Codes with other statuses: a body that came too slowly or broken, and writers of one object who met. */
const retriedCodes = new Set([
  'RequestTimeout',
  'SlowDown',
  'BadDigest',
  'XAmzContentSHA256Mismatch',
  'IncompleteBody',
  'OperationAborted',
  'ConditionalRequestConflict',
  'ConcurrentModification',
]);

export function isRetryable(error: unknown): boolean {
  if (error instanceof BadAnswer || error instanceof TookTooLong) return true;
  if (error instanceof NoTurn) return false;
  return (
    retriedStatuses.has(statusOf(error) ?? 0) ||
    retriedCodes.has(codeOf(error)) ||
    codeOf(error) === 'TimeoutError' ||
    isConnectionFailure(error) ||
    isClockCorrected(error)
  );
}

/** The object is not there; without a body (HEAD), perhaps because the bucket is not. */
export function isAbsence(error: unknown): boolean {
  return statusOf(error) === 404 && ['NoSuchKey', 'NotFound'].includes(codeOf(error));
}

export function isNoSuchUpload(error: unknown): boolean {
  return codeOf(error) === 'NoSuchUpload';
}

/** The condition of a put does not hold: the object exists. */
export function isPreconditionFailure(error: unknown): boolean {
  return statusOf(error) === 412;
}

/** The range that was asked for lies behind the object's end, or the object is empty. */
export function isBeyondEnd(error: unknown): boolean {
  return statusOf(error) === 416;
}

/** The STORE_UNAVAILABLE for a failure; one that is already said stays what it is. */
export function s3Unavailable(error: unknown, doing: Doing): EvokeError {
  if (error instanceof EvokeError) return error;
  const { reason, hint } = meaningOf(error);
  const code = isConnectionFailure(error) ? { systemCode: systemCode(error) } : {};
  return new EvokeError('STORE_UNAVAILABLE', { detail: `The store cannot ${doing}: ${reason}.`, ...code, hint });
}

interface Meaning {
  readonly reason: string;
  readonly hint: string;
}

function meaningOf(error: unknown): Meaning {
  const status = statusOf(error);
  const code = codeOf(error);
  if (error instanceof NoTurn) {
    return { reason: 'too many calls wait for it', hint: 'It answers slowly: look at the S3 server and its load.' };
  }
  if (error instanceof BadAnswer)
    return { reason: error.message, hint: 'Look at the S3 server and what lies before it.' };
  if (isConnectionFailure(error)) {
    return {
      reason: `it cannot be reached (${systemCode(error) ?? code})`,
      hint: 'Is the S3 server up, and is the endpoint in EVOKE_STORE right?',
    };
  }
  if (error instanceof TookTooLong || code === 'TimeoutError') {
    return { reason: 'it did not answer in time', hint: 'Look at the S3 server, its load and the network to it.' };
  }
  if (code === 'CredentialsProviderError') {
    return {
      reason: 'there are no credentials for it',
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for a profile of this machine.',
    };
  }
  if (code === 'NoSuchBucket') {
    return { reason: 'there is no such bucket', hint: 'Make the bucket, or correct its name in EVOKE_STORE.' };
  }
  if (status === 404) {
    return { reason: 'there is no such bucket, or no S3 server', hint: 'Correct EVOKE_STORE, or make the bucket.' };
  }
  if (code === 'QuotaExceeded' || status === 507) {
    return { reason: 'the quota is used up', hint: 'Evict datasets, or have the quota of the bucket raised.' };
  }
  if (code === 'RequestTimeTooSkewed') {
    return { reason: 'its clock and ours disagree', hint: 'Set the clock of this machine.' };
  }
  if (status === 301 || status === 307 || code === 'AuthorizationHeaderMalformed') {
    return { reason: `the bucket is elsewhere (${code})`, hint: 'Name its region in EVOKE_STORE: s3://…?region=NAME.' };
  }
  if (status === 401 || status === 403) {
    return {
      reason: `access was denied (${code})`,
      hint: 'Look at the keys in use (AWS_ACCESS_KEY_ID or profile) and at what they may do in the bucket.',
    };
  }
  if (status === 501) {
    return {
      reason: `it does not know what is asked of it (${code})`,
      hint: 'It has to know conditional puts (If-None-Match).',
    };
  }
  return {
    reason: status === undefined ? `the call failed (${code})` : `it answered ${status} ${code}`,
    hint: 'Look at the log of the S3 server.',
  };
}

/** Where an error of the library came with an answer: its status. */
function statusOf(error: unknown): number | undefined {
  return metadataOf(error)?.httpStatusCode;
}

/** The code that the server or the library gave, when it is one and not a text. */
function codeOf(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  return /^[A-Za-z][A-Za-z0-9]{0,63}$/.test(name) ? name : 'Unknown';
}

function isConnectionFailure(error: unknown): boolean {
  const code = systemCode(error) ?? '';
  // HPE_: an answer that is not HTTP.
  return statusOf(error) === undefined && (connectionCodes.has(code) || code.startsWith('HPE_'));
}

/** The library has just learnt by how much the clocks differ. */
function isClockCorrected(error: unknown): boolean {
  return metadataOf(error)?.clockSkewCorrected === true;
}

function metadataOf(error: unknown): { httpStatusCode?: number; clockSkewCorrected?: boolean } | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  return error.$metadata as { httpStatusCode?: number; clockSkewCorrected?: boolean };
}
