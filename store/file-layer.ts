// The few things FsStore asks of a filesystem, so that a test can watch their order and make any of them fail.
import { constants, link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface FileInfo {
  readonly bytes: number;
  readonly modifiedAtMs: number;
  /** The same for two names of one file. */
  readonly fileId: number;
  readonly isFile: boolean;
}

export interface FolderEntry {
  readonly name: string;
  readonly kind: 'file' | 'folder';
}

/** A file being written. */
export interface NewFile {
  /** Appends all of the bytes. */
  write(bytes: Uint8Array): Promise<void>;
  info(): Promise<FileInfo>;
  /** Content and length are on the device when it returns. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Errors are the system's own, with its `code`. Paths are absolute. */
export interface FileLayer {
  /** Also makes the folders above; returns the topmost one it made, if any. */
  makeFolder(path: string): Promise<string | undefined>;
  /** Fails with EEXIST when there is something of that name. */
  create(path: string): Promise<NewFile>;
  /** The whole file. */
  read(path: string): Promise<Buffer>;
  /** Bytes [start, end) of the file, or so many from its end; fewer where it is shorter. */
  readRange(
    path: string,
    range: { readonly start: number; readonly end: number } | { readonly last: number },
  ): Promise<Buffer>;
  /** Follows links. */
  info(path: string): Promise<FileInfo>;
  /** Files and folders (what a symbolic link leads to counts), in no order. */
  list(path: string): Promise<FolderEntry[]>;
  /** Replaces what has the name `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name; fails with EEXIST when that is taken. */
  link(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** The folder's names are on the device when it returns. */
  syncFolder(path: string): Promise<void>;
}

/** No object is that large: a chunk holds 8 MiB raw. Keeps a file grown by accident from filling the memory. */
const readBytesMax = 1024 * 1024 * 1024;

/** The machine's filesystem. */
export const nodeFiles: FileLayer = {
  makeFolder: (path) => mkdir(path, { recursive: true }),
  create,
  read,
  readRange: (path, range) => readSpan(path, (size) => spanWithin(range, size)),
  info: async (path) => infoOf(await stat(path)),
  list,
  rename,
  link,
  remove: unlink,
  syncFolder,
};

async function create(path: string): Promise<NewFile> {
  const file = await open(path, 'wx', 0o644);
  return {
    async write(bytes) {
      for (let done = 0; done < bytes.length; ) {
        // One call may write less than all: what is missing, or the reason, comes with the next.
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
        done += bytesWritten;
      }
    },
    info: async () => infoOf(await file.stat()),
    sync: () => file.sync(),
    close: () => file.close(),
  };
}

function read(path: string): Promise<Buffer> {
  return readSpan(path, (size) => {
    if (size > readBytesMax) throw systemError('EFBIG', 'larger than any object');
    return { start: 0, end: size };
  });
}

function spanWithin(range: Parameters<FileLayer['readRange']>[1], size: number): { start: number; end: number } {
  if ('last' in range) return { start: Math.max(0, size - range.last), end: size };
  const start = Math.min(range.start, size);
  return { start, end: Math.max(start, Math.min(range.end, size)) };
}

async function readSpan(path: string, spanOf: (size: number) => { start: number; end: number }): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY);
  try {
    const info = await file.stat();
    if (!info.isFile()) throw systemError('EISDIR', 'not a file');
    const { start, end } = spanOf(info.size);
    // Not from Node's shared pool: these bytes may be remembered, and must not keep their neighbours alive.
    const bytes = Buffer.allocUnsafeSlow(end - start);
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await file.read(bytes, done, bytes.length - done, start + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  } finally {
    await file.close();
  }
}

async function list(path: string): Promise<FolderEntry[]> {
  const entries: FolderEntry[] = [];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const target = entry.isSymbolicLink() ? await stat(join(path, entry.name)).catch(() => undefined) : entry;
    if (target?.isFile()) entries.push({ name: entry.name, kind: 'file' });
    else if (target?.isDirectory()) entries.push({ name: entry.name, kind: 'folder' });
  }
  return entries;
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function infoOf(stats: { size: number; mtimeMs: number; ino: number; isFile(): boolean }): FileInfo {
  return { bytes: stats.size, modifiedAtMs: stats.mtimeMs, fileId: stats.ino, isFile: stats.isFile() };
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
