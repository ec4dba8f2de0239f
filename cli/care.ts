// evoke check and evoke rebuild: commands that work on the store of the settings itself, and not through a service.
import { Command } from 'commander';

export function careCommands(): Command[] {
  const check = new Command('check')
    .description('look at everything in the store of the settings, and compare the ledger with it')
    .option('--repair', 'mend what can be mended; nothing is deleted that a person might want')
    .option('--json', 'print JSON')
    .action(async (options: { repair?: boolean; json?: boolean }) =>
      (await import('./check.ts')).check(options, process.env),
    );
  const rebuild = new Command('rebuild')
    .description('say what the store of the settings holds, and make anew all that is derived from it')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => (await import('./rebuild.ts')).rebuild(options, process.env));
  return [check, rebuild];
}
