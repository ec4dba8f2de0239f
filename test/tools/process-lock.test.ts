import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { processIdentity, readOwner, stillRuns, takeLock } from '../../tools/process-lock.mjs';
import { temporaryFolder } from '../temp.ts';

const holder = fileURLToPath(new URL('fixtures/lock-holder.mjs', import.meta.url));

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  file = join(folder, 'a.lock');
});

/** Another process that tries to take the lock and says what it got. */
async function contender() {
  const child = fork(holder, [file], { stdio: 'inherit' });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [answer] = (await once(child, 'message')) as [{ got: boolean; owner?: { pid: number }; left?: object }];
  return { child, answer };
}

test('one process holds it; another is told who; after the release it is free and no file is left', async () => {
  const { lock } = await takeLock(file, { address: 'here' });
  const { answer } = await contender();
  expect(answer).toMatchObject({ got: false, owner: { pid: process.pid, address: 'here' } });
  lock?.note({ address: 'there' });
  expect(readOwner(file)).toMatchObject({ pid: process.pid, address: 'there' });
  lock?.release();
  expect(await readdir(folder)).toEqual([]);
});

test('a killed holder locks nobody out, and its notes are handed on', async () => {
  const { child } = await contender();
  child.kill('SIGKILL');
  await once(child, 'exit');
  const { lock } = await takeLock(file);
  expect(lock?.left).toMatchObject({ pid: child.pid, note: 'mine' });
  lock?.release();
});

test('a recycled pid is not taken for the holder', async () => {
  const other = spawn('sleep', ['30']);
  onTestFinished(() => void other.kill());
  await writeFile(file, JSON.stringify({ pid: other.pid, started: 'long ago' }));
  const { lock } = await takeLock(file);
  expect(lock).toBeDefined();
});

test.each(['', 'no json', '[]', '{"pid":"x"}', '{"pid":-1}', '{"pid":0}', 'null'])(
  'a lock file with %j in it is taken over',
  async (text) => {
    await writeFile(file, text);
    const { lock } = await takeLock(file);
    expect(readOwner(file)?.pid).toBe(process.pid);
    lock?.release();
    expect(await readdir(folder)).toEqual([]);
  },
);

test("of many that take over a killed holder's lock at once, exactly one gets it", async () => {
  for (let round = 0; round < 3; round++) {
    await writeFile(file, JSON.stringify({ pid: 999_999_999, started: 'gone' }));
    const contenders = await Promise.all(Array.from({ length: 6 }, contender));
    const winners = contenders.filter(({ answer }) => answer.got);
    expect(winners).toHaveLength(1);
    for (const { answer } of contenders) if (!answer.got) expect(answer.owner?.pid).toBe(winners[0]?.child.pid);
    expect(JSON.parse(await readFile(file, 'utf8')).pid).toBe(winners[0]?.child.pid);
    for (const { child } of contenders) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  }
});

test('a release does not take away what a successor holds', async () => {
  const { lock } = await takeLock(file);
  await writeFile(file, JSON.stringify({ pid: 1, started: 'other' }));
  lock?.release();
  expect(await readdir(folder)).toEqual(['a.lock']);
});

test('a process is told from every other, a dead one from a running one', async () => {
  const child = spawn('sleep', ['30']);
  const noted = { pid: child.pid ?? 0, started: processIdentity(child.pid ?? 0) ?? '' };
  expect(stillRuns(noted)).toBe(true);
  expect(noted.started).not.toBe(processIdentity(process.pid));
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(stillRuns(noted)).toBe(false);
  expect(stillRuns(undefined)).toBe(false);
});
