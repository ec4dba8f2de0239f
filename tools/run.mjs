// Runs one child as if it were this process: signals sent here reach it, its end is this process's end, and it is told
// (its IPC channel closes) when this process is killed.
import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';

const parentWatchMs = 500;
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Runs a command to its end. A Ctrl-C at a terminal reaches the child by itself, too: a child counts signals as one.
 * `channel` opens an IPC channel that closes with this process. Gives the exit code as a shell would tell it, and with
 * `collect` what the child wrote to standard error.
 */
export function run(command, args, { cwd, environment = process.env, channel = false, collect = false } = {}) {
  return new Promise((resolve, reject) => {
    const output = collect ? ['ignore', 'ignore', 'pipe'] : ['inherit', 'inherit', 'inherit'];
    const child = spawn(command, args, { cwd, env: environment, stdio: channel ? [...output, 'ipc'] : output });
    let report = '';
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      report = (report + text).slice(-20_000);
    });
    const forward = (signal) => child.kill(signal);
    for (const signal of forwarded) process.on(signal, forward);
    const orphaned = onParentGone(() => child.kill('SIGTERM'));
    const ended = () => {
      clearInterval(orphaned);
      for (const signal of forwarded) process.off(signal, forward);
    };
    child.on('error', (error) => {
      ended();
      reject(error);
    });
    child.on('close', (code, signal) => {
      ended();
      resolve({ code: code ?? 128 + constants.signals[signal], report });
    });
  });
}

/**
 * npm passes a signal on to a shell between it and us, and the shell dies of it without a word: so its end is watched for;
 * and npm's own, of which the shell learns nothing when it was a kill -9.
 */
function onParentGone(then) {
  if (process.env.npm_lifecycle_event === undefined) return undefined;
  const parent = process.ppid;
  // Some shells put our launcher in their own place: then npm itself is the parent, and whoever started npm may leave.
  const npm = isNpm(parent) ? undefined : parentOf(parent);
  const watch = setInterval(() => {
    if (process.ppid === parent && (npm === undefined || parentOf(parent) === npm)) return;
    clearInterval(watch);
    then();
  }, parentWatchMs);
  return watch;
}

/** Whether a process runs the Node that npm runs with; undefined where the system does not tell. */
function isNpm(pid) {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === realpathSync(process.env.npm_node_execpath);
  } catch {
    return undefined;
  }
}

/** Undefined where the system does not tell. */
function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name may hold spaces and parentheses: count fields behind its last one.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
