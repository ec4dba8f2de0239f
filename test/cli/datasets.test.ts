// The command line for derived datasets and those with files, against a real api.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestService } from '../api/harness.ts';
import { evoke } from './one-machine.ts';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ worker: false });
  await service.declare('base', { generator: 'quick', events: 1000 });
  await service.declare('wrong', { generator: 'quick', events: 1000 });
});
afterAll(() => service.stop());

const datasets = (...args: string[]) => evoke(['datasets', ...args, '--server', service.url]);
const derived = ['--generator', 'derived', '--events', '100', '--input', 'test:base'];

test('declare takes an input and files, and show prints both, with the chain', async () => {
  const onWrong = ['--generator', 'derived', '--events', '100', '--input', 'test:wrong'];
  const files = ['--lfn', 'HITS.{n:06}.root', '--events-per-file', '30'];
  expect(await datasets('declare', 'cli:first', ...onWrong, ...files)).toEqual({
    code: 0,
    stdout: 'cli:first is declared: 100 virtual events.\n',
    stderr: '',
  });
  expect((await service.call('/v1/datasets/cli/first')).json()).toMatchObject({
    input: 'test:wrong',
    files: { eventsPerFile: 30, lfn: 'HITS.{n:06}.root' },
  });
  await service.put('/v1/datasets/test/wrong/retired');
  const { stdout } = await datasets('show', 'cli:first');
  expect(stdout).toMatch(/^input +test:wrong$/m);
  expect(stdout).toMatch(/^files +.*HITS\.\{n:06\}\.root/m);
  expect(stdout).toMatch(
    /\nDERIVED FROM +GENERATOR +SEED +DERIVATION\ntest:wrong \(retired\) +quick@1 +1 +[0-9a-f]{64}\n/,
  );
  const plan = await evoke(['plan', 'cli:first', '1-100', '--server', service.url]);
  expect(plan.stdout).toMatch(
    /\n0 +generate .*\n {2}of test:wrong +remake +.* made on the way, and not kept\.\ntotal /,
  );
});

test.each([
  [['--lfn', 'f{n}'], 2, /--lfn and --events-per-file go together/],
  [['--events-per-file', '3'], 2, /--lfn and --events-per-file go together/],
  [['--events-per-file', '0', '--lfn', 'f{n}'], 2, /whole number/],
  [['--input', 'nobody'], 2, /not a dataset's name/],
  [['--input', 'test:nobody'], 1, /\/input: test:nobody is not declared.*INVALID_DECLARATION/],
  [['--events-per-file', '3', '--lfn', 'f'], 1, /\/files\/lfn: has no \{n\}.*INVALID_DECLARATION/],
])('declaring with %j ends with %i', async (options, code, said) => {
  const outcome = await datasets('declare', 'cli:bad', ...derived, ...options);
  expect(outcome).toEqual({ code, stdout: '', stderr: expect.stringMatching(said) });
});
