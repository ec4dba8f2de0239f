import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { FsStore } from '../../store/fs-store.ts';
import { temporaryFolder } from '../temp.ts';
import { contentOf } from './crash-content.ts';

const putOnce = fileURLToPath(new URL('put-once.ts', import.meta.url));
const script = fileURLToPath(new URL('put-for-ever.ts', import.meta.url));

/** Runs the writer until it has begun `puts` objects, lets it go on for `extraMs`, and kills it without warning. */
async function killedAfter(folder: string, puts: number, extraMs: number) {
  const writer = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const begun = new Promise<void>((resolve, reject) => {
    writer.stdout.on('data', (text) => {
      output += text;
      if (output.split('begin ').length > puts) resolve();
    });
    writer.once('exit', () => reject(new Error('The writer ended by itself.')));
  });
  await begun;
  await new Promise((resolve) => setTimeout(resolve, extraMs));
  const closed = once(writer, 'close');
  writer.kill('SIGKILL');
  await closed;
  const lines = output.split('\n').slice(0, -1);
  const names = (word: string) =>
    lines.flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
  return { begun: names('begin'), ended: names('end') };
}

test('a writer killed at any moment leaves whole objects or none, and all those it had finished', async () => {
  let interrupted = 0;
  for (let round = 0; round < 8; round++) {
    const folder = await temporaryFolder();
    const { begun, ended } = await killedAfter(folder, 2 + (round % 3), round * 1.3);
    const store = new FsStore(folder);
    for (const name of begun) {
      const found = await store.get(name);
      if (ended.includes(name)) expect(found).toBeDefined();
      else interrupted++;
      if (found !== undefined) expect(found.equals(Buffer.concat(contentOf(name)))).toBe(true);
    }
    const listed = (await store.list('')).map((info) => info.name);
    expect(begun).toEqual(expect.arrayContaining(listed));
    await store.removeLeftovers(-1000);
    expect(await store.removeLeftovers(-1000)).toBe(0);
    expect((await store.list('')).map((info) => info.name)).toEqual(listed);
  }
  // The kills have hit what they were meant to hit.
  expect(interrupted).toBeGreaterThan(0);
});

test('a write that the system cuts short and then refuses leaves nothing', async () => {
  const folder = await temporaryFolder();
  // The shell's limit on the size of files does to one process what a full disk does to all.
  const limited = `trap '' XFSZ; ulimit -f 100; exec "$0" "$@"`;
  const output = execFileSync('sh', ['-c', limited, process.execPath, putOnce, folder], { encoding: 'utf8' });
  expect(JSON.parse(output)).toMatchObject({ code: 'STORE_UNAVAILABLE', systemCode: 'EFBIG' });
  expect(await readdir(folder)).toEqual([]);
});
