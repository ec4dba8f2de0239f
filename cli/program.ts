// The evoke command as a whole: its commands, and what becomes of a command line. Exit codes: 0 done, 1 failed, 2 wrong use. An
// error is one line on standard error.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { batchCommand } from './batch.ts';
import { careCommands } from './care.ts';
import { exitCodeOf, exitCodes, lastWords } from './command.ts';
import { datasetsCommand } from './datasets.ts';
import { generatorsCommand } from './generators.ts';
import { getCommand } from './get.ts';
import { notBuiltCommands } from './not-built.ts';
import { harmless, printJson, printLine } from './output.ts';
import { planCommand } from './plan.ts';
import { prefetchCommand } from './prefetch.ts';
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
    prefetchCommand(),
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

/** The parser throws where it would end the process, in every command, and repeats nothing that a terminal would obey. */
function exitOverridden(command: Command): Command {
  command.exitOverride();
  command.configureOutput({ outputError: (text, write) => write(text.split('\n').map(harmless).join('\n')) });
  for (const child of command.commands) exitOverridden(child);
  return command;
}

/** Runs a command line, as `process.argv` has it; what it prints goes to the process's own streams. @returns the exit code */
export async function run(argv: readonly string[]): Promise<number> {
  try {
    await evoke().parseAsync(argv);
    // Commands that go on after their first trouble leave theirs here.
    return typeof process.exitCode === 'number' ? process.exitCode : exitCodes.ok;
  } catch (error) {
    const words = lastWords(error);
    if (words !== '') process.stderr.write(`${words}\n`);
    return exitCodeOf(error);
  }
}
