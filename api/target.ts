// What a request line and a few headers may say before anybody looks at what is asked for.
import { EvokeError } from '../core/errors.ts';

/**
 * The authority that a client named and the path it asks for: those of an absolute target where it sent one, which RFC 9112
 * lets it do, and Host does not count then. @throws EvokeError MALFORMED_REQUEST, TARGET_TOO_LONG
 */
export function readTarget(target: string, host: string | undefined): { authority: string | undefined; path: string } {
  // Two of them are joined by a comma, and nobody can know which one is meant (RFC 9112, 3.2).
  if (host?.includes(',')) throw malformed('There is more than one Host header.');
  if (target.startsWith('/')) return { authority: host, path: checkPath(target) };
  const match = /^http:\/\/([^/?#]*)(\/.*)$/i.exec(target);
  if (match === null) throw malformed('The request target is not a path.');
  return { authority: match[1], path: checkPath(match[2] as string) };
}

/** Longer than any target of ours, all columns named; as RFC 9110 (4.1) asks of everybody. */
const targetCharsMax = 8000;
/** Of a fragment, which no client should send, Express would see the path before it, and read backslashes as slashes. */
const targetPattern = /^[!"$-~]*$/;

/** No path of ours needs percent-encoding, so an escape is either an accident or a trick. */
function checkPath(target: string): string {
  if (target.length > targetCharsMax) {
    throw new EvokeError('TARGET_TOO_LONG', { detail: `A request target has at most ${targetCharsMax} characters.` });
  }
  if (!targetPattern.test(target)) throw malformed('The request target has characters that no target may have.');
  const mark = target.indexOf('?');
  const escapeAt = target.indexOf('%');
  if (escapeAt >= 0 && (mark < 0 || escapeAt < mark)) {
    throw malformed('Paths of this service have no percent-encoded characters.');
  }
  return target;
}

/** `100-continue` is met by node:http as soon as the body is wanted. @throws EvokeError MALFORMED_REQUEST */
export function checkExpectation(expect: string | undefined): void {
  if (expect === undefined || expect.toLowerCase() === '100-continue') return;
  throw malformed('Nothing is known of what the Expect header asks for.');
}

function malformed(detail: string): EvokeError {
  return new EvokeError('MALFORMED_REQUEST', { detail });
}
