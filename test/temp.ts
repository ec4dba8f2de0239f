// A folder of its own for one test, short enough for a unix socket's path, removed when the test ends.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, type TestContext } from 'vitest';

/** A test's own context, where it runs beside others: `test.concurrent('…', async (context) => …)`. */
export type TestOfItsOwn = Pick<TestContext, 'onTestFinished'>;

/** `test`: for one that runs beside others. */
export async function temporaryFolder(test: TestOfItsOwn = { onTestFinished }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'evoke-'));
  test.onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
