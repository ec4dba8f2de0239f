// What is remembered of representations sent before: length and digest by entity tag. The tag fixes the bytes, so this
// never goes stale; it is bounded, and forgetting costs a client its Content-Length and nothing else.
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';

export interface KnownRepresentation {
  readonly length: number;
  /** Base64, as Repr-Digest writes it. */
  readonly sha256: string;
}

/** Remembers what has a strong tag: below that, the same tag may stand for other bytes. */
export class Representations {
  readonly #known: LRUCache<string, KnownRepresentation>;

  constructor(entriesMax: number) {
    this.#known = new LRUCache({ max: entriesMax });
  }

  find(tag: string): KnownRepresentation | undefined {
    return this.#known.get(tag);
  }

  remember(tag: string, known: KnownRepresentation): void {
    this.#known.set(tag, known);
  }
}

/** Passes the pieces of a whole body on, and tells what it was once all of them were taken. */
export async function* measured(
  pieces: AsyncIterable<Buffer>,
  tell: (known: KnownRepresentation) => void,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const piece of pieces) {
    hash.update(piece);
    length += piece.length;
    yield piece;
  }
  tell({ length, sha256: hash.digest('base64') });
}

/** RFC 9530. */
export function reprDigest(known: KnownRepresentation): string {
  return `sha-256=:${known.sha256}:`;
}
