// How a failure of the system below becomes the one error that users of a store know.
import { EvokeError, messageOf, systemCode } from '../core/errors.ts';

/** What an operator can act upon; other codes speak for themselves. */
const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left',
  EDQUOT: 'the quota is used up',
  EROFS: 'the filesystem is read-only',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EIO: 'the device failed',
  EEXIST: 'something that is no folder is in the way',
  ENOTDIR: 'something that is no folder is in the way',
  ESTALE: 'the network filesystem lost the file',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files',
  EFBIG: 'the object is too large',
};

/**
 * The STORE_UNAVAILABLE for a failure of the system, whose code stays in the details. What is no failure of the system is
 * a mistake in the code, and stays what it is.
 */
export function unavailable(error: unknown, doing: 'read' | 'write' | 'delete' | 'list'): unknown {
  const code = systemCode(error);
  if (error instanceof EvokeError || code === undefined) return error;
  return new EvokeError(
    'STORE_UNAVAILABLE',
    {
      detail: `The store cannot ${doing}: ${reasons[code] ?? code}.`,
      systemCode: code,
      hint: 'Look at the disk that holds the store: its space, its health, and who may write there.',
    },
    { cause: error },
  );
}

/** A record of the store that does not read as one. What is wrong becomes one sentence on one line, whatever it quotes. */
export function damagedRecord(name: string, error: unknown): EvokeError {
  // The parser's own words quote what it met, and a link may lead to what is none of the store's.
  const words = error instanceof SyntaxError ? 'it is not JSON' : messageOf(error);
  const problem = words.replace(/\s+/g, ' ').replace(/\.?$/, '.');
  return new EvokeError('STORE_UNAVAILABLE', {
    detail: `The record ${name} is damaged: ${problem}`,
    hint: 'Records are written once, whole: restore the file from a copy, or remove it if nothing needs it.',
    record: name,
  });
}
