// A body of events as it arrives from the network, cut into whole pieces, so that a download can stop and go on between any
// two of them: runs of whole lines, whole record batches. Nothing incomplete ever leaves here.
import { WrongAnswerError } from './errors.ts';

/** Bytes that belong together, end to end, and how many whole events they complete. */
export interface Piece {
  readonly bytes: Buffer;
  readonly events: number;
}

export interface PieceReader {
  /** Takes the next bytes of the body; gives the pieces that they complete. @throws WrongAnswerError */
  push(bytes: Uint8Array): Piece[];
  /** Whether the format's own end has been seen: nothing may follow. */
  readonly ended: boolean;
}

/** Longer than any line or batch the service writes, by far: what claims to be longer is not from it. */
const pieceBytesMax = 256 * 1024 * 1024;
const newline = 0x0a;

/** NDJSON: one event per line. */
export class LinePieces implements PieceReader {
  readonly ended = false;
  #rest: Buffer[] = [];
  #restBytes = 0;

  push(bytes: Uint8Array): Piece[] {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = buffer.lastIndexOf(newline) + 1;
    const whole =
      end === 0
        ? []
        : [{ bytes: Buffer.concat([...this.#rest, buffer.subarray(0, end)]), events: lines(buffer.subarray(0, end)) }];
    if (end > 0) {
      this.#rest = [];
      this.#restBytes = 0;
    }
    if (end < buffer.length) {
      this.#rest.push(buffer.subarray(end));
      this.#restBytes += buffer.length - end;
      if (this.#restBytes > pieceBytesMax) throw new WrongAnswerError('The answer has a line that is far too long.');
    }
    return whole;
  }
}

function lines(buffer: Buffer): number {
  let count = 0;
  for (let at = buffer.indexOf(newline); at >= 0; at = buffer.indexOf(newline, at + 1)) count++;
  return count;
}
