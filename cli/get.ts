// evoke get: events into a file or to standard output.
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { type DownloadFormat, download } from '../client/download.ts';
import { parseDatasetName } from '../core/dataset.ts';
import { systemCode } from '../core/errors.ts';
import { parseEventRange } from '../core/event-range.ts';
import { type ClientOptions, clientCommand, clientOf, UsageError } from './command.ts';
import { humanBytes, printJson } from './output.ts';
import { ProgressBar } from './progress-bar.ts';

interface GetOptions extends ClientOptions {
  readonly format?: string;
  readonly columns?: string;
  readonly output?: string;
}

const byExtension: Readonly<Record<string, DownloadFormat>> = { '.arrows': 'arrow', '.ndjson': 'ndjson' };
const formatNames: readonly string[] = Object.values(byExtension);

export function getCommand(): Command {
  return clientCommand('get', 'download events; a broken download goes on where it broke')
    .argument('<scope:name>')
    .argument('<range>', 'startEvent-lastEvent')
    .option('--format <format>', `${formatNames.join(' or ')}; from the file's extension, else ndjson`)
    .option('--columns <names>', 'comma-separated; all of them unless said')
    .option('-o, --output <file>', 'where to; standard output unless said')
    .action(get);
}

async function get(name: string, range: string, options: GetOptions): Promise<void> {
  const stop = new AbortController();
  const interrupt = () =>
    stop.abort(new Error('Interrupted. What has arrived is kept: the same command goes on with it.'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const to = await destination(options.output);
  const bar =
    process.stderr.isTTY && !(to === process.stdout && process.stdout.isTTY)
      ? new ProgressBar(process.stderr)
      : undefined;
  try {
    const done = await download({
      server: clientOf(options).server,
      dataset: parseDatasetName(name),
      range: parseEventRange(range),
      format: formatOf(options),
      columns: options.columns?.split(','),
      to,
      signal: stop.signal,
      onProgress: (progress) => bar?.show(progress),
    });
    bar?.wipe();
    if (options.output === undefined) return;
    if (options.json) printJson({ file: options.output, events: done.events, bytes: done.bytes });
    else process.stderr.write(`${options.output}: ${done.events} events, ${humanBytes(done.bytes)}\n`);
  } catch (error) {
    bar?.wipe();
    // Whoever reads our output has seen enough, as head does.
    if (systemCode(error) === 'EPIPE') return;
    throw error;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
  }
}

function formatOf({ format, output }: GetOptions): DownloadFormat {
  const extension = output === undefined ? '' : extname(output);
  const chosen = format ?? (extension === '' ? 'ndjson' : byExtension[extension]);
  const known = Object.values(byExtension).find((candidate) => candidate === chosen);
  if (known !== undefined) return known;
  throw new UsageError(
    format === undefined
      ? `The extension ${extension} names no format: choose one of ${Object.keys(byExtension).join(', ')}, or say --format.`
      : `--format: "${format}" is not one of ${formatNames.join(', ')}.`,
  );
}

/** A file's name, or a stream for standard output and for what is there already and no file (a pipe, /dev/null). */
async function destination(output: string | undefined): Promise<string | Writable> {
  if (output === '') throw new UsageError('--output: the file has no name.');
  if (output === undefined || output === '-') {
    // Each write reports its own failure; without a listener it would end the process besides.
    process.stdout.on('error', () => undefined);
    return process.stdout;
  }
  const existing = await stat(output).catch(() => undefined);
  if (existing === undefined || existing.isFile() || existing.isDirectory()) return output;
  const { createWriteStream } = await import('node:fs');
  const stream = createWriteStream(output);
  stream.on('error', () => undefined);
  return stream;
}
