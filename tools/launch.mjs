// What every launcher does: get the clone ready, run one file of the project with Node 24, pass its exit code on.
import { delimiter, dirname, join } from 'node:path';
import { ensureDependencies, Refusal, root, say } from './bootstrap.mjs';
import { run } from './run.mjs';

/** A launcher's whole life: what it has to say when it is refused is one message, and its exit code is the child's. */
export async function launch(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

/** Runs a TypeScript or JavaScript file of this project with Node 24, installing what is missing first. */
export async function runWithNode(file, args, options = {}) {
  const node = await ensureDependencies(root);
  const environment = { ...(options.environment ?? process.env) };
  environment.PATH = `${dirname(node)}${delimiter}${environment.PATH ?? ''}`;
  const { code } = await run(node, [join(root, file), ...args], { ...options, environment });
  return code;
}
