// A set of chunk indices, kept as spans: for lists in which the same chunks come again and again.
import { firstThat } from './bisect.ts';
import type { ChunkSpan } from './chunk.ts';

export class SpanSet {
  /** Disjoint and in order; neighbours are one. */
  readonly #spans: ChunkSpan[] = [];

  /** Adds a span; what comes back is the parts of it, in order, that were not there before. */
  add(span: ChunkSpan): ChunkSpan[] {
    const from = firstThat(this.#spans, ({ end }) => end >= span.first);
    const added: ChunkSpan[] = [];
    let [first, end] = [span.first, span.end];
    let cursor = span.first;
    let to = from;
    for (; to < this.#spans.length; to++) {
      const known = this.#spans[to] as ChunkSpan;
      if (known.first > span.end) break;
      if (cursor < known.first) added.push({ first: cursor, end: Math.min(known.first, span.end) });
      cursor = Math.max(cursor, known.end);
      first = Math.min(first, known.first);
      end = Math.max(end, known.end);
    }
    if (cursor < span.end) added.push({ first: cursor, end: span.end });
    this.#spans.splice(from, to - from, { first, end });
    return added;
  }
}
