// A reader's pace, with one piece of work ahead of it: while one is written, the next is made, and no more than that.

/** Bytes that are there already, or how to make them. */
export type Work = Buffer | (() => Buffer | Promise<Buffer>);

const pieceBytesMax = 1024 * 1024;

/** The bytes of the works in order, in pieces of at most 1 MiB. Who stops early leaves one result behind, unread. */
export async function* oneAhead(works: Iterator<Work>): AsyncGenerator<Buffer, void, undefined> {
  let next = begin(works);
  while (next !== undefined) {
    const current = next;
    next = begin(works);
    // What is there already goes out without a turn of its own.
    yield* pieces(current instanceof Promise ? await current : current);
  }
}

function begin(works: Iterator<Work>): Buffer | Promise<Buffer> | undefined {
  try {
    const { done, value } = works.next();
    if (done) return undefined;
    return typeof value === 'function' ? watched(Promise.resolve(value())) : value;
  } catch (error) {
    return watched(Promise.reject(error));
  }
}

/** A failure is met when its turn comes; if it never does, it is nobody's. */
function watched(result: Promise<Buffer>): Promise<Buffer> {
  result.catch(() => undefined);
  return result;
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  if (bytes.length <= pieceBytesMax) {
    yield bytes;
    return;
  }
  for (let at = 0; at < bytes.length; at += pieceBytesMax) yield bytes.subarray(at, at + pieceBytesMax);
}
