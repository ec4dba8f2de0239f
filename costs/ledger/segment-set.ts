// Sets of origins, written small: a merged segment carries the set of those whose entries it has, for good.
import { z } from 'zod';
import type { Origin } from './names.ts';

/** Numbers [first, last] of a process. */
type Run = readonly [first: number, last: number];

const setText = z.array(z.tuple([z.string(), z.array(z.tuple([z.int().min(0), z.int().min(0)]))]));

/** Origins within one hour. */
export class SegmentSet {
  /** In order, disjoint, not touching. */
  readonly #runs = new Map<string, readonly Run[]>();

  add({ process, n }: Origin): void {
    this.#addRun(process, [n, n]);
  }

  addAll(other: SegmentSet): void {
    for (const [process, run] of other.#all()) this.#addRun(process, run);
  }

  has({ process, n }: Origin): boolean {
    return this.#runs.get(process)?.some(([first, last]) => first <= n && n <= last) ?? false;
  }

  /** Whether all of the other's are here. */
  includes(other: SegmentSet): boolean {
    return other.#all().every(([process, [first, last]]) => {
      return this.#runs.get(process)?.some(([from, to]) => from <= first && last <= to) ?? false;
    });
  }

  /** Those that are here and not there. */
  minus(other: SegmentSet): SegmentSet {
    const rest = new SegmentSet();
    for (const [process, [first, last]] of this.#all()) {
      let from = first;
      for (const [start, end] of other.#runs.get(process) ?? []) {
        if (end < from || start > last) continue;
        if (start > from) rest.#addRun(process, [from, start - 1]);
        from = end + 1;
      }
      if (from <= last) rest.#addRun(process, [from, last]);
    }
    return rest;
  }

  get size(): number {
    return this.#all().reduce((sum, [, [first, last]]) => sum + last - first + 1, 0);
  }

  /** `[["<process>", [[first, last], …]], …]`; equal sets have equal texts. */
  toText(): string {
    return JSON.stringify([...this.#runs].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** @throws Error when the text is no set */
  static ofText(text: string): SegmentSet {
    const set = new SegmentSet();
    for (const [process, runs] of setText.parse(JSON.parse(text))) {
      for (const [first, last] of runs) set.#addRun(process, [Math.min(first, last), Math.max(first, last)]);
    }
    return set;
  }

  #all(): [string, Run][] {
    return [...this.#runs].flatMap(([process, runs]) => runs.map((run): [string, Run] => [process, run]));
  }

  #addRun(process: string, added: Run): void {
    let [first, last] = added;
    const apart = (this.#runs.get(process) ?? []).filter(([from, to]) => {
      const touches = from <= last + 1 && first <= to + 1;
      if (touches) [first, last] = [Math.min(first, from), Math.max(last, to)];
      return !touches;
    });
    this.#runs.set(
      process,
      [...apart, [first, last] as const].sort(([a], [b]) => a - b),
    );
  }
}
