// One owner at a time for a folder, told by a file that names the owner's process and when that process started:
// a recycled pid is not taken for the owner, and an owner that was killed does not lock anybody out.
// Plain JavaScript for any Node >= 20: the launchers need it before anything is installed.
import { execFileSync } from 'node:child_process';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

// How long a taker-over waits to see that nobody else took over at the same moment.
const settleMs = 50;

/** What tells this process from every other that had or will have its pid; undefined when there is no such process. */
export function processIdentity(pid) {
  if (process.platform !== 'linux') {
    try {
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .trim();
    } catch {
      return undefined;
    }
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name may hold spaces and parentheses: count fields behind its last one. 1st there: state, 20th: start time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** Whether the process that was noted with this identity still runs. */
export function stillRuns(noted) {
  return Number.isInteger(noted?.pid) && noted.pid > 0 && processIdentity(noted.pid) === noted.started;
}

/** Whoever is noted in the lock file, running or not; undefined when there is none or it does not read. */
export function readOwner(file) {
  try {
    const owner = JSON.parse(readFileSync(file, 'utf8'));
    return typeof owner === 'object' && owner !== null ? owner : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Tries to become the owner. Gives `{ lock }`, with `lock.left`: what a killed owner noted, if one was taken over;
 * or `{ owner }`: what the running owner noted.
 */
export async function takeLock(file, notes = {}) {
  const mine = { pid: process.pid, started: processIdentity(process.pid), ...notes };
  const fresh = `${file}.${process.pid}`;
  let left;
  for (;;) {
    writeFileSync(fresh, JSON.stringify(mine));
    try {
      // A link appears whole or not at all, and never over an existing file.
      linkSync(fresh, file);
      rmSync(fresh);
      // Somebody else who saw the killed owner's file may just be moving ours aside: look again before believing it.
      if (left !== undefined) await pause(settleMs);
      const owner = readOwner(file);
      if (owner?.pid === mine.pid && owner.started === mine.started) return { lock: holding(file, mine, left) };
      continue;
    } catch (error) {
      rmSync(fresh, { force: true });
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = readOwner(file);
    if (stillRuns(owner)) return { owner };
    left = owner ?? {};
    moveAside(file, owner);
  }
}

/** Removes the file of an owner that no longer runs; whatever else has taken its place meanwhile is put back. */
function moveAside(file, owner) {
  const aside = `${file}.${process.pid}.old`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  const moved = readOwner(aside);
  if (moved !== undefined && (moved.pid !== owner?.pid || moved.started !== owner?.started)) {
    try {
      linkSync(aside, file);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
  rmSync(aside, { force: true });
}

function holding(file, mine, left) {
  return {
    left,
    /** Notes more for whoever finds the file. */
    note(notes) {
      Object.assign(mine, notes);
      const fresh = `${file}.${process.pid}`;
      writeFileSync(fresh, JSON.stringify(mine));
      renameSync(fresh, file);
    },
    release() {
      const owner = readOwner(file);
      if (owner?.pid === mine.pid && owner.started === mine.started) rmSync(file, { force: true });
    },
  };
}
