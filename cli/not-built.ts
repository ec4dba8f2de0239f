// Commands that the contract names and this version does not have: they say so, and fail.
import { Command } from 'commander';
import { EvokeError } from '../core/errors.ts';

const notBuilt: Readonly<Record<string, string>> = {
  replay: 'policies on an access trace',
  token: 'mint access tokens',
};

export function notBuiltCommands(): Command[] {
  return Object.entries(notBuilt).map(([name, what]) => notBuiltCommand(name, what, `evoke ${name}`));
}

export function notBuiltCommand(name: string, what: string, shown: string): Command {
  return new Command(name)
    .description(`${what} (not built yet)`)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      throw new EvokeError('NOT_BUILT', { detail: `${shown} is not built yet.` });
    });
}
