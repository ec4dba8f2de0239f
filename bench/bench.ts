// What the benchmarks share: a row of the results, medians, and the machine they ran on.
import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';

/** One line of the results. A comparison is made within one run and stated as a ratio. */
export interface Row {
  readonly what: string;
  readonly value: string;
  /** What was aimed at, and whether this run reached it; absent for a plain reading. */
  readonly aim?: { readonly text: string; readonly reached: boolean };
}

export interface Benchmark {
  readonly name: string;
  /** How it was measured, one or two sentences. */
  readonly how: string;
  run(): Promise<Row[]>;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  if (value === undefined) throw new Error('no values');
  return value;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** `0.61 (0.58–0.66)`: the median, and the extremes, which tell how noisy the machine was. */
export function spread(values: readonly number[], digits = 2): string {
  const text = (value: number) => value.toFixed(digits);
  return `${text(median(values))} (${text(Math.min(...values))}–${text(Math.max(...values))})`;
}

export function machine(): string {
  const model = cpus()[0]?.model ?? 'unknown processor';
  const memory = Math.round(totalmem() / 1024 ** 3);
  return `${cpus().length} × ${model}, ${memory} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
}

export function commit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  // What the benchmarks write themselves does not make the tree another one.
  const changed = git('status', '--porcelain', '--', '.', ':!bench/results.md', ':!bench/utilization.svg') !== '';
  return git('rev-parse', '--short=12', 'HEAD') + (changed ? ' with uncommitted changes' : '');
}
