// A small disk of its own for a store, that can be filled and freed. Where nothing may be mounted it is a folder like any
// other, and is never full.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, rmdir, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const pieceBytes = 1024 * 1024;

export interface Disk {
  readonly folder: string;
  /** False where it is only a folder. */
  readonly isOwn: boolean;
  /** Takes all space but so many bytes. Returns how much it took. */
  fill(leavingBytes: number): Promise<number>;
  free(): Promise<void>;
  close(): Promise<void>;
}

/** What a disk is called: with the number of the process it is for. */
const label = 'evoke-random-';

export async function openDisk(bytes: number): Promise<Disk> {
  await closeForgotten();
  const folder = await mkdtemp(join(tmpdir(), 'evoke-disk-'));
  const isOwn = await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, `${label}${process.pid}`, folder]).then(
    () => true,
    () => false,
  );
  const ballast = join(folder, 'ballast');
  const free = () => rm(ballast, { force: true });
  return {
    folder,
    isOwn,
    free,
    fill: async (leavingBytes) => (isOwn ? fill(folder, ballast, leavingBytes) : 0),
    close: async () => {
      await free();
      // Whoever still has a file open must not keep it mounted.
      if (isOwn) await run('umount', ['--lazy', folder]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Disks of campaigns that were killed: memory until somebody lets go of it. */
async function closeForgotten(): Promise<void> {
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '');
  for (const [source = '', folder = ''] of mounts.split('\n').map((line) => line.split(' '))) {
    if (!source.startsWith(label) || existsSync(`/proc/${source.slice(label.length)}`)) continue;
    await run('umount', ['--lazy', folder]).then(() => rmdir(folder));
  }
}

async function fill(folder: string, ballast: string, leavingBytes: number): Promise<number> {
  const file = await open(ballast, 'a');
  let taken = 0;
  try {
    const { bavail, bsize } = await statfs(folder);
    for (let left = bavail * bsize - leavingBytes; left > 0; left -= pieceBytes) {
      const piece = Buffer.alloc(Math.min(left, pieceBytes));
      const { bytesWritten } = await file.write(piece);
      taken += bytesWritten;
    }
  } catch (error) {
    // The service was faster with what was left.
    if ((error as { code?: string }).code !== 'ENOSPC') throw error;
  } finally {
    await file.close();
  }
  return taken;
}
