// The evoke command. Exit codes: 0 done, 1 failed, 2 wrong use. An error is one line on standard error.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { systemCode } from '../core/errors.ts';
import { batchCommand } from './batch.ts';
import { careCommands } from './care.ts';
import { exitCodeOf, lastWords } from './command.ts';
import { datasetsCommand } from './datasets.ts';
import { generatorsCommand } from './generators.ts';
import { getCommand } from './get.ts';
import { notBuiltCommands } from './not-built.ts';
import { printJson, printLine } from './output.ts';
import { planCommand } from './plan.ts';
import { reportCommand } from './report.ts';
import type { RoleName } from './role.ts';

function evoke(): Command {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const program = new Command('evoke')
    .description('Virtual event data on request: simulated events that are made when they are asked for.')
    .version(version)
    .showHelpAfterError('(evoke --help lists the commands, evoke COMMAND --help explains one)');
  program
    .command('start')
    .description('the whole service on this machine, until Ctrl-C')
    .action(async () => (await import('./start.ts')).start(process.env));
  for (const [role, what] of Object.entries(roles)) {
    program
      .command(role)
      .description(what)
      .action(async () => (await import('./role.ts')).runRole(role as RoleName, process.env));
  }
  program
    .command('settings')
    .description('every setting, its unit and default')
    .option('--json', 'print JSON')
    .action(async ({ json = false }: { json?: boolean }) => {
      const { settingsList, settingsTable } = await import('./settings-table.ts');
      if (json) printJson(settingsList());
      else printLine(settingsTable());
    });
  for (const command of [
    generatorsCommand(),
    datasetsCommand(),
    getCommand(),
    planCommand(),
    batchCommand(),
    reportCommand(),
    ...careCommands(),
    ...notBuiltCommands(),
  ]) {
    program.addCommand(command);
  }
  return exitOverridden(program);
}

const roles: Readonly<Record<RoleName, string>> = {
  api: 'one api process, against the Redis and store of the settings',
  scheduler: 'one scheduler process',
  worker: 'one worker process',
};

/** The parser throws where it would end the process, in every command. */
function exitOverridden(command: Command): Command {
  command.exitOverride();
  for (const child of command.commands) exitOverridden(child);
  return command;
}

// Whoever reads may have seen enough, as `head` has: what is under way is done all the same, and its exit code stands.
process.stdout.on('error', (error) => {
  if (systemCode(error) !== 'EPIPE') throw error;
});

try {
  await evoke().parseAsync();
} catch (error) {
  const words = lastWords(error);
  if (words !== '') process.stderr.write(`${words}\n`);
  process.exitCode = exitCodeOf(error);
}
