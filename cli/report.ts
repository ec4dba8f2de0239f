// evoke report: what a window of time cost, beside what the same demand would have cost otherwise.
import { Command, Option } from 'commander';
import { clientCommand } from './command.ts';
import { notBuiltCommand } from './not-built.ts';
import type { CostOptions } from './report-cost.ts';

export function reportCommand(): Command {
  return new Command('report')
    .description('what computing and storage cost')
    .addCommand(cost())
    .addCommand(notBuiltCommand('tradeoff', 'other prices and policies', 'evoke report tradeoff'));
}

function cost(): Command {
  return clientCommand('cost', 'the bill of a time, and what its demand would have cost otherwise')
    .option('--from <time>', 'a date or a time, as in RFC 3339; 30 days before --to unless said')
    .option('--to <time>', 'before this time; now unless said')
    .addOption(new Option('--by <what>', 'what there is a line for').choices(['dataset', 'day', 'generator']))
    .option('--dataset <scope:name>', 'only what belongs to this dataset')
    .option('--csv', 'print CSV')
    .action(async (options: CostOptions) => (await import('./report-cost.ts')).printCost(options));
}
