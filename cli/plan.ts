// evoke plan: what a range of events would take, without taking it.
import type { Command } from 'commander';
import type { JsonRecord } from '../client/http.ts';
import { parseDatasetName } from '../core/dataset.ts';
import { parseEventRange } from '../core/event-range.ts';
import { type ClientOptions, clientCommand, clientOf } from './command.ts';
import { cell, humanBytes, printJson, printLine, records, table } from './output.ts';

export function planCommand(): Command {
  return clientCommand('plan', 'what a range of events would take; nothing is generated')
    .argument('<scope:name>')
    .argument('<range>', 'startEvent-lastEvent')
    .action(async (name: string, range: string, options: ClientOptions) => {
      const plan = await clientOf(options).plan(parseDatasetName(name), parseEventRange(range));
      if (options.json) return printJson(plan);
      const runs = records(plan['runs']);
      const total = typeof plan['total'] === 'object' && plan['total'] !== null ? (plan['total'] as JsonRecord) : {};
      const rows = runs.flatMap((run) => [
        [chunksOf(run), cell(run, 'means'), ...amounts(run), cell(run, 'why')],
        ...inputsOf(run),
      ]);
      const head = ['CHUNKS', 'MEANS', 'SECONDS', 'CPU SECONDS', 'SIZE', 'COST', 'WHY'];
      printLine(table(head, [...rows, ['total', '', ...amounts(total), '']]));
    });
}

/** What the chunks of a run take of their inputs: a part of what stands in the line above. */
function inputsOf(run: JsonRecord): string[][] {
  return records(run['inputs']).map((input) => [
    `  of ${cell(input, 'dataset')}`,
    cell(input, 'means'),
    ...amounts(input),
    cell(input, 'why'),
  ]);
}

function chunksOf(run: JsonRecord): string {
  const [first, last] = [cell(run, 'firstChunk'), cell(run, 'lastChunk')];
  return first === last ? first : `${first}-${last}`;
}

function amounts(run: JsonRecord): string[] {
  const number = (key: string) => (typeof run[key] === 'number' ? run[key] : undefined);
  const bytes = number('bytes');
  const cost = number('cost');
  return [
    number('seconds')?.toFixed(2) ?? '',
    number('cpuSeconds')?.toFixed(2) ?? '',
    bytes === undefined ? '' : humanBytes(bytes),
    cost === undefined ? '' : cost === 0 ? '0' : cost.toPrecision(2),
  ];
}
