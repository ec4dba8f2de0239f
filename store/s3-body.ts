// The body of an answer, whole: what a lost connection cut short is a failure, never a shorter object.
import { BadAnswer } from './s3-errors.ts';

/** The larger objects are not chunks or records; one put there by accident must not fill the memory. */
const bodyBytesMax = 1024 * 1024 * 1024;

export interface Answer {
  readonly Body?: unknown;
  readonly ContentLength?: number | undefined;
}

/** @throws BadAnswer when it is longer or shorter than announced; the system's error when the connection is lost */
export async function wholeBody({ Body: body, ContentLength: length }: Answer): Promise<Buffer> {
  if (!isStream(body)) throw new BadAnswer('its answer has no body');
  if (length === undefined) {
    body.destroy();
    throw new BadAnswer('its answer does not say how long it is');
  }
  if (length > bodyBytesMax) {
    body.destroy();
    throw new BadAnswer(`the object is larger (${length} bytes) than any of ours`);
  }
  // Not from Node's shared pool: these bytes may be remembered, and must not keep their neighbours alive.
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  for await (const piece of body) {
    if (done + piece.length > length) throw new BadAnswer(`it sent more than the ${length} bytes it announced`);
    bytes.set(piece, done);
    done += piece.length;
  }
  if (done < length) throw new BadAnswer(`it sent ${done} of the ${length} bytes it announced`);
  return bytes;
}

function isStream(body: unknown): body is AsyncIterable<Uint8Array> & { destroy(): void } {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body && 'destroy' in body;
}
