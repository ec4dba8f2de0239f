import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../temp.ts';

const script = fileURLToPath(new URL('../../.ci/sum.mjs', import.meta.url));

/** The last line and the exit code for these steps. */
function sum(...steps: string[]): Promise<[string | undefined, number | null]> {
  return new Promise((done) => {
    const child = execFile(process.execPath, [script, ...steps], (_error, stdout) =>
      done([stdout.trim().split('\n').at(-1), child.exitCode]),
    );
  });
}

async function report(passed: number, failed: number, skipped = 0): Promise<string> {
  const file = join(await temporaryFolder(), 'report.json');
  const content = { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped, numTodoTests: 0 };
  await writeFile(file, JSON.stringify(content));
  return file;
}

test('the last line adds up checks and runs, and the exit code agrees', async () => {
  expect(await sum('check:0', `test:0:${await report(10, 0)}`, `campaign:0:${await report(3, 0)}`)).toEqual([
    '14 passed, 0 failed',
    0,
  ]);
  expect(await sum('check:1', `test:1:${await report(10, 2)}`)).toEqual(['10 passed, 3 failed', 1]);
});

test('a skipped test fails the campaign and nothing else', async () => {
  expect(await sum(`test:0:${await report(10, 0, 4)}`)).toEqual(['10 passed, 0 failed', 0]);
  expect(await sum(`campaign:0:${await report(10, 0, 4)}`)).toEqual(['10 passed, 4 failed', 1]);
});

test('a run without a report, and one that failed though no test did, count as failures', async () => {
  expect(await sum('test:1:/nowhere/report.json')).toEqual(['0 passed, 1 failed', 1]);
  expect(await sum(`test:1:${await report(10, 0)}`)).toEqual(['10 passed, 1 failed', 1]);
});
