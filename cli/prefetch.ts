// evoke prefetch: files ahead of a payload. Standard output belongs to whoever starts payloads: PanDA's ranges, each over a file
// that is whole, and nothing else. Everything for people goes to standard error.
import { createReadStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import type { Command } from 'commander';
import type { DownloadFormat } from '../client/download.ts';
import { type Prefetched, prefetch } from '../client/prefetch.ts';
import { readRangeLists } from '../client/prefetch-ranges.ts';
import { messageOf, systemCode } from '../core/errors.ts';
import { takeLock } from '../tools/process-lock.mjs';
import { type ClientOptions, clientCommand, clientOf, exitCodes, UsageError, wholeNumber } from './command.ts';
import { harmless, humanBytes } from './output.ts';
import { StatusLine } from './status-line.ts';

interface PrefetchCommandOptions extends ClientOptions {
  readonly ranges: string;
  readonly out: string;
  readonly ahead: number;
  readonly disk: number;
  readonly patience: number;
  readonly asCompleted?: boolean;
  readonly format: string;
}

const formats: readonly DownloadFormat[] = ['arrow', 'ndjson'];
const lockName = '.prefetch.lock';
/** Between two lines about a service that does not answer. */
const troubleMs = 10_000;
/** How long a line that was begun may still be read after the end. */
const lastLineMs = 1_000;

export function prefetchCommand(): Command {
  return clientCommand('prefetch', 'write a small file per event range ahead of the payload, and print where each is')
    .requiredOption('--ranges <file>', "PanDA's event ranges as JSON; - reads them from standard input as they come")
    .requiredOption('--out <dir>', 'where the files go; whoever has read one removes it')
    .option('--ahead <n>', 'ranges in flight', wholeNumber('--ahead', 1, 64), 4)
    .option(
      '--disk <bytes>',
      'of files that may wait to be read',
      wholeNumber('--disk', 1, Number.MAX_SAFE_INTEGER),
      1024 ** 3,
    )
    .option(
      '--patience <seconds>',
      'how long a full folder waits for one to be removed',
      wholeNumber('--patience', 1, 1e6),
      21_600,
    )
    .option('--as-completed', 'print ranges as they come, not in the order of the list')
    .option('--format <format>', formats.join(' or '), 'arrow')
    .action(run);
}

async function run(options: PrefetchCommandOptions): Promise<void> {
  const format = formats.find((known) => known === options.format);
  if (format === undefined)
    throw new UsageError(`--format: "${options.format}" is not one of ${formats.join(' or ')}.`);
  const { server } = clientOf(options);
  const stop = new AbortController();
  const interrupt = () =>
    stop.abort(new Error('Interrupted. What is whole is kept: the same command goes on with it.'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const release = await lock(options.out);
  const account = new Account(options);
  try {
    const outcomes = prefetch({
      server,
      lists: readRangeLists(addAbortSignal(stop.signal, opened(options.ranges))),
      folder: options.out,
      format,
      ahead: options.ahead,
      diskBytesMax: options.disk,
      patienceMs: options.patience * 1000,
      ...(options.asCompleted ? { asCompleted: true } : {}),
      signal: stop.signal,
      onTrouble: (why) => account.trouble(why),
      onFull: (bytes) =>
        account.say(`${options.out} holds ${humanBytes(bytes)}: waiting until files that have been read are removed.`),
    });
    for await (const outcome of outcomes) {
      account.enter(outcome);
      if (outcome.state === 'whole') await print(JSON.stringify([outcome.range]), stop.signal);
    }
  } catch (error) {
    // Whoever starts payloads has gone.
    if (systemCode(error) === 'EPIPE') return;
    throw error;
  } finally {
    account.close();
    release();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
    // Nothing but this would keep an interrupted process alive.
    if (process.stdout.writableLength > 0) setTimeout(() => process.exit(exitCodes.failed), lastLineMs).unref();
  }
  if (account.failed > 0) throw new Error(`${account.failed} of ${account.listed} event ranges failed.`);
}

function opened(file: string): Readable {
  return file === '-' ? process.stdin : createReadStream(file);
}

/** @throws Error when another prefetcher works on the folder, or there can be no such folder. */
async function lock(folder: string): Promise<() => void> {
  mkdirSync(folder, { recursive: true });
  const { lock: mine, owner } = await takeLock(join(folder, lockName));
  if (mine === undefined) {
    throw new Error(
      `Another prefetcher (pid ${owner.pid}) works on ${folder}. Stop it first, or choose another folder.`,
    );
  }
  return () => mine.release();
}

/** Resolves when the line has left this process. Whoever does not read it holds it up, but not the end: the signal's reason. */
async function print(line: string, signal: AbortSignal): Promise<void> {
  // One that came while nothing was being written is not heard any more.
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    process.stdout.write(`${line}\n`, (error) => {
      signal.removeEventListener('abort', leave);
      if (error) reject(error);
      else resolve();
    });
  });
}

/** What has become of the ranges, for people. */
class Account {
  readonly #counts: Record<Prefetched['state'], number> = { whole: 0, taken: 0, repeated: 0, failed: 0 };
  readonly #json: boolean;
  readonly #line = process.stderr.isTTY && !process.stdout.isTTY ? new StatusLine(process.stderr) : undefined;
  #found = 0;
  #bytes = 0;
  #troubleAtMs = Number.NEGATIVE_INFINITY;

  constructor({ json = false }: ClientOptions) {
    this.#json = json;
  }

  get failed(): number {
    return this.#counts.failed;
  }

  get listed(): number {
    return Object.values(this.#counts).reduce((sum, count) => sum + count);
  }

  enter(outcome: Prefetched): void {
    this.#counts[outcome.state]++;
    if (outcome.state === 'failed') {
      this.say(`${JSON.stringify(outcome.range.eventRangeID)}: ${messageOf(outcome.error)}`);
    } else if (outcome.state === 'whole') {
      if (outcome.found) this.#found++;
      else this.#bytes += outcome.bytes;
    }
    this.#line?.show(this.#words());
  }

  trouble(why: string): void {
    if (performance.now() - this.#troubleAtMs < troubleMs) return;
    this.#troubleAtMs = performance.now();
    this.say(`${why} Trying again.`);
  }

  say(line: string): void {
    this.#line?.wipe();
    process.stderr.write(`evoke: ${harmless(line)}\n`);
  }

  close(): void {
    this.#line?.wipe();
    const { whole, taken, repeated, failed } = this.#counts;
    const summary = { ranges: this.listed, whole, found: this.#found, taken, repeated, failed, bytes: this.#bytes };
    process.stderr.write(`${this.#json ? JSON.stringify(summary) : this.#words()}\n`);
  }

  #words(): string {
    const { whole, taken, repeated, failed } = this.#counts;
    const parts = [
      `${whole} event ranges whole, ${humanBytes(this.#bytes)} fetched`,
      ...(this.#found > 0 ? [`${this.#found} there already`] : []),
      ...(taken > 0 ? [`${taken} read before`] : []),
      ...(repeated > 0 ? [`${repeated} listed twice`] : []),
      ...(failed > 0 ? [`${failed} failed`] : []),
    ];
    return parts.join(', ');
  }
}
