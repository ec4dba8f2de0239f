// The body of a range, piece by piece, out of stored chunks. The first piece comes only when the first chunk is there and
// encodes: until then a failure can still be told as what it is.
import type { RangeEncoder } from '../formats/representation.ts';
import type { DeliveredChunk, Ride } from '../scheduler/ride.ts';
import type { StreamedAccesses } from './accesses.ts';
import type { NamedChunk } from './selection.ts';

/** A whole body in memory. */
export interface BodyAtHand {
  readonly pieces: readonly Buffer[];
  /** For every chunk, where its part of the body ends; what comes before the first and after the last is theirs. */
  readonly ends: readonly number[];
}

/** The body of chunks that are all in memory. */
export async function bodyAtHand(
  encoder: RangeEncoder,
  chunks: readonly NamedChunk[],
  stored: readonly Buffer[],
): Promise<BodyAtHand> {
  const pieces: Buffer[] = [];
  const ends: number[] = [];
  let length = 0;
  const add = (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
  };
  for (let i = 0; i < chunks.length; i++) {
    const { part } = chunks[i] as NamedChunk;
    for await (const piece of chunkPieces(encoder, stored[i] as Buffer, part, i === 0)) add(piece);
    if (i === chunks.length - 1) encoder.tail().forEach(add);
    ends.push(length);
  }
  return { pieces, ends };
}

/** The body that a ride delivers. Asking for pieces is what sets its pace; ending early ends the ride. */
export class RideBody implements AsyncIterable<Buffer> {
  readonly #ride: Ride;
  readonly #encoder: RangeEncoder;
  readonly #accesses: StreamedAccesses;
  /** Known from the first piece on. */
  first: DeliveredChunk | undefined;

  /** `accesses` is told whose pieces come next; of what becomes of them, by whoever sends them. */
  constructor(ride: Ride, encoder: RangeEncoder, accesses: StreamedAccesses) {
    this.#ride = ride;
    this.#encoder = encoder;
    this.#accesses = accesses;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      let askedAtMs = performance.now();
      for await (const delivered of this.#ride) {
        this.#accesses.next(delivered, performance.now() - askedAtMs);
        const isFirst = this.first === undefined;
        this.first ??= delivered;
        yield* chunkPieces(this.#encoder, delivered.stored, delivered.part, isFirst);
        askedAtMs = performance.now();
      }
      yield* this.#encoder.tail();
    } finally {
      this.#accesses.end();
    }
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
