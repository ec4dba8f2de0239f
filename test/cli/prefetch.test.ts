import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import type { PandaRange } from '../../client/prefetch-ranges.ts';
import { pandaRanges, RangeService } from '../client/range-service.ts';
import { eventually } from '../eventually.ts';
import { temporaryFolder } from '../temp.ts';
import { evoke, evokeInto, evokeTo, main } from './one-machine.ts';
import { Pilot } from './pilot.ts';

interface Setting {
  readonly service: RangeService;
  readonly out: string;
  /** A file with these ranges. */
  list(ranges: unknown): Promise<string>;
  /** The arguments of a run. */
  args(ranges: string, ...more: string[]): string[];
}

async function setting(): Promise<Setting> {
  const service = await RangeService.start();
  const folder = await temporaryFolder();
  const out = join(folder, 'out');
  return {
    service,
    out,
    list: async (ranges) => {
      const file = join(folder, 'ranges.json');
      await writeFile(file, JSON.stringify(ranges));
      return file;
    },
    args: (ranges, ...more) => ['prefetch', '--ranges', ranges, '--out', out, '--server', service.url, ...more],
  };
}

/** A prefetcher that the test talks with. */
function started(args: readonly string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const over = once(child, 'close');
  return {
    child,
    stderr: () => stderr,
    next: async () => JSON.parse((await lines.next()).value ?? 'null'),
    ended: async () => {
      await over;
      return child.exitCode;
    },
  };
}

const visible = async (folder: string) => (await readdir(folder)).filter((name) => !name.startsWith('.'));

test('prints the message of a pilot per range, each over a file that is whole, and nothing else', async () => {
  const { service, out, list, args } = await setting();
  const ranges = pandaRanges(5);
  const { code, stdout, stderr } = await evoke(args(await list({ eventRanges: ranges, inFilePosEvtNum: true })));
  expect(code).toBe(0);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toHaveLength(5);
  for (const [i, [range, ...others]] of lines.entries()) {
    expect(others).toEqual([]);
    expect(range).toEqual({ ...ranges[i], LFN: range.PFN, PFN: range.PFN, startEvent: 1, lastEvent: 10 });
    expect(range.PFN.startsWith(`${out}/`)).toBe(true);
    expect(await readFile(range.PFN)).toEqual(service.body(i * 10 + 1, i * 10 + 10));
  }
  expect(stderr).toMatch(/^5 event ranges whole, [\d.]+ k?B fetched\n$/);
});

test('on standard input ranges are taken as they are written, and brought before the next is there', async () => {
  const { args } = await setting();
  const { child, next, ended } = started(args('-'));
  const [one, two, three] = pandaRanges(3);
  child.stdin.write(`${JSON.stringify(one)}\n`);
  expect(await next()).toMatchObject([{ eventRangeID: one?.eventRangeID }]);
  child.stdin.write(JSON.stringify([two, three], null, 2));
  expect(await next()).toMatchObject([{ eventRangeID: two?.eventRangeID }]);
  expect(await next()).toMatchObject([{ eventRangeID: three?.eventRangeID }]);
  child.stdin.end();
  expect(await ended()).toBe(0);
});

test('a range that fails is one line on standard error and an exit code; --json counts what became of all', async () => {
  const { service, list, args } = await setting();
  const ranges = pandaRanges(3);
  service.lies.set(ranges[1]?.eventRangeID ?? '', {
    error: { status: 404, code: 'FILE_NOT_FOUND', detail: 'No\n\u001b[2J.' },
  });
  const { code, stdout, stderr } = await evoke(args(await list([...ranges, ranges[0]]), '--json'));
  expect([code, stdout.trimEnd().split('\n').length]).toEqual([1, 2]);
  const [failure, summary, last, ...others] = stderr.trimEnd().split('\n');
  expect(failure).toBe(`evoke: "${ranges[1]?.eventRangeID}": No [2J. (FILE_NOT_FOUND)`);
  expect(JSON.parse(summary ?? '')).toMatchObject({ ranges: 4, whole: 2, found: 0, taken: 0, repeated: 1, failed: 1 });
  expect([last, others]).toEqual(['evoke: 1 of 4 event ranges failed.', []]);
});

test('two prefetchers do not work on one folder; after one that was killed the next may', async () => {
  const { service, list, args } = await setting();
  const file = await list(pandaRanges(5));
  service.hold('1-10');
  const first = started(args(file));
  await eventually(() => expect(service.isHeld('1-10')).toBe(true));
  const { code, stderr } = await evoke(args(file));
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`pid ${first.child.pid}`) });
  first.child.kill('SIGKILL');
  await first.ended();
  service.release('1-10');
  expect(await evoke(args(file))).toMatchObject({ code: 0 });
});

test('Ctrl-C ends it with what is whole, and nothing half-written', async () => {
  const { service, out, list, args } = await setting();
  service.hold('11-20');
  const { child, next, ended, stderr } = started(args(await list(pandaRanges(5))));
  await next();
  await eventually(() => expect(service.isHeld('11-20')).toBe(true));
  child.kill('SIGINT');
  expect(await ended()).toBe(1);
  expect(stderr()).toContain('Interrupted.');
  expect((await readdir(out)).filter((name) => name.startsWith('.'))).toEqual(['.prefetch.journal']);
});

test('it ends, too, while it waits for standard input', async () => {
  const { args } = await setting();
  const { child, next, ended } = started(args('-'));
  child.stdin.write(JSON.stringify(pandaRanges(1)));
  await next();
  child.kill('SIGTERM');
  expect(await ended()).toBe(1);
});

test('it ends, too, while nobody reads its lines, and leaves the folder to the next', async () => {
  const { out, list, args } = await setting();
  // Far more than a pipe takes.
  const ranges = pandaRanges(12).map((range) => ({ ...range, pad: 'x'.repeat(200_000) }));
  const file = await list(ranges);
  const child = spawn(process.execPath, [main, ...args(file, '--ahead', '12')]);
  onTestFinished(() => void child.kill('SIGKILL'));
  child.stderr.resume();
  const over = once(child, 'exit');
  await eventually(async () => expect(await visible(out)).toHaveLength(12));
  child.kill('SIGTERM');
  expect(await over).toEqual([1, null]);
  expect((await readdir(out)).filter((name) => name.startsWith('.'))).toEqual(['.prefetch.journal']);
});

test('a full folder is said once, and waited for until the payload removes what it has read', async () => {
  const { service, out, list, args } = await setting();
  const disk = String(2 * service.body(1, 10).length);
  const { next, ended, stderr } = started(args(await list(pandaRanges(6)), '--disk', disk, '--ahead', '1'));
  for (let i = 0; i < 6; i++) {
    const [range] = await next();
    if (i === 1)
      await eventually(() => expect(stderr()).toContain('waiting until files that have been read are removed'));
    expect((await visible(out)).length).toBeLessThanOrEqual(2);
    await rm(range.PFN);
  }
  expect(await ended()).toBe(0);
  expect(stderr().match(/waiting/g)).toHaveLength(1);
});

test('a reader that has seen enough ends it, and is no error', async () => {
  const { list, args } = await setting();
  expect(await evokeInto('head -n 1', args(await list(pandaRanges(200, 4))))).toMatchObject({ code: 0 });
});

test('standard output that takes nothing more is one line, and the next run brings what was not printed', async () => {
  const { list, args } = await setting();
  const file = await list(pandaRanges(2));
  const { code, stderr } = await evokeTo('> /dev/full', args(file));
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^evoke: ENOSPC/m) });
  expect(stderr).not.toContain('    at ');
  expect((await evoke(args(file))).stdout.trimEnd().split('\n')).toHaveLength(2);
});

test.each([
  [['--ranges', 'nothing-here.json', '--out', 'x'], 1, /ENOENT/],
  [['--ranges', 'x'], 2, /--out/],
  [['--ranges', 'x', '--out', 'x', '--ahead', '0'], 2, /--ahead/],
  [['--ranges', 'x', '--out', 'x', '--format', 'root'], 2, /--format/],
])('evoke prefetch %j ends with %i', async (options, code, said) => {
  const folder = await temporaryFolder();
  const child = spawn(process.execPath, [main, 'prefetch', ...options], { cwd: folder });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  await once(child, 'close');
  expect({ code: child.exitCode, stderr }).toEqual({ code, stderr: expect.stringMatching(said) });
  expect(stderr).not.toContain('    at ');
});

test('what is no list of ranges is said, without a trace of the program', async () => {
  const { list, args } = await setting();
  const { code, stdout, stderr } = await evoke(args(await list({ ranges: [] })));
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/neither eventRanges nor eventRangeID/);
  expect(stderr).not.toContain('    at ');
});

test('between a pilot and a payload that dies at random, each range is read exactly once and whole, whoever dies', async () => {
  const { service, list } = await setting();
  const folder = await temporaryFolder();
  const ranges: PandaRange[] = pandaRanges(16);
  for (let i = 0; i < 16; i += 3) service.faults.set(`${i * 10 + 1}-${i * 10 + 10}`, [{ cutAfter: 900 }]);
  const pilot: Pilot = new Pilot({
    server: service.url,
    folder,
    ranges: await list(ranges),
    // So that it still works while the payload does.
    prefetchArguments: ['--disk', String(5 * service.body(1, 10).length)],
    crashShare: 0.05,
    seed: 3,
    onHanded: (count) => {
      if (count === 6) pilot.killPrefetcher();
    },
  });
  onTestFinished(() => pilot.stop());
  await pilot.run();
  const outputs = await pilot.outputs();
  expect([...outputs.keys()].sort()).toEqual(ranges.map(({ eventRangeID }) => eventRangeID).sort());
  for (const [i, { eventRangeID }] of ranges.entries()) {
    expect(outputs.get(eventRangeID)?.events).toEqual(Array.from({ length: 10 }, (_, n) => i * 10 + n + 1));
  }
  expect(await visible(pilot.files)).toEqual([]);
  expect(pilot.crashes).toBeGreaterThan(0);
  expect(pilot.prefetchers).toBe(2);
  // Each once, the answers that broke twice, and what was in flight when the prefetcher was killed: nothing whole came again.
  expect(service.fetched().length).toBeLessThanOrEqual(16 + 6 + 4);
});
