// What the processes of a one-machine service say: all of it into a file of bounded size, troubles also to the terminal, where
// a process that complains without end is cut short.
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

const fileBytesMax = 16 * 1024 * 1024;
/** pino's number for warnings. */
const warningLevel = 40;
const shownMax = 5;
const shownWithinMs = 10_000;

/** A log file with one predecessor, `api.log` and `api.log.1`: a new one at every start and past 16 MiB. */
export class LogFile {
  readonly #file: string;
  readonly #bytesMax: number;
  #descriptor: number;
  #bytes = 0;

  constructor(file: string, bytesMax: number = fileBytesMax) {
    mkdirSync(dirname(file), { recursive: true });
    this.#file = file;
    this.#bytesMax = bytesMax;
    this.#descriptor = this.#rotate();
  }

  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    try {
      if (this.#bytes + bytes.length > this.#bytesMax) {
        const full = this.#descriptor;
        this.#descriptor = this.#rotate();
        closeSync(full);
      }
      writeSync(this.#descriptor, bytes);
      this.#bytes += bytes.length;
    } catch {
      // A full disk must not end the service that could make room.
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #rotate(): number {
    try {
      renameSync(this.#file, `${this.#file}.1`);
    } catch {
      // There was none.
    }
    this.#bytes = 0;
    return openSync(this.#file, 'w');
  }
}

/** Chooses what of a process's lines a person should see, and says it in a line. */
export class Troubles {
  readonly #show: (line: string) => void;
  readonly #now: () => number;
  #since = Number.NEGATIVE_INFINITY;
  #shown = 0;

  constructor(show: (line: string) => void, now: () => number = () => performance.now()) {
    this.#show = show;
    this.#now = now;
  }

  see(line: string): void {
    const trouble = troubleIn(line);
    if (trouble === undefined) return;
    if (this.#now() - this.#since > shownWithinMs) {
      this.#since = this.#now();
      this.#shown = 0;
    }
    this.#shown++;
    if (this.#shown <= shownMax) this.#show(trouble);
    else if (this.#shown === shownMax + 1) this.#show('and more of this: see the log');
  }
}

/** A log line's message when it is a warning or worse, or a line that is no log line; undefined for the rest. */
function troubleIn(line: string): string | undefined {
  if (line.trim() === '') return undefined;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null) return line;
    const { level, msg, err } = entry as { level?: unknown; msg?: unknown; err?: { message?: unknown } };
    if (typeof level === 'number' && level < warningLevel) return undefined;
    const cause = typeof err?.message === 'string' && err.message !== msg ? err.message : undefined;
    return [msg, cause].filter((part) => typeof part === 'string' && part !== '').join(': ') || line;
  } catch {
    return line;
  }
}

/** Calls for every line of a stream, the last unfinished one included. */
export function eachLine(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', onLine);
}
