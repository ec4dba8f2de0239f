import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { Clone, outcome, platformPackage } from './clone.ts';

let clone: Clone;
beforeEach(async () => {
  clone = await Clone.make();
});

test('the first start installs the dependencies of the lock, says so in one line, and the second installs nothing', async () => {
  const first = await clone.run('evoke.mjs', ['get', 'a b']);
  expect(first).toMatchObject({
    code: 0,
    stderr: 'evoke: Installing the dependencies of package-lock.json (about half a minute).\n',
  });
  expect(JSON.parse(first.stdout)).toMatchObject({ args: ['get', 'a b'], channel: true });
  const [call, ...others] = await clone.npmCalls();
  expect(call?.args.slice(0, 3)).toEqual(['ci', '--include=dev', '--include=optional']);
  expect(others).toEqual([]);
  expect(await clone.run('evoke.mjs', ['get'])).toMatchObject({ code: 0, stderr: '' });
  expect(await clone.npmCalls()).toHaveLength(1);
});

test('a changed lock, and a node_modules that somebody emptied, are installed again', async () => {
  await clone.run('evoke.mjs', []);
  await clone.writeLock('24.22.0');
  await clone.run('evoke.mjs', []);
  expect(await clone.npmCalls()).toHaveLength(2);
  await writeFile(join(clone.root, 'node_modules/.evoke-lock'), '');
  await clone.run('evoke.mjs', []);
  expect(await clone.npmCalls()).toHaveLength(3);
});

test('under Node 20, npm itself runs on the Node of the lock, fetched alone and with the integrity of the lock before', async () => {
  const { code, stderr } = await clone.run('evoke.mjs', [], { old: true });
  expect({ code, lines: stderr.trim().split('\n') }).toEqual({
    code: 0,
    lines: [expect.stringContaining('Fetching Node 24.21.0'), expect.stringContaining('Installing the dependencies')],
  });
  const [alone, all] = await clone.npmCalls();
  expect(alone?.cwd).not.toBe(clone.root);
  expect(alone?.packageJson.dependencies).toEqual({ [platformPackage]: '24.21.0' });
  expect(Object.keys(alone?.lock.packages ?? {})).toEqual(['', `node_modules/${platformPackage}`]);
  expect(alone?.lock.packages[`node_modules/${platformPackage}`]).toMatchObject({ integrity: 'sha512-right' });
  expect(alone?.lock.packages[`node_modules/${platformPackage}`]).not.toHaveProperty('optional');
  expect(all?.cwd).toBe(clone.root);
  expect(await readdir(clone.temporary)).toEqual([]);
});

test('when npm fails, its reason is shown with what to do, nothing counts as installed, and the next start tries again', async () => {
  await writeFile(join(clone.root, 'npm-fails'), '');
  const { code, stderr } = await clone.run('evoke.mjs', []);
  expect(code).toBe(1);
  expect(stderr).toContain('ENOTFOUND registry');
  expect(stderr).toContain('type the same command again');
  expect(stderr).not.toContain('    at ');
  expect(await readdir(clone.root)).not.toContain('.evoke-install.lock');
  await clone.run('evoke.mjs', []);
  expect(await clone.npmCalls()).toHaveLength(2);
});

test('without npm it says so', async () => {
  const empty = join(clone.root, 'empty');
  await mkdir(empty);
  const { code, stderr } = await clone.run('evoke.mjs', [], { env: { PATH: empty } });
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('npm was not found on the PATH') });
});

test('of many starts at once in one clone, one installs, and all go on', async () => {
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => clone.run('evoke.mjs', ['x'])));
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
  expect(await clone.npmCalls()).toHaveLength(1);
});

test('the exit code passes through, and the folder of the caller stays the folder of the command', async () => {
  expect(await clone.run('evoke.mjs', ['exit', '2'])).toMatchObject({ code: 2 });
  const { stdout } = await clone.run('evoke.mjs', [], { cwd: clone.temporary });
  expect(JSON.parse(stdout)).toMatchObject({ cwd: clone.temporary });
});

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  'a %s sent to the launcher alone reaches what it runs',
  async (signal) => {
    const note = join(clone.temporary, 'note');
    const launcher = clone.start('evoke.mjs', ['wait', note]);
    const ended = outcome(launcher);
    await once(launcher.stdout ?? launcher, 'data');
    launcher.kill(signal);
    expect(await ended).toMatchObject({ code: 0 });
    expect(await readFile(note, 'utf8')).toBe(`${signal}\n`);
  },
);

test('a launcher that is killed leaves nothing running', async () => {
  const note = join(clone.temporary, 'note');
  const launcher = clone.start('evoke.mjs', ['wait', note]);
  await once(launcher.stdout ?? launcher, 'data');
  launcher.kill('SIGKILL');
  await eventually(async () => expect(await readFile(note, 'utf8')).toBe('disconnect\n'));
});

test('the shell that npm puts between dying, the launcher ends what it runs', async () => {
  const note = join(clone.temporary, 'note');
  await clone.run('evoke.mjs', []);
  // A shell as npm's, that goes away and leaves the launcher behind.
  const script = `require('node:child_process').spawn(process.execPath, [${JSON.stringify(join(clone.root, 'tools/evoke.mjs'))}, 'wait', ${JSON.stringify(note)}], { stdio: ['ignore', 'inherit', 'ignore'] }); process.stdin.on('end', () => process.exit()).resume();`;
  await writeFile(join(clone.temporary, 'shell.cjs'), script);
  const shell = spawn(process.execPath, [join(clone.temporary, 'shell.cjs')], {
    env: { PATH: clone.bin, npm_lifecycle_event: 'start' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(shell.stdout, 'data');
  shell.kill('SIGTERM');
  await eventually(async () => expect(await readFile(note, 'utf8')).toMatch(/SIGTERM/));
});

test('npm itself killed, of which its shell learns nothing, the launcher ends what it runs', async () => {
  const note = join(clone.temporary, 'note');
  await clone.run('evoke.mjs', []);
  // The `:` behind keeps every shell from putting the launcher in its own place.
  const line = `'${process.execPath}' '${join(clone.root, 'tools/evoke.mjs')}' wait '${note}'; :`;
  const script = `require('node:child_process').spawn('sh', ['-c', ${JSON.stringify(line)}], { stdio: ['ignore', 'inherit', 'ignore'] });`;
  await writeFile(join(clone.temporary, 'npm.cjs'), script);
  const npm = spawn(process.execPath, [join(clone.temporary, 'npm.cjs')], {
    env: { PATH: `${clone.bin}:/bin`, npm_lifecycle_event: 'start', npm_node_execpath: process.execPath },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(npm.stdout, 'data');
  npm.kill('SIGKILL');
  await eventually(async () => expect(await readFile(note, 'utf8')).toMatch(/SIGTERM/));
});

const aptGet = `
const { appendFileSync, writeFileSync, chmodSync } = require('node:fs');
appendFileSync(process.env.FAKE_LOG + '.apt', JSON.stringify({ args: process.argv.slice(2), runlevel: process.env.RUNLEVEL }) + '\\n');
if (process.env.APT_FAILS && process.argv[2] === 'install') { console.error('E: Unable to locate package'); process.exit(100); }
if (process.argv[2] === 'install') { const file = __dirname + '/redis-server'; writeFileSync(file, '#!/bin/sh\\n'); chmodSync(file, 0o755); }
`;

async function aptCalls(): Promise<{ args: string[]; runlevel: string }[]> {
  const file = join(clone.bin, '..', 'npm.log.apt');
  return existsSync(file)
    ? (await readFile(file, 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : [];
}

test('a start without a Redis on the PATH installs one with apt-get, says so, and keeps its service from starting', async () => {
  await clone.command('apt-get', aptGet);
  const { code, stderr } = await clone.run('start.mjs', []);
  expect(code).toBe(0);
  expect(stderr).toContain('installing the package redis-server with apt-get');
  const calls = await aptCalls();
  expect(calls.map(({ args }) => args[0])).toEqual(['update', 'install']);
  expect(calls[1]?.args).toContain('redis-server');
  expect(calls[1]?.runlevel).toBe('1');
  await clone.run('start.mjs', []);
  expect(await aptCalls()).toHaveLength(2);
});

test.each(['redis-server', 'valkey-server'])('with a %s on the PATH nothing is installed', async (server) => {
  await clone.command('apt-get', aptGet);
  await clone.command(server, '');
  expect(await clone.run('start.mjs', [])).toMatchObject({ code: 0 });
  expect(await aptCalls()).toEqual([]);
});

test('with EVOKE_REDIS_URL set no Redis is looked for', async () => {
  await clone.command('apt-get', aptGet);
  expect(await clone.run('start.mjs', [], { env: { EVOKE_REDIS_URL: 'redis://somewhere' } })).toMatchObject({
    code: 0,
  });
  expect(await aptCalls()).toEqual([]);
});

test.each([
  ['EVOKE_NO_INSTALL=1 forbids it', { env: { EVOKE_NO_INSTALL: '1' } }],
  ['EVOKE_NO_INSTALL=yes means the same', { env: { EVOKE_NO_INSTALL: 'yes' } }],
  ['the user is not root', { user: true }],
])('no Redis and %s: the message says what to type, and nothing is started', async (_why, options) => {
  await clone.command('apt-get', aptGet);
  const { code, stderr, stdout } = await clone.run('start.mjs', [], options);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('sudo apt-get install redis-server');
  expect(stderr).toContain('EVOKE_REDIS_URL');
  expect(await aptCalls()).toEqual([]);
});

test('no Redis and no apt-get: the message names the other systems', async () => {
  const { code, stderr } = await clone.run('start.mjs', []);
  expect(code).toBe(1);
  expect(stderr).toMatch(/apt-get .* dnf .* brew /);
});

test('an apt-get that fails is an end, with its reason', async () => {
  await clone.command('apt-get', aptGet);
  const { code, stderr } = await clone.run('start.mjs', [], { env: { APT_FAILS: '1' } });
  expect(code).toBe(1);
  expect(stderr).toContain('Unable to locate package');
  expect(stderr).toContain('sudo apt-get install redis-server');
});
