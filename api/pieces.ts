// The body of a range, piece by piece, out of stored chunks. The first piece comes only when the first chunk is there and
// encodes: until then a failure can still be told as what it is.
import type { RangeEncoder } from '../formats/representation.ts';
import type { DeliveredChunk, Ride } from '../scheduler/ride.ts';
import type { NamedChunk } from './selection.ts';

/** Pieces of chunks that are all in memory. */
export async function* piecesAtHand(
  encoder: RangeEncoder,
  chunks: readonly NamedChunk[],
  stored: readonly Buffer[],
): AsyncGenerator<Buffer> {
  for (let i = 0; i < chunks.length; i++) {
    const { part } = chunks[i] as NamedChunk;
    yield* chunkPieces(encoder, stored[i] as Buffer, part, i === 0);
  }
  yield* encoder.tail();
}

/** The body that a ride delivers. Asking for pieces is what sets its pace; ending early ends the ride. */
export class RideBody implements AsyncIterable<Buffer> {
  readonly #ride: Ride;
  readonly #encoder: RangeEncoder;
  /** Known from the first piece on. */
  first: DeliveredChunk | undefined;

  constructor(ride: Ride, encoder: RangeEncoder) {
    this.#ride = ride;
    this.#encoder = encoder;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for await (const delivered of this.#ride) {
      const isFirst = this.first === undefined;
      this.first ??= delivered;
      yield* chunkPieces(this.#encoder, delivered.stored, delivered.part, isFirst);
    }
    yield* this.#encoder.tail();
  }
}

async function* chunkPieces(
  encoder: RangeEncoder,
  stored: Buffer,
  part: DeliveredChunk['part'],
  isFirst: boolean,
): AsyncGenerator<Buffer> {
  let headIsDue = isFirst;
  for await (const piece of encoder.chunk(stored, part)) {
    if (headIsDue) yield* encoder.head();
    headIsDue = false;
    yield piece;
  }
  if (headIsDue) yield* encoder.head();
}
