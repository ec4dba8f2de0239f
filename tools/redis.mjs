// Sees to it that a Redis (or Valkey) can be started: one on the PATH, or one installed by apt-get where that is possible and
// allowed, or a message that says what to type. Nothing is started here, and no service is left running.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Refusal, say } from './bootstrap.mjs';
import { findOnPath } from './on-path.mjs';
import { run } from './run.mjs';

const servers = ['redis-server', 'valkey-server'];

/** The server's full path, undefined when there is none on the PATH. */
export function findRedis(environment = process.env) {
  for (const server of servers) {
    const file = findOnPath(server, environment.PATH);
    if (file !== undefined) return file;
  }
  return undefined;
}

/** @throws Refusal when there is no Redis and none could be installed. */
export async function ensureRedis(environment = process.env) {
  // A shared one is somebody else's.
  if (environment.EVOKE_REDIS_URL || findRedis(environment) !== undefined) return;
  const apt = findOnPath('apt-get', environment.PATH);
  // Whatever it was set to ("yes", "true"), nothing was to be installed; that it should be 1 is said when the settings are read.
  const forbids = environment.EVOKE_NO_INSTALL;
  if (forbids && forbids !== '0') {
    throw new Refusal(
      `There is no Redis on the PATH, and EVOKE_NO_INSTALL=${forbids} forbids to install one. ${advice(apt)}`,
    );
  }
  if (apt === undefined || process.getuid?.() !== 0) throw new Refusal(`There is no Redis on the PATH. ${advice(apt)}`);
  say(
    'There is no Redis on the PATH: installing the package redis-server with apt-get (EVOKE_NO_INSTALL=1 forbids this).',
  );
  await installRedis(apt, environment);
  if (findRedis(environment) === undefined) {
    throw new Refusal(`apt-get went through, and yet there is no redis-server on the PATH. ${advice(apt)}`);
  }
}

function advice(apt) {
  const commands = {
    apt: 'sudo apt-get install redis-server',
    dnf: 'sudo dnf install valkey',
    brew: 'brew install redis',
  };
  const known =
    apt !== undefined ? [commands.apt] : process.platform === 'darwin' ? [commands.brew] : Object.values(commands);
  return `Type: ${known.join('   or: ')}\nThen start again; or set EVOKE_REDIS_URL to a Redis that runs already.`;
}

async function installRedis(apt, environment) {
  const before = new Set(runningServers());
  // Runlevel 1 keeps Debian from starting the package's service: it is a private server that is wanted.
  const quiet = { ...environment, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const patient = ['-q', '-o', 'DPkg::Lock::Timeout=120'];
  for (const args of [
    ['update', ...patient],
    ['install', '-y', '--no-install-recommends', ...patient, 'redis-server'],
  ]) {
    const { code, report } = await run(apt, args, { environment: quiet, collect: true });
    // Lists may be stale and still good enough: what counts is the installation.
    if (code !== 0 && args[0] === 'install') {
      throw new Refusal(`apt-get ${args[0]} ended with ${code}.\n${report.trim()}\n${advice(apt)}`);
    }
  }
  const started = runningServers().filter((pid) => !before.has(pid));
  if (started.length === 0) return;
  const service = findOnPath('service', environment.PATH);
  if (service !== undefined) await run(service, ['redis-server', 'stop'], { environment: quiet, collect: true });
  if (started.some((pid) => runningServers().includes(pid))) {
    say(
      `The package has started a Redis of its own (pid ${started.join(', ')}). Evoke does not use it; stop it if you do not either.`,
    );
  }
}

function runningServers() {
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && servers.includes(readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
    } catch {
      return false;
    }
  });
}
