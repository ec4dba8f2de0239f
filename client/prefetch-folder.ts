// The folder between a prefetcher and a payload. A file in it is whole, and waits for the payload; a file that is gone, after
// somebody was told of it, has been read. Names come from what strangers call their ranges, and stay harmless.
import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemCode } from '../core/errors.ts';
import { PrefetchJournal, type WholeFile } from './prefetch-journal.ts';

const journalName = '.prefetch.journal';
/** What `fileName` makes, and nothing else. */
const rangeFile = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\.([0-9a-f]{32})\.[a-z0-9]+$/;
/** A download that was killed. */
const rangePart = /^\.[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\.[0-9a-f]{32}\.[a-z0-9]+\.[0-9A-Za-z_-]{1,16}\.part$/;

/**
 * A name for a range's file: readable as far as the id is harmless, told apart by the key from every other, also where file
 * names differ in case only.
 */
export function fileName(eventRangeID: string, key: string, extension: string): string {
  const readable = eventRangeID
    .slice(0, 80)
    .replace(/[^A-Za-z0-9_.-]/g, '_')
    .replace(/^[.-]/, '_');
  return `${readable === '' ? '_' : readable}.${key}.${extension}`;
}

/** `taken`: somebody was told of it, and it is gone since. */
export type RangeState = 'absent' | 'there' | 'taken';

export class PrefetchFolder {
  /** Absolute. */
  readonly path: string;
  readonly #files: Map<string, number>;
  readonly #journal: PrefetchJournal;
  /** Files that somebody was told of in this run. */
  readonly #told = new Set<string>();
  #bytes = 0;

  private constructor(path: string, files: Map<string, number>, journal: PrefetchJournal) {
    this.path = path;
    this.#files = files;
    this.#journal = journal;
    for (const bytes of files.values()) this.#bytes += bytes;
  }

  /** Makes the folder where there is none; clears what a killed run left half-written. One prefetcher at a time. */
  static async open(folder: string): Promise<PrefetchFolder> {
    const path = resolve(folder);
    await mkdir(path, { recursive: true });
    await removeParts(path);
    const files = await filesIn(path);
    const journal = await PrefetchJournal.open(join(path, journalName), (file) => files.has(file));
    return new PrefetchFolder(path, files, journal);
  }

  /** Of the range files in it, as last seen. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a file that somebody was told of in this run is still there: only then may room come by itself. */
  get waitsForPayload(): boolean {
    for (const file of this.#told) if (this.#files.has(file)) return true;
    return false;
  }

  /** Looks whether the file is there now. */
  async stateOf(key: string, file: string): Promise<RangeState> {
    const bytes = await sizeOf(join(this.path, file));
    this.#see(file, bytes);
    if (bytes !== undefined) return 'there';
    return this.#journal.wasTold(key) ? 'taken' : 'absent';
  }

  wholeFile(key: string): WholeFile | undefined {
    return this.#journal.wholeFile(key);
  }

  sizeOf(file: string): number {
    return this.#files.get(file) ?? 0;
  }

  /** A file has come whole under its name. Without a tag its bytes have no promise, and a later run fetches it again. */
  async keep(key: string, file: string, bytes: number, from: { path: string; tag: string | undefined }): Promise<void> {
    this.#see(file, bytes);
    if (from.tag !== undefined) await this.#journal.noteWhole(key, { file, path: from.path, tag: from.tag });
  }

  /** To be awaited before anybody is told of the file. */
  async tell(key: string, file: string): Promise<void> {
    await this.#journal.noteTold(key);
    this.#told.add(file);
  }

  /** Looks at the folder again. Gives whether anything was taken away since. */
  async look(): Promise<boolean> {
    const now = new Set(await readdir(this.path));
    const gone = [...this.#files.keys()].filter((file) => !now.has(file));
    for (const file of gone) this.#see(file, undefined);
    return gone.length > 0;
  }

  /** Removes whole files that nobody was ever told of: a list that was given up left them. */
  async removeUntold(): Promise<void> {
    for (const file of [...this.#files.keys()]) {
      const key = rangeFile.exec(file)?.[1] ?? '';
      if (this.#journal.wasTold(key)) continue;
      await rm(join(this.path, file), { force: true });
      this.#see(file, undefined);
    }
  }

  /** Calls back at changes of the folder, where the system tells of them. */
  watch(changed: () => void): { close(): void } {
    let watcher: FSWatcher | undefined;
    try {
      watcher = watch(this.path, (kind) => {
        if (kind === 'rename') changed();
      });
      // The folder is looked at now and then besides.
      watcher.on('error', () => watcher?.close());
    } catch {
      watcher = undefined;
    }
    return { close: () => watcher?.close() };
  }

  /** Nothing half-written stays. */
  async close(): Promise<void> {
    await this.#journal.close();
    // A folder that somebody removed has none.
    await removeParts(this.path).catch((error) => {
      if (systemCode(error) !== 'ENOENT') throw error;
    });
  }

  #see(file: string, bytes: number | undefined): void {
    this.#bytes += (bytes ?? 0) - (this.#files.get(file) ?? 0);
    if (bytes !== undefined) {
      this.#files.set(file, bytes);
      return;
    }
    this.#files.delete(file);
    this.#told.delete(file);
  }
}

async function filesIn(path: string): Promise<Map<string, number>> {
  const files = new Map<string, number>();
  for (const name of await readdir(path)) {
    if (!rangeFile.test(name)) continue;
    const bytes = await sizeOf(join(path, name));
    if (bytes !== undefined) files.set(name, bytes);
  }
  return files;
}

/** Undefined when there is no such file. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function removeParts(path: string): Promise<void> {
  for (const name of await readdir(path)) if (rangePart.test(name)) await rm(join(path, name), { force: true });
}
