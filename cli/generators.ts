// evoke generators: the physics that can be asked for.
import type { Command } from 'commander';
import { type ClientOptions, clientCommand, clientOf } from './command.ts';
import { cell, printJson, printLine, table } from './output.ts';

export function generatorsCommand(): Command {
  return clientCommand('generators', 'the processes that can be generated').action(async (options: ClientOptions) => {
    const items = await clientOf(options).generators();
    if (options.json) return printJson({ items, next: null });
    const keys = ['name', 'version', 'reproducibility', 'description'];
    printLine(
      table(
        ['GENERATOR', 'VERSION', 'REPRODUCIBLE', 'WHAT IT MAKES'],
        items.map((item) => keys.map((key) => cell(item, key))),
      ),
    );
  });
}
