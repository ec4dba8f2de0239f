// What is remembered of representations sent before: length and digest by entity tag. The tag fixes the bytes, so this
// never goes stale; it is bounded, and forgetting costs a client its Content-Length and nothing else.
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { HeaderList } from './answer.ts';

export interface KnownRepresentation {
  readonly length: number;
  /** Base64, as Repr-Digest writes it; of long bodies only where somebody asked for it. */
  readonly sha256?: string;
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
  hashes: boolean,
  tell: (known: KnownRepresentation) => void,
): AsyncGenerator<Buffer> {
  const hash = hashes ? createHash('sha256') : undefined;
  let length = 0;
  for await (const piece of pieces) {
    hash?.update(piece);
    length += piece.length;
    yield piece;
  }
  tell({ length, ...(hash && { sha256: hash.digest('base64') }) });
}

/** RFC 9530: the header or trailer field, where the digest is known. */
export function reprDigest(known: KnownRepresentation | undefined): HeaderList {
  return known?.sha256 === undefined ? [] : ['Repr-Digest', `sha-256=:${known.sha256}:`];
}
