// Where a download grows before it has its name: `.<name>.<tag>.part` beside the final file. The tag fixes the bytes, so a part
// left behind by anybody is a beginning of the same bytes, and writing over them writes what is there already.
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { PieceReader } from './pieces.ts';

const readBytes = 1024 * 1024;
const tagDigits = 16;

/** What of a part is whole. */
export interface Whole {
  readonly bytes: number;
  readonly events: number;
  /** Whether the format's own end is in it. */
  readonly ended: boolean;
}

export class PartFile {
  readonly #file: string;
  #handle: FileHandle | undefined;
  #path = '';
  #bytes = 0;

  /** @param file the final name. */
  constructor(file: string) {
    this.#file = file;
  }

  /** Whether somebody began to download something under this name. */
  async anyLeft(): Promise<boolean> {
    return (await this.#parts()).length > 0;
  }

  /** Opens the part of these bytes, made new when there is none; parts of other bytes under this name are removed. */
  async begin(tag: string): Promise<void> {
    await this.close();
    const path = join(dirname(this.#file), `.${basename(this.#file)}.${tag.slice(0, tagDigits)}.part`);
    for (const other of await this.#parts()) if (other !== path) await rm(other, { force: true });
    this.#handle = await openOrCreate(path);
    this.#path = path;
    this.#bytes = 0;
  }

  /** Reads the part to its last whole piece; what is written next goes behind that. Every whole piece is shown to `see`. */
  async resume(reader: PieceReader, see: (bytes: Buffer) => void): Promise<Whole> {
    const handle = this.#opened();
    const buffer = Buffer.allocUnsafe(readBytes);
    let events = 0;
    this.#bytes = 0;
    try {
      for (let at = 0; ; ) {
        const { bytesRead } = await handle.read(buffer, 0, readBytes, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        for (const piece of reader.push(Uint8Array.from(buffer.subarray(0, bytesRead)))) {
          see(piece.bytes);
          events += piece.events;
          this.#bytes += piece.bytes.length;
        }
      }
    } catch (error) {
      // A part that a crash left in disorder is good up to where the disorder begins.
      if (!(error instanceof Error) || error.name !== 'WrongAnswerError') throw error;
      return { bytes: this.#bytes, events, ended: false };
    }
    return { bytes: this.#bytes, events, ended: reader.ended };
  }

  async write(bytes: Buffer): Promise<void> {
    const handle = this.#opened();
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, this.#bytes);
      done += bytesWritten;
      this.#bytes += bytesWritten;
    }
  }

  /** Gives the file its name, once its bytes are on the disk. */
  async finish(): Promise<void> {
    const handle = this.#opened();
    await handle.truncate(this.#bytes);
    await handle.sync();
    await this.close();
    await rename(this.#path, this.#file);
    const folder = await open(dirname(this.#file), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async remove(): Promise<void> {
    await this.close();
    if (this.#path !== '') await rm(this.#path, { force: true });
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  #opened(): FileHandle {
    if (this.#handle === undefined) throw new Error('The part is not open.');
    return this.#handle;
  }

  async #parts(): Promise<string[]> {
    const folder = dirname(this.#file);
    const begin = `.${basename(this.#file)}.`;
    const isPart = (name: string) =>
      name.startsWith(begin) && /^[0-9A-Za-z_-]{1,16}\.part$/.test(name.slice(begin.length));
    return (await readdir(folder)).filter(isPart).map((name) => join(folder, name));
  }
}

async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx+');
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error;
    return open(path, 'r+');
  }
}
