// How threads share out pieces of work of known lengths, and how busy that keeps them. Times are in seconds.

/** A thread at work. */
export interface Interval {
  readonly start: number;
  readonly end: number;
}

/** The pieces in order, each on the thread that is free first: what a queue does. */
export function fromQueue(lengths: readonly number[], threads: number): Interval[] {
  const free = new Array<number>(threads).fill(0);
  return lengths.map((length) => {
    const start = Math.min(...free);
    const end = start + length;
    free[free.indexOf(start)] = end;
    return { start, end };
  });
}

/** As many consecutive parts as there are threads, of equally many pieces, one part a thread. */
export function partitioned(lengths: readonly number[], threads: number): Interval[] {
  return Array.from({ length: threads }, (_, part) => {
    const [first, end] = [part, part + 1].map((edge) => Math.round((edge * lengths.length) / threads));
    return { start: 0, end: lengths.slice(first, end).reduce((sum, length) => sum + length, 0) };
  });
}

export function lastEnd(intervals: readonly Interval[]): number {
  return intervals.reduce((last, { end }) => Math.max(last, end), 0);
}

/** Busy thread time over all thread time until the last one ends; the first begins at 0. */
export function utilization(intervals: readonly Interval[], threads: number): number {
  return intervals.reduce((sum, { start, end }) => sum + end - start, 0) / (threads * lastEnd(intervals));
}

/** Threads busy on average in each of `bins` equal parts of the time from 0 to `until`. */
export function busyThreads(intervals: readonly Interval[], bins: number, until: number): number[] {
  const width = until / bins;
  return Array.from({ length: bins }, (_, bin) => {
    const [from, to] = [bin * width, (bin + 1) * width];
    const busy = intervals.reduce(
      (sum, { start, end }) => sum + Math.max(0, Math.min(end, to) - Math.max(start, from)),
      0,
    );
    return busy / width;
  });
}
