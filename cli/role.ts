// One role as a process of its own: evoke api, evoke scheduler, evoke worker.
import { type Environment, readConfig } from '../config/settings.ts';
import { systemCode } from '../core/errors.ts';
import { exitCodes, lastWords } from './command.ts';
import type { RoleMessage } from './role-message.ts';

export type RoleName = 'api' | 'scheduler' | 'worker';

const entries: Readonly<Record<RoleName, () => Promise<(environment: Environment) => Promise<void>>>> = {
  api: async () => (await import('../api/main.ts')).runApi,
  scheduler: async () => (await import('../scheduler/main.ts')).runScheduler,
  worker: async () => (await import('../workers/main.ts')).runWorker,
};

/** Runs until it is told to end, by a signal or by the end of the process that started it. */
export async function runRole(role: RoleName, environment: Environment): Promise<void> {
  // Without whoever started it nobody would ever end it. The channel alone must not keep it alive, either.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
  try {
    const run = await entries[role]();
    await run(environment);
  } catch (error) {
    const known = portInUse(error, environment) ?? error;
    await tell({ failed: { message: lastWords(known).replace(/^evoke: /, '') } });
    process.stderr.write(`${lastWords(known)}\n`);
    // Whatever it had opened before it failed does not keep it.
    process.exit(exitCodes.failed);
  }
}

function portInUse(error: unknown, environment: Environment): Error | undefined {
  if (systemCode(error) !== 'EADDRINUSE') return undefined;
  const { host, port } = readConfig(environment);
  const other = port < 65535 ? port + 1 : 8080;
  return new Error(
    `Port ${port} of ${host} is in use by another program. Choose another one: EVOKE_PORT=${other} npm start`,
  );
}

function tell(message: RoleMessage): Promise<void> {
  return new Promise((done) => {
    if (process.send === undefined || !process.connected) done();
    else process.send(message, () => done());
  });
}
