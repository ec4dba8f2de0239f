// Processes as the system shows them: what they take, and which are left.
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** What a process takes of the machine. */
export interface Usage {
  readonly rssBytes: number;
  readonly handles: number;
}

export async function usageOf(pid: number): Promise<Usage> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const rssKb = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
  return { rssBytes: rssKb * 1024, handles: (await readdir(`/proc/${pid}/fd`)).length };
}

/** Processes that have this folder in their environment, or open. */
export async function processesOn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    const directory = await readlink(join('/proc', pid, 'cwd')).catch(() => '');
    if (!environment.includes(folder) && !directory.startsWith(folder)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    found.push(`${pid}: ${command.replaceAll('\0', ' ').trim()}`);
  }
  return found;
}
