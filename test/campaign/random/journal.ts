// What a campaign remembers for people: how often what was done, how it was answered, and the last operations word for word.
import type { Usage } from './processes.ts';

const linesKept = 100;

export class Journal {
  readonly #startedMs = Date.now();
  readonly #operations = new Map<string, number>();
  readonly #faults = new Map<string, number>();
  readonly #answers = new Map<string, number>();
  readonly #most = new Map<string, Usage>();
  readonly #lines: string[] = [];
  readonly #all: string[] = [];
  readonly #milestones: string[] = [];

  operation(kind: string): void {
    count(this.#operations, kind);
  }

  fault(kind: string): void {
    count(this.#faults, kind);
  }

  answer(status: string): void {
    count(this.#answers, status);
  }

  /** The most that a process of this name was seen to take. */
  usage(usage: ReadonlyMap<string, Usage>): void {
    for (const [name, { rssBytes, handles }] of usage) {
      const { rssBytes: rssMost = 0, handles: handlesMost = 0 } = this.#most.get(name) ?? {};
      this.#most.set(name, { rssBytes: Math.max(rssBytes, rssMost), handles: Math.max(handles, handlesMost) });
    }
  }

  get most(): ReadonlyMap<string, Usage> {
    return this.#most;
  }

  /** Something that is told in the summary, too. */
  milestone(what: string): void {
    this.#milestones.push(`${this.#seconds()} ${what}`);
    this.tell(what);
  }

  tell(line: string): void {
    const seconds = this.#seconds();
    this.#all.push(`${seconds} ${line}`);
    this.#lines.push(`${seconds} ${line.length > 400 ? `${line.slice(0, 400)}…` : line}`);
    if (this.#lines.length > linesKept) this.#lines.shift();
  }

  #seconds(): string {
    return ((Date.now() - this.#startedMs) / 1000).toFixed(1).padStart(6);
  }

  get operations(): number {
    return sum(this.#operations);
  }

  get faults(): number {
    return sum(this.#faults);
  }

  /** The last lines. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Every line. */
  get all(): readonly string[] {
    return this.#all;
  }

  summary(): string {
    const memory = [...this.#most]
      .map(([name, { rssBytes, handles }]) => `${name} ${Math.round(rssBytes / 1e6)} MB, ${handles} handles`)
      .sort();
    return [
      ...this.#milestones,
      `${this.operations} operations: ${counted(this.#operations)}`,
      `${this.faults} faults: ${counted(this.#faults)}`,
      `${sum(this.#answers)} answers: ${counted(this.#answers)}`,
      `at most: ${memory.join(' · ')}`,
    ].join('\n');
  }
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, number) => total + number, 0);
}

/** `read 173, declare 28`, the most first. */
export function counted(counts: ReadonlyMap<string, number>): string {
  if (counts.size === 0) return 'nothing';
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([what, number]) => `${what} ${number}`)
    .join(', ');
}
