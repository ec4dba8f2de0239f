// Gets a clone ready to run: the dependencies of the lock, and Node 24 among them. Plain JavaScript without dependencies
// for any Node >= 20. Every step that takes time is announced in one line; a failure is one message that says what to type.
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findOnPath } from './on-path.mjs';
import { takeLock } from './process-lock.mjs';
import { run } from './run.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Node that runs TypeScript as it is, with the codecs that the golden digests were made with. */
const nodeMajor = 24;

/** A message for the person at the terminal, not a fault of the program. */
export class Refusal extends Error {}

/** To standard error: standard output may be somebody's event data. */
export function say(line) {
  process.stderr.write(`evoke: ${line}\n`);
}

const platformPackage = () => `node-${process.platform}-${process.arch}`;

/** The Node to run TypeScript with: the lock's own, else the one running this when it is new enough, else undefined. */
export function findNode(folder = root) {
  const file = join(folder, 'node_modules', platformPackage(), 'bin', 'node');
  try {
    accessSync(file, constants.X_OK);
    return file;
  } catch {
    return Number.parseInt(process.versions.node, 10) >= nodeMajor ? process.execPath : undefined;
  }
}

function lockHash(folder) {
  return createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .digest('hex');
}

const stampOf = (folder) => join(folder, 'node_modules', '.evoke-lock');

/** Whether node_modules holds what the lock says: the stamp is written when an installation has gone through. */
export function isInstalled(folder = root) {
  try {
    return readFileSync(stampOf(folder), 'utf8').trim() === lockHash(folder);
  } catch {
    return false;
  }
}

/** Installs the dependencies of the lock when they are absent or stale, and gives the Node to run with. @throws Refusal */
export async function ensureDependencies(folder = root) {
  if (!isInstalled(folder)) await installAlone(folder);
  const node = findNode(folder);
  if (node !== undefined) return node;
  throw new Refusal(
    `Node ${nodeMajor} is needed, and there is no package of it for ${process.platform} on ${process.arch}: ` +
      `install Node ${nodeMajor} (https://nodejs.org), and start again with it first on the PATH.`,
  );
}

/** Two starts at once in one clone: one installs, the other waits for it. */
async function installAlone(folder) {
  const file = join(folder, '.evoke-install.lock');
  let said = false;
  for (;;) {
    const { lock, owner } = await takeLock(file);
    if (lock !== undefined) {
      try {
        if (!isInstalled(folder)) await install(folder);
      } finally {
        lock.release();
      }
      return;
    }
    if (!said) say(`Another start (pid ${owner.pid}) is installing the dependencies; waiting for it.`);
    said = true;
    await pause(200);
  }
}

async function install(folder) {
  const npm = findNpm();
  // npm under an older Node silently leaves out optional packages whose engines ask for a newer one. So the lock's own Node
  // comes first, by itself, and runs the installation.
  let node = Number.parseInt(process.versions.node, 10) >= 22 ? process.execPath : findNode(folder);
  let alone;
  try {
    if (node === undefined) {
      alone = mkdtempSync(join(tmpdir(), 'evoke-node-'));
      node = await installNode(folder, alone, npm);
    }
    say('Installing the dependencies of package-lock.json (about half a minute).');
    await runNpm(node, npm, ['ci', '--include=dev', '--include=optional'], folder);
    writeFileSync(stampOf(folder), lockHash(folder));
  } finally {
    if (alone !== undefined) rmSync(alone, { recursive: true, force: true });
  }
}

/** Installs nothing but the Node of the lock into an empty folder, with the lock's integrity. Gives the path of `node`. */
async function installNode(folder, alone, npm) {
  const name = platformPackage();
  const entry = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages[`node_modules/${name}`];
  if (entry === undefined) {
    throw new Refusal(
      `There is no package of Node ${nodeMajor} for ${process.platform} on ${process.arch}: ` +
        `install Node ${nodeMajor} (https://nodejs.org), and start again with it first on the PATH.`,
    );
  }
  say(`Fetching Node ${entry.version} (this is ${process.version}; nothing is installed outside of this folder).`);
  const wanted = { name: 'alone', version: '0.0.0', dependencies: { [name]: entry.version } };
  const { optional, dev, ...needed } = entry;
  const packages = { '': wanted, [`node_modules/${name}`]: needed };
  writeFileSync(join(alone, 'package.json'), JSON.stringify(wanted));
  writeFileSync(join(alone, 'package-lock.json'), JSON.stringify({ ...wanted, lockfileVersion: 3, packages }));
  await runNpm(process.execPath, npm, ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], alone);
  return join(alone, 'node_modules', name, 'bin', 'node');
}

/** The script of the npm that runs this, or of the one on the PATH. @throws Refusal */
export function findNpm(environment = process.env) {
  const running = environment.npm_execpath;
  if (running !== undefined && basename(running) === 'npm-cli.js') return running;
  const command = findOnPath('npm', environment.PATH);
  if (command !== undefined) {
    const nearby = [
      realpathSync(command),
      join(dirname(realpathSync(command)), 'npm-cli.js'),
      join(dirname(process.execPath), '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    ];
    for (const file of nearby) {
      try {
        if (basename(file) === 'npm-cli.js') return realpathSync(file);
      } catch {
        // Not there.
      }
    }
  }
  throw new Refusal('npm was not found on the PATH: install it (Debian: apt-get install npm), and start again.');
}

async function runNpm(node, npm, args, cwd) {
  // npm's own report is kept for the case that it fails: a newcomer needs one line, not thirty.
  const { code, report } = await run(node, [npm, ...args, '--loglevel=error', '--no-progress'], {
    cwd,
    environment: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` },
    collect: true,
  });
  if (code === 0) return;
  if (code > 128) throw new Refusal('The installation was interrupted; the next start begins it again.');
  throw new Refusal(
    `The dependencies could not be installed: npm ${args[0]} ended with ${code}.\n${report.trim()}\n` +
      'When the cause is mended (often it is the network), type the same command again.',
  );
}
