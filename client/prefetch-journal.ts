// What a prefetcher remembers of its folder, so that one that is killed at any moment can be started again: which files are
// whole and of what bytes, and which ranges somebody has been told of. Lines are only ever added; a line cut off by a crash is
// none. It begins anew, with what still matters, whenever it is opened.
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { systemCode } from '../core/errors.ts';

/** A file that is whole, and what fixes its bytes. */
export interface WholeFile {
  /** Its name in the folder. */
  readonly file: string;
  /** Where it came from, without the address of the service. */
  readonly path: string;
  /** The strong tag. */
  readonly tag: string;
}

/** Beyond this a folder is to be replaced by another: what has been told is remembered for as long as it lives. */
export const rangesMax = 200_000;
/** Far more than so many ranges write. */
const bytesMax = 512 * 1024 * 1024;

const keyPattern = /^[0-9a-f]{32}$/;

export class PrefetchJournal {
  readonly #handle: FileHandle;
  readonly #whole: Map<string, WholeFile>;
  readonly #told: Set<string>;

  private constructor(handle: FileHandle, whole: Map<string, WholeFile>, told: Set<string>) {
    this.#handle = handle;
    this.#whole = whole;
    this.#told = told;
  }

  /** @param isThere whether a file of this name is in the folder: others are forgotten. */
  static async open(path: string, isThere: (file: string) => boolean): Promise<PrefetchJournal> {
    const whole = new Map<string, WholeFile>();
    const told = new Set<string>();
    for await (const line of linesOf(path)) readLine(line, whole, told);
    for (const [key, { file }] of whole) if (!isThere(file)) whole.delete(key);
    const fresh = await open(`${path}.new`, 'w');
    try {
      const kept = [...[...told].map(toldLine), ...[...whole].map(([key, file]) => wholeLine(key, file))];
      await fresh.writeFile(kept.join(''));
      await fresh.sync();
    } finally {
      await fresh.close();
    }
    await rename(`${path}.new`, path);
    await syncFolder(dirname(path));
    return new PrefetchJournal(await open(path, 'a'), whole, told);
  }

  /** Of this range, when its file was there at the start or has come since. */
  wholeFile(key: string): WholeFile | undefined {
    return this.#whole.get(key);
  }

  /** Whether somebody was told, or about to be told, of the range's file, in this run or one before. */
  wasTold(key: string): boolean {
    return this.#told.has(key);
  }

  async noteWhole(key: string, file: WholeFile): Promise<void> {
    this.#whole.set(key, file);
    await this.#handle.appendFile(wholeLine(key, file));
  }

  /** On the disk when it resolves: whoever is told afterwards may take the file away, and a crash forgets neither. */
  async noteTold(key: string): Promise<void> {
    if (this.#told.has(key)) return;
    if (this.#told.size >= rangesMax) {
      throw new Error(`The folder has served ${rangesMax} event ranges, and remembers no more: choose another.`);
    }
    await this.#handle.appendFile(toldLine(key));
    await this.#handle.datasync();
    this.#told.add(key);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function wholeLine(key: string, file: WholeFile): string {
  return `${JSON.stringify({ whole: key, ...file })}\n`;
}

function toldLine(key: string): string {
  return `${JSON.stringify({ told: key })}\n`;
}

/** Whatever does not read, as a line that was cut off, says nothing. */
function readLine(line: string, whole: Map<string, WholeFile>, told: Set<string>): void {
  let entry: Readonly<Record<string, unknown>>;
  try {
    entry = Object(JSON.parse(line));
  } catch {
    return;
  }
  const { whole: key, told: toldKey, file, path, tag } = entry;
  if (isKey(toldKey)) told.add(toldKey);
  if (isKey(key) && typeof file === 'string' && typeof path === 'string' && typeof tag === 'string') {
    whole.set(key, { file, path, tag });
  }
}

function isKey(value: unknown): value is string {
  return typeof value === 'string' && keyPattern.test(value);
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const size = await stat(path).then(
    (found) => found.size,
    (error) => {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    },
  );
  if (size === undefined) return;
  if (size > bytesMax) throw new Error(`${path} is far too large to be a journal of event ranges.`);
  yield* createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
