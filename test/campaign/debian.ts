// Programs of the campaign, installed from Debian's packages where they are missing.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Sees to it that the program is on the PATH; `package_` is where it comes from. */
export async function ensureProgram(program: string, package_: string): Promise<void> {
  if (await runs(program)) return;
  // RUNLEVEL=1 keeps Debian from starting a service of its own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  await run('apt-get', ['update', '-qq'], { env });
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', package_], { env });
  if (!(await runs(program))) throw new Error(`${package_} was installed, and ${program} is still missing`);
}

function runs(program: string): Promise<boolean> {
  return run('sh', ['-c', `command -v ${program}`]).then(
    () => true,
    () => false,
  );
}
