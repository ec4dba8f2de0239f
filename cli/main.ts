// The evoke command. Exit codes: 0 done, 1 failed, 2 wrong use. An error is one line on standard error.
import { systemCode } from '../core/errors.ts';
import { exitCodes, lastWords } from './command.ts';
import { run } from './program.ts';

// Whoever reads may have seen enough, as `head` has: what is under way is done all the same, and its exit code stands.
process.stdout.on('error', (error) => {
  if (systemCode(error) === 'EPIPE') return;
  process.stderr.write(`${lastWords(error)}\n`);
  process.exit(exitCodes.failed);
});

process.exitCode = await run(process.argv);
