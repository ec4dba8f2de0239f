// An Arrow IPC stream as it arrives from the network, cut at its messages. When a download goes on in the middle, the second
// answer's schema is left out: what has arrived then equals, byte for byte, a download without interruption.
import { metadataBytes, NotArrow, prefixBytes, readHead } from '../formats/ipc.ts';
import { WrongAnswerError } from './errors.ts';
import type { Piece, PieceReader } from './pieces.ts';

const pieceBytesMax = 256 * 1024 * 1024;

export class ArrowPieces implements PieceReader {
  #parts: Buffer[] = [];
  #bytes = 0;
  /** How many bytes the next step needs: a prefix, then the metadata, then the body. */
  #wanted = prefixBytes;
  #events = 0;
  #step: 'prefix' | 'metadata' | 'body' | 'end' = 'prefix';
  #schemaSeen = false;
  #inSchema = false;
  readonly #goesOn: boolean;
  readonly #onSchema: (framed: Buffer) => void;

  /**
   * @param goesOn the schema is there already, from an earlier answer: this one's is left out.
   * @param onSchema is shown it all the same, before any record batch.
   */
  constructor(goesOn: boolean, onSchema: (framed: Buffer) => void = () => undefined) {
    this.#goesOn = goesOn;
    this.#onSchema = onSchema;
  }

  get ended(): boolean {
    return this.#step === 'end';
  }

  push(bytes: Uint8Array): Piece[] {
    this.#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.#bytes += bytes.length;
    const pieces: Piece[] = [];
    try {
      while (this.#bytes >= this.#wanted && this.#step !== 'end') this.#advance(pieces);
    } catch (error) {
      if (error instanceof NotArrow)
        throw new WrongAnswerError(`The answer is not Arrow. ${error.message}`, { cause: error });
      throw error;
    }
    if (this.#step === 'end' && this.#bytes > 0) throw new WrongAnswerError('The answer goes on after its end.');
    return pieces;
  }

  #advance(pieces: Piece[]): void {
    if (this.#step === 'prefix') {
      const metadata = metadataBytes(this.#front(prefixBytes));
      if (metadata === 0) {
        if (!this.#schemaSeen) throw new WrongAnswerError('The answer ends without a schema.');
        this.#step = 'end';
        pieces.push({ bytes: this.#take(prefixBytes), events: 0 });
        return;
      }
      this.#want('metadata', prefixBytes + metadata);
    } else if (this.#step === 'metadata') {
      const head = readHead(this.#front(this.#wanted).subarray(prefixBytes, this.#wanted));
      const isSchema = head.kind === 'schema';
      if (isSchema === this.#schemaSeen) throw new WrongAnswerError('The answer has its schema at a wrong place.');
      this.#schemaSeen = true;
      this.#inSchema = isSchema;
      this.#events = head.kind === 'batch' ? head.rows : 0;
      this.#want('body', this.#wanted + head.bodyBytes);
    } else {
      const bytes = this.#take(this.#wanted);
      if (this.#inSchema) this.#onSchema(bytes);
      if (!(this.#inSchema && this.#goesOn)) pieces.push({ bytes, events: this.#events });
      this.#want('prefix', prefixBytes);
    }
  }

  #want(step: 'prefix' | 'metadata' | 'body', bytes: number): void {
    if (bytes > pieceBytesMax) throw new WrongAnswerError('The answer has a record batch that is far too large.');
    this.#step = step;
    this.#wanted = bytes;
  }

  /** At least the first `bytes` bytes, joined, not taken. */
  #front(bytes: number): Buffer {
    const first = this.#parts[0];
    if (first !== undefined && first.length >= bytes) return first;
    const joined = Buffer.concat(this.#parts);
    this.#parts = [joined];
    return joined;
  }

  #take(bytes: number): Buffer {
    const front = this.#front(bytes);
    this.#parts = front.length > bytes ? [front.subarray(bytes), ...this.#parts.slice(1)] : this.#parts.slice(1);
    this.#bytes -= bytes;
    return front.subarray(0, bytes);
  }
}
