// evoke start: the whole service on one machine, until it is told to end. One at a time on a data folder.
import { mkdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Config, type Environment, readConfig } from '../config/settings.ts';
import { pause } from '../core/clock.ts';
import { EvokeError, messageOf, systemCode } from '../core/errors.ts';
import { type NotedProcess, stillRuns, takeLock } from '../tools/process-lock.mjs';
import { declareDemos } from './demo.ts';
import { killGroup } from './kept-process.ts';
import { printLine } from './output.ts';
import { Supervisor } from './supervisor.ts';

/** What is noted in the lock file for whoever comes later. */
export interface ServiceNotes {
  readonly address: string;
  readonly processes: readonly NotedProcess[];
  readonly redisFolder: string | undefined;
}

/** How long the processes of a killed service, who notice by themselves, may take to end. */
const orphansMsMax = 3000;

/** Resolves when all is down. @throws EvokeError BAD_SETTINGS, ALREADY_RUNNING; Error when it cannot come up. */
export async function start(environment: Environment): Promise<void> {
  const config = readConfig(environment);
  const stop = stopSignal();
  const { lock, owner } = await lockFolder(config.dataDir);
  if (lock === undefined) {
    throw new EvokeError('ALREADY_RUNNING', {
      detail: `The service already runs on ${shown(config.dataDir)}: pid ${owner.pid}, ${owner.address ?? 'not up yet'}.`,
      hint: 'Stop it first, or choose another folder with EVOKE_DATA_DIR.',
    });
  }
  const supervisor = new Supervisor({
    environment,
    redisUrl: config.redisUrl,
    logsFolder: join(config.dataDir, 'logs'),
    drainMs: config.drainSeconds * 1000,
    say: (line) => process.stderr.write(`${line}\n`),
    onProcesses: (processes, redisFolder) => lock.note({ processes, redisFolder }),
  });
  try {
    if (lock.left !== undefined) await cleanUpAfter(lock.left);
    const address = await supervisor.up(stop);
    lock.note({ address });
    await declareDemos(address, stop).catch((error: unknown) => {
      if (!stop.aborted) process.stderr.write(`The sample datasets could not be declared: ${messageOf(error)}\n`);
    });
    if (!stop.aborted) printLine(banner(address, config));
    await aborted(stop);
    printLine('Stopping.');
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    await supervisor.down();
    lock.release();
  }
}

/** @throws Error in a line when the folder cannot be made or written to. */
async function lockFolder(folder: string) {
  try {
    mkdirSync(folder, { recursive: true });
    return await takeLock<ServiceNotes>(join(folder, 'service.lock'));
  } catch (error) {
    throw new Error(
      `The data folder ${shown(folder)} cannot be used (${systemCode(error) ?? messageOf(error)}): it has to be a folder that you ` +
        'may write to, on a disk with space. Mend it, or choose another one with EVOKE_DATA_DIR.',
      { cause: error },
    );
  }
}

/**
 * Aborted by the first Ctrl-C, SIGTERM or SIGHUP, or when the launcher that started this process is gone. A Ctrl-C often comes
 * twice, from the terminal and from the launcher: once stopping has begun, more signals change nothing.
 */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  process.on('disconnect', stop);
  process.channel?.unref();
  // With the launcher gone its terminal may be gone, too: what is said then is lost, and the draining goes on.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  return controller.signal;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Sees to it that nothing of a killed service is left: its roles end by themselves, its Redis may not. */
async function cleanUpAfter(left: Partial<ServiceNotes>): Promise<void> {
  const running = () => (left.processes ?? []).filter(stillRuns);
  for (let waitedMs = 0; running().length > 0 && waitedMs < orphansMsMax; waitedMs += 100) await pause(100);
  for (const { pid } of running()) killGroup(pid);
  if (left.redisFolder !== undefined) rmSync(left.redisFolder, { recursive: true, force: true });
}

function banner(address: string, config: Config): string {
  const isDefault = address === 'http://127.0.0.1:8080';
  const server = isDefault ? '' : ` --server ${address}`;
  return [
    '',
    `Evoke is ready at ${address}`,
    '',
    'Events that nobody has made yet, made while you wait (paste a line into another terminal):',
    `  curl ${address}/v1/datasets/demo/zmumu/events/1-3`,
    `  npx evoke get demo:zmumu 1-100000 -o zmumu.arrows${server}`,
    '',
    `Data: ${shown(config.dataDir)} · logs: ${shown(join(config.dataDir, 'logs'))} · Ctrl-C stops it.`,
  ].join('\n');
}

/** A path as a person here would write it. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near === '' || near.startsWith('..') ? path : `./${near}`;
}
