// Bodies whose chunks are all in memory, and which are small: collected, and handed over in one go. Where the pieces are
// views of a single stored chunk they are remembered with it: then a hit takes nothing apart and waits for nothing.
import type { RangeEncoder } from '../formats/representation.ts';
import { type BodyAtHand, bodyAtHand } from './pieces.ts';
import type { ByteRange } from './preconditions.ts';
import type { NamedChunk, Prepared } from './selection.ts';

/** What remembered pieces may take beyond the chunk itself: schema and end marker, not a copy of the events. */
const ownBytesMax = 16 * 1024;

export class AtHand {
  /** By the stored chunk, the last representation that was made of it: forgotten with the chunk. */
  readonly #remembered = new WeakMap<Buffer, { tag: string; body: BodyAtHand }>();

  find({ tag }: Prepared, stored: readonly Buffer[]): BodyAtHand | undefined {
    const first = stored.length === 1 ? stored[0] : undefined;
    const remembered = first && this.#remembered.get(first);
    return remembered?.tag === tag ? remembered.body : undefined;
  }

  async collect(
    { tag }: Prepared,
    chunks: readonly NamedChunk[],
    stored: readonly Buffer[],
    encoder: RangeEncoder,
  ): Promise<BodyAtHand> {
    const body = await bodyAtHand(encoder, chunks, stored);
    const [first] = stored;
    if (stored.length !== 1 || first === undefined || ownBytes(body.pieces, first) > ownBytesMax) return body;
    const fewest = { pieces: asOnePiece(body.pieces, first) ?? body.pieces, ends: body.ends };
    this.#remembered.set(first, { tag, body: fewest });
    return fewest;
  }
}

function ownBytes(pieces: readonly Buffer[], chunk: Buffer): number {
  return pieces.reduce((sum, piece) => sum + (piece.buffer === chunk.buffer ? 0 : piece.length), 0);
}

/** A whole chunk's stream is what it is stored as: then one view of it says it all, and is sent with the least ado. */
function asOnePiece(pieces: readonly Buffer[], chunk: Buffer): Buffer[] | undefined {
  let at = 0;
  for (const piece of pieces) {
    if (!piece.equals(chunk.subarray(at, at + piece.length))) return undefined;
    at += piece.length;
  }
  return [chunk.subarray(0, at)];
}

/** Those bytes of a body. */
export function sliceOf(pieces: readonly Buffer[], range: ByteRange): Buffer[] {
  const slice: Buffer[] = [];
  let at = 0;
  for (const piece of pieces) {
    const from = Math.max(0, range.first - at);
    const to = Math.min(piece.length, range.last + 1 - at);
    if (from < to) slice.push(piece.subarray(from, to));
    at += piece.length;
  }
  return slice;
}
