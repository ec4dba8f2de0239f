// evoke datasets: what is declared, and what is stored of it.
import { Command } from 'commander';
import type { Declaration, JsonRecord } from '../client/http.ts';
import { formatDatasetName, parseDatasetName } from '../core/dataset.ts';
import { eventsMax, parseEventRange } from '../core/event-range.ts';
import { type ClientOptions, clientCommand, clientOf, UsageError, wholeNumber } from './command.ts';
import { notBuiltCommand } from './not-built.ts';
import { cell, fields, printJson, printLine, records, table } from './output.ts';

interface DeclareOptions extends ClientOptions {
  readonly generator: string;
  readonly generatorVersion?: string;
  readonly parameters?: JsonRecord;
  readonly seed: number;
  readonly events: number;
  readonly chunkEvents?: number;
  readonly input?: string;
  readonly lfn?: string;
  readonly eventsPerFile?: number;
}

export function datasetsCommand(): Command {
  const datasets = new Command('datasets').description('what is declared, and what is stored of it');
  datasets.addCommand(list(), { isDefault: true });
  return datasets
    .addCommand(declare())
    .addCommand(show())
    .addCommand(evict())
    .addCommand(pin())
    .addCommand(unpin())
    .addCommand(retire())
    .addCommand(notBuiltCommand('audit', 'regenerate a sample and compare', 'evoke datasets audit'));
}

function list(): Command {
  return clientCommand('list', 'all datasets (what evoke datasets does)').action(async (options: ClientOptions) => {
    const items = await clientOf(options).datasets();
    if (options.json) return printJson({ items, next: null });
    const rows = items.map((item) => [nameOf(item), cell(item, 'events'), cell(item, 'chunks'), generatorOf(item)]);
    printLine(
      rows.length === 0 ? 'No dataset is declared.' : table(['DATASET', 'EVENTS', 'CHUNKS', 'GENERATOR'], rows),
    );
  });
}

function declare(): Command {
  return clientCommand('declare', 'declare a dataset: nothing is generated before somebody asks')
    .argument('<scope:name>')
    .requiredOption('--generator <name>', 'see evoke generators')
    .option('--generator-version <version>', 'the registered one, unless said')
    .option('--parameters <json>', 'what differs from the defaults, as JSON', parameters)
    .requiredOption('--events <number>', 'how many', wholeNumber('--events', 1, eventsMax))
    .option('--seed <number>', 'names the random stream', wholeNumber('--seed', 0, Number.MAX_SAFE_INTEGER), 1)
    .option('--chunk-events <number>', 'events per chunk', wholeNumber('--chunk-events', 1, eventsMax))
    .option('--input <scope:name>', 'the dataset that the generator reads, where it reads one')
    .option('--lfn <pattern>', "names of files that the events are dealt out to, like 'HITS.{n:06}.root'")
    .option('--events-per-file <number>', 'of those files', wholeNumber('--events-per-file', 1, eventsMax))
    .action(async (name: string, options: DeclareOptions) => {
      const { generator, generatorVersion: version, seed, events, chunkEvents, input } = options;
      const files = filesOf(options);
      const declaration: Declaration = {
        generator,
        seed,
        events,
        ...(version === undefined ? {} : { version }),
        ...(options.parameters === undefined ? {} : { parameters: options.parameters }),
        ...(chunkEvents === undefined ? {} : { chunkEvents }),
        ...(input === undefined ? {} : { input: formatDatasetName(parseDatasetName(input)) }),
        ...(files === undefined ? {} : { files }),
      };
      const { created, dataset } = await clientOf(options).declare(parseDatasetName(name), declaration);
      if (options.json) return printJson(dataset);
      printLine(created ? `${name} is declared: ${events} virtual events.` : `${name} was declared so already.`);
    });
}

function show(): Command {
  return clientCommand('show', 'one dataset in full')
    .argument('<scope:name>')
    .action(async (name: string, options: ClientOptions) => {
      const dataset = await clientOf(options).dataset(parseDatasetName(name));
      if (options.json) return printJson(dataset);
      const { columns, inputs, ...rest } = dataset;
      printLine(fields(Object.keys(rest).map((key) => [key, cell(rest, key)])));
      if (Array.isArray(inputs)) printLine(`\n${chainTable(records(inputs))}`);
      if (!Array.isArray(columns)) return;
      const rows = records(columns).map((column) =>
        ['name', 'type', 'unit', 'description'].map((key) => cell(column, key)),
      );
      printLine(`\n${table(['COLUMN', 'TYPE', 'UNIT', 'MEANING'], rows)}`);
    });
}

function evict(): Command {
  return clientCommand('evict', 'make stored chunks virtual again: all, or those wholly inside a range')
    .argument('<scope:name>')
    .argument('[range]', 'startEvent-lastEvent')
    .action(async (name: string, range: string | undefined, options: ClientOptions) => {
      await clientOf(options).evict(parseDatasetName(name), range === undefined ? undefined : parseEventRange(range));
      if (!options.json)
        printLine(`${name} is virtual again${range === undefined ? '' : ` in the chunks wholly inside ${range}`}.`);
    });
}

function pin(): Command {
  return clientCommand('pin', 'keep what is stored of a dataset from eviction')
    .argument('<scope:name>')
    .option('--expires-at <time>', 'RFC 3339; 30 days from now unless said')
    .option('--reason <text>')
    .action(async (name: string, options: ClientOptions & { expiresAt?: string; reason?: string }) => {
      const { expiresAt, reason } = options;
      const wanted = { ...(expiresAt === undefined ? {} : { expiresAt }), ...(reason === undefined ? {} : { reason }) };
      const pinned = await clientOf(options).pin(parseDatasetName(name), wanted);
      if (options.json) return printJson(pinned);
      printLine(`${name} is pinned until ${cell(pinned, 'expiresAt')}.`);
    });
}

function unpin(): Command {
  return clientCommand('unpin', 'end a pin')
    .argument('<scope:name>')
    .action(async (name: string, options: ClientOptions) => {
      await clientOf(options).unpin(parseDatasetName(name));
      if (!options.json) printLine(`${name} is not pinned.`);
    });
}

function retire(): Command {
  return clientCommand('retire', 'a wrong dataset: its events are gone for good, its name stays taken')
    .argument('<scope:name>')
    .action(async (name: string, options: ClientOptions) => {
      const retired = await clientOf(options).retire(parseDatasetName(name));
      if (options.json) return printJson(retired);
      printLine(`${name} is retired.`);
    });
}

function parameters(text: string): JsonRecord {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonRecord;
  } catch {
    // Said below.
  }
  throw new UsageError(`--parameters: ${text} is not a JSON object; write '{"mean": 30}'.`);
}

/** @throws UsageError when only half of it is said. */
function filesOf({ lfn, eventsPerFile }: DeclareOptions): Declaration['files'] {
  if (lfn === undefined && eventsPerFile === undefined) return undefined;
  if (lfn === undefined || eventsPerFile === undefined) {
    throw new UsageError(
      '--lfn and --events-per-file go together: one names the files, the other says how many events.',
    );
  }
  return { eventsPerFile, lfn };
}

/** What a dataset is derived from, the nearest first. */
function chainTable(inputs: readonly JsonRecord[]): string {
  const rows = inputs.map((input) => [
    `${cell(input, 'dataset')}${input['retired'] === true ? ' (retired)' : ''}`,
    generatorOf(input),
    cell(input, 'seed'),
    cell(input, 'derivation'),
  ]);
  return table(['DERIVED FROM', 'GENERATOR', 'SEED', 'DERIVATION'], rows);
}

function nameOf(item: JsonRecord): string {
  return `${cell(item, 'scope')}:${cell(item, 'name')}`;
}

function generatorOf(item: JsonRecord): string {
  const version = cell(item, 'version');
  return `${cell(item, 'generator')}${version === '' ? '' : `@${version}`}`;
}
