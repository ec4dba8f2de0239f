// The progress of a batch for whoever watches: a line that is written over on a terminal, lines now and then elsewhere. It goes
// on over lost connections; leaving changes nothing about the batch.
import type { JsonRecord } from '../client/http.ts';
import { watch } from '../client/watch.ts';
import { messageOf } from '../core/errors.ts';
import { type ClientOptions, clientOf } from './command.ts';
import { cell, humanSeconds, printLine } from './output.ts';
import { bar, percent, StatusLine } from './status-line.ts';

/** Between two lines for one and the same state, where they are not written over. */
const lineMs = 10_000;

/** Resolves when the batch is completed. @throws Error when it ended otherwise, or was left. */
export async function watchBatch(id: string, options: ClientOptions): Promise<void> {
  const stop = new AbortController();
  const interrupt = () =>
    stop.abort(
      new Error(`The batch goes on. evoke batch watch ${id} shows it again, evoke batch cancel ${id} ends it.`),
    );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  // Nobody reads any more.
  process.stdout.on('error', interrupt);
  const show = displayOf(options);
  let last: JsonRecord | undefined;
  try {
    const client = clientOf(options);
    // No batch, or no service, is said at once: only what was there is waited for.
    await client.batch(id);
    const states = watch(client.batchStreamUrl(id), {
      signal: stop.signal,
      onTrouble: (why, pauseMs) => show.trouble(`${messageOf(why)} Trying again in ${humanSeconds(pauseMs / 1000)}.`),
    });
    for await (const state of states) {
      last = state;
      show.state(state);
    }
  } finally {
    show.end();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
    process.stdout.off('error', interrupt);
  }
  if (last !== undefined && last['state'] !== 'completed') throw new Error(`The batch ${id} is ${stateOf(last)}.`);
  if (last !== undefined && !options.json) printLine(outcome(last));
}

interface Display {
  state(batch: JsonRecord): void;
  trouble(why: string): void;
  end(): void;
}

function displayOf({ json }: ClientOptions): Display {
  if (json) {
    return { state: (batch) => printLine(JSON.stringify(batch)), trouble: toStandardError, end: () => undefined };
  }
  return process.stderr.isTTY ? writtenOver() : lineByLine();
}

function writtenOver(): Display {
  const line = new StatusLine(process.stderr);
  return {
    state: (batch) => line.show(batchLine(batch)),
    trouble: (why) => line.show(why),
    end: () => line.wipe(),
  };
}

function lineByLine(): Display {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let told = '';
  return {
    state: (batch) => {
      const now = performance.now();
      const state = stateOf(batch);
      // Its outcome is told in the end.
      if (state === 'completed') return;
      if (state === told && now - toldAtMs < lineMs) return;
      told = state;
      toldAtMs = now;
      printLine(`${state}: ${counts(batch)}${timeLeft(batch)}`);
    },
    trouble: toStandardError,
    end: () => undefined,
  };
}

function toStandardError(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The line without what moves the cursor. */
export function batchLine(batch: JsonRecord): string {
  const share = settled(batch) / Math.max(1, number(batch, 'chunks'));
  const state = batch['state'] === 'running' ? '' : `${stateOf(batch)}  `;
  return `${percent(share)} ${bar(share)} ${state}${counts(batch)}${timeLeft(batch)}`;
}

function counts(batch: JsonRecord): string {
  const failed = number(batch, 'failed');
  const failures = failed === 0 ? '' : `, ${failed} failed`;
  return `${settled(batch)} of ${number(batch, 'chunks')} chunks${failures}`;
}

/** What it says itself, or nothing: an invented time would be worse than none. */
function timeLeft(batch: JsonRecord): string {
  const seconds = batch['estimatedSecondsLeft'];
  if (batch['state'] !== 'running') return '';
  const late = batch['late'] === true ? ', late' : '';
  return typeof seconds === 'number' ? `, about ${humanSeconds(seconds)} left${late}` : late;
}

function outcome(batch: JsonRecord): string {
  const made = `${number(batch, 'done')} made, ${number(batch, 'skipped')} there already`;
  const failed = number(batch, 'failed') === 0 ? '' : `, ${number(batch, 'failed')} failed`;
  return `completed: ${number(batch, 'chunks')} chunks, ${made}${failed}; ${number(batch, 'cpuSeconds').toFixed(1)} CPU seconds`;
}

function stateOf(batch: JsonRecord): string {
  const reason = cell(batch, 'reason');
  return reason === '' ? cell(batch, 'state') : `${cell(batch, 'state')} (${reason.replace(/\.$/, '')})`;
}

function settled(batch: JsonRecord): number {
  return number(batch, 'done') + number(batch, 'skipped') + number(batch, 'failed');
}

function number(batch: JsonRecord, key: string): number {
  const value = batch[key];
  return typeof value === 'number' ? value : 0;
}
