// evoke batch: ranges that are made before anybody asks for them.
import { Command } from 'commander';
import type { BatchOrder, JsonRecord } from '../client/http.ts';
import { formatDatasetName, parseDatasetName } from '../core/dataset.ts';
import { eventNumber, parseEventRange } from '../core/event-range.ts';
import { watchBatch } from './batch-watch.ts';
import { type ClientOptions, clientCommand, clientOf, UsageError, wholeNumber } from './command.ts';
import { cell, printJson, printLine, records, table } from './output.ts';
import { amount } from './report-words.ts';

interface CreateOptions extends ClientOptions {
  readonly priority?: number;
  readonly deadline?: string;
  readonly budgetCpuSeconds?: number;
  readonly budgetCost?: number;
  readonly hold?: number;
  readonly pin?: boolean;
  readonly watch?: boolean;
}

export function batchCommand(): Command {
  const batch = new Command('batch').description('ranges that are made before anybody asks for them');
  batch.addCommand(list(), { isDefault: true });
  return batch
    .addCommand(create())
    .addCommand(watch())
    .addCommand(set('pause', 'paused', 'stop ordering chunks until it is resumed'))
    .addCommand(set('resume', 'running', 'go on with a paused batch'))
    .addCommand(cancel());
}

function create(): Command {
  return clientCommand('create', 'have a range made: all of a dataset unless said')
    .argument('<scope:name>')
    .argument('[range]', 'startEvent-lastEvent')
    .option('--priority <0-9>', 'higher sooner; 5 unless said', wholeNumber('--priority', 0, 9))
    .option('--deadline <time>', 'orders batches of one priority', deadline)
    .option('--budget-cpu-seconds <number>', 'it ends when so much CPU is spent', quantity('--budget-cpu-seconds'))
    .option('--budget-cost <number>', 'the same in currency', quantity('--budget-cost'))
    .option('--hold <seconds>', 'how long its chunks stay at least; 30 days unless said', quantity('--hold'))
    .option('--pin', 'pin the dataset, too')
    .option('--watch', 'show its progress until it ends')
    .action(async (name: string, range: string | undefined, options: CreateOptions) => {
      const made = await clientOf(options).createBatch(orderOf(name, range, options));
      const id = cell(made, 'id');
      if (options.json && !options.watch) return printJson(made);
      const tell = options.json ? () => undefined : printLine;
      tell(`Batch ${id}: ${cell(made, 'chunks')} chunks of ${cell(made, 'dataset')}.`);
      if (options.watch) await watchBatch(id, options);
      else tell(`Follow it with: evoke batch watch ${id}`);
    });
}

function list(): Command {
  return clientCommand('list', 'batches, the newest first (what evoke batch does)')
    .option('--after <id>', 'the older ones: those created before this one')
    .action(async (options: ClientOptions & { after?: string }) => {
      const page = await clientOf(options).batches(options.after);
      if (options.json) return printJson(page);
      const items = records(page['items']);
      if (items.length === 0) return printLine('There is no batch.');
      const head = [
        'BATCH',
        'DATASET',
        'EVENTS',
        'STATE',
        'CHUNKS',
        'MADE',
        'SKIPPED',
        'FAILED',
        'CPU SECONDS',
        'COST',
      ];
      const hasReasons = items.some((item) => item['reason'] !== undefined);
      printLine(table(hasReasons ? [...head, 'WHY'] : head, items.map(row)));
      if (typeof page['next'] === 'string') printLine(`Older ones: evoke batch list --after ${page['next']}`);
    });
}

function row(item: JsonRecord): string[] {
  const number = (key: string) => (typeof item[key] === 'number' ? item[key] : 0);
  return [
    cell(item, 'id'),
    cell(item, 'dataset'),
    `${cell(item, 'startEvent')}-${cell(item, 'lastEvent')}`,
    `${cell(item, 'state')}${item['late'] === true ? ' (late)' : ''}`,
    cell(item, 'chunks'),
    cell(item, 'done'),
    cell(item, 'skipped'),
    cell(item, 'failed'),
    number('cpuSeconds').toFixed(1),
    amount(number('cost')),
    cell(item, 'reason'),
  ];
}

function watch(): Command {
  return clientCommand('watch', 'show the progress of a batch until it ends; with --json a line for every change')
    .argument('<batch>')
    .action((id: string, options: ClientOptions) => watchBatch(id, options));
}

function set(name: string, state: 'paused' | 'running', what: string): Command {
  return clientCommand(name, what)
    .argument('<batch>')
    .action(async (id: string, options: ClientOptions) => {
      const batch = await clientOf(options).setBatch(id, state);
      if (options.json) return printJson(batch);
      printLine(`Batch ${id} is ${cell(batch, 'state')}.`);
    });
}

function cancel(): Command {
  return clientCommand('cancel', 'end a batch; what it has made stays')
    .argument('<batch>')
    .action(async (id: string, options: ClientOptions) => {
      const client = clientOf(options);
      await client.cancelBatch(id);
      // One that had ended before stays as it ended: so it is asked what it is.
      const batch = await client.batch(id);
      if (options.json) return printJson(batch);
      printLine(`Batch ${id} is ${cell(batch, 'state')}.`);
    });
}

function orderOf(name: string, range: string | undefined, options: CreateOptions): BatchOrder {
  const { priority, budgetCpuSeconds: cpuSeconds, budgetCost: cost, hold, pin } = options;
  const events = range === undefined ? undefined : parseEventRange(range);
  const budget = { ...(cpuSeconds === undefined ? {} : { cpuSeconds }), ...(cost === undefined ? {} : { cost }) };
  return {
    dataset: formatDatasetName(parseDatasetName(name)),
    ...(events === undefined ? {} : { startEvent: eventNumber(events.first), lastEvent: events.end }),
    ...(priority === undefined ? {} : { priority }),
    ...(options.deadline === undefined ? {} : { deadline: options.deadline }),
    ...(Object.keys(budget).length === 0 ? {} : { budget }),
    ...(hold === undefined ? {} : { hold }),
    ...(pin === undefined ? {} : { pin }),
  };
}

/** As a person writes a time, where no zone is said the one here; RFC 3339 for the service. */
function deadline(text: string): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new UsageError(`--deadline: "${text}" is not a time; write 2030-06-01T12:00:00Z.`);
  return new Date(ms).toISOString();
}

function quantity(name: string): (text: string) => number {
  return (text) => {
    if (!/^\d{1,15}(\.\d{1,9})?$/.test(text)) throw new UsageError(`${name}: "${text}" is not a number.`);
    return Number(text);
  };
}
