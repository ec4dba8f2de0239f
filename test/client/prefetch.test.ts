import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { type Prefetched, type PrefetchOptions, prefetch } from '../../client/prefetch.ts';
import { type PandaRange, readRangeLists } from '../../client/prefetch-ranges.ts';
import { eventually } from '../eventually.ts';
import { temporaryFolder } from '../temp.ts';
import { pandaRanges, RangeService } from './range-service.ts';

/** Without pauses. */
const retries = { fruitlessMax: 10, firstPauseMs: 1, pauseMsMax: 1, retryAfterMsMax: 60_000 };

interface Setting {
  readonly service: RangeService;
  readonly folder: string;
  /** A run over these ranges. */
  run(ranges: readonly PandaRange[], options?: Partial<PrefetchOptions>): AsyncGenerator<Prefetched>;
}

async function setting(): Promise<Setting> {
  const service = await RangeService.start();
  const folder = await temporaryFolder();
  return {
    service,
    folder,
    run: (eventRanges, options = {}) =>
      prefetch({ server: service.url, lists: [{ eventRanges }], folder, retries, ...options }),
  };
}

async function all(outcomes: AsyncIterable<Prefetched>): Promise<Prefetched[]> {
  const got: Prefetched[] = [];
  for await (const outcome of outcomes) got.push(outcome);
  return got;
}

function fileOf(outcome: Prefetched | undefined): string {
  if (outcome?.state !== 'whole') throw new Error(`no file: ${JSON.stringify(outcome)}`);
  return outcome.file;
}

/** What is in the folder for a payload to see. */
async function visible(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith('.'));
}

async function hidden(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith('.'));
}

const states = (outcomes: readonly Prefetched[]) => outcomes.map(({ state }) => state);

test('each range becomes one whole file, told in the order of the list, with everything verbatim but the file it is read from', async () => {
  const { service, folder, run } = await setting();
  const ranges = pandaRanges(10).map((range, i) => ({ ...range, taskID: 10204500, note: { of: ['mine', i] } }));
  const outcomes = await all(run(ranges));
  expect(states(outcomes)).toEqual(ranges.map(() => 'whole'));
  for (const [i, outcome] of outcomes.entries()) {
    const file = fileOf(outcome);
    expect(outcome.range).toEqual({ ...ranges[i], LFN: file, PFN: file, startEvent: 1, lastEvent: 10 });
    expect(Object.keys(outcome.range)).toEqual([...Object.keys(ranges[i] ?? {}), 'PFN']);
    expect(await readFile(file)).toEqual(service.body(i * 10 + 1, i * 10 + 10));
  }
  expect((await visible(folder)).length).toBe(10);
});

test('no more than --ahead are in flight, and the service is asked for what is about to be fetched only', async () => {
  const { service, run } = await setting();
  const ranges = pandaRanges(12);
  const begun = ['1-10', '11-20', '21-30'];
  for (const range of begun) service.hold(range);
  const outcomes = run(ranges, { ahead: 3 });
  const first = outcomes.next();
  await eventually(() => expect(begun.every((range) => service.isHeld(range))).toBe(true));
  // Those in flight, as many whose turn is next, and as many after them.
  await eventually(() => expect(service.asked().flat()).toHaveLength(9));
  for (const range of begun) service.release(range);
  await first;
  expect(states(await all(outcomes))).toHaveLength(11);
  expect(service.inFlightMost).toBe(3);
  expect(service.asked().every((ids) => ids.length <= 3)).toBe(true);
});

test('as completed: a slow range holds nobody up; in order: those behind it are fetched and wait', async () => {
  for (const asCompleted of [true, false]) {
    const { service, folder, run } = await setting();
    service.hold('1-10');
    const outcomes = run(pandaRanges(8), { asCompleted });
    const got: Prefetched[] = [];
    const reading = (async () => {
      for await (const outcome of outcomes) got.push(outcome);
    })();
    await eventually(async () => expect(await visible(folder)).toHaveLength(7));
    if (asCompleted) await eventually(() => expect(got).toHaveLength(7));
    else expect(got).toHaveLength(0);
    service.release('1-10');
    await reading;
    const ids = got.map(({ range }) => range.eventRangeID);
    const listed = pandaRanges(8).map(({ eventRangeID }) => eventRangeID);
    expect(ids).toEqual(asCompleted ? [...listed.slice(1), ...listed.slice(0, 1)].sort(byListFrom(ids)) : listed);
  }
});

/** Keeps the order in which they came where that is free; the held one is the last in any case. */
function byListFrom(ids: readonly string[]) {
  return (a: string, b: string) => ids.indexOf(a) - ids.indexOf(b);
}

test('files that nobody has taken away hold up the next, one line says so, and room that is made is seen', async () => {
  const { service, folder, run } = await setting();
  const size = service.body(1, 10).length;
  const full: number[] = [];
  let most = 0;
  const taken: string[] = [];
  const outcomes = run(pandaRanges(12), { ahead: 1, diskBytesMax: 3.5 * size, onFull: (bytes) => full.push(bytes) });
  const waiting: string[] = [];
  for await (const outcome of outcomes) {
    waiting.push(fileOf(outcome));
    most = Math.max(most, (await visible(folder)).length);
    if (waiting.length < 3) continue;
    await eventually(() => expect(full).toHaveLength(1));
    const file = waiting.shift() ?? '';
    await rm(file);
    taken.push(file);
  }
  expect(taken.length).toBe(10);
  expect(most).toBe(3);
  expect(full).toEqual([3 * size]);
});

test('nobody takes anything away for too long: that is said, and what is whole stays', async () => {
  const { service, folder, run } = await setting();
  const outcomes = all(run(pandaRanges(12), { diskBytesMax: service.body(1, 10).length * 2, ahead: 1, patienceMs: 1 }));
  await expect(outcomes).rejects.toThrow(/Nothing was taken from/);
  expect(await visible(folder)).toHaveLength(2);
});

test('what came in parts is acknowledged as a whole, so that the service holds it no longer; what came at once needs none', async () => {
  const { service, run } = await setting();
  service.faults.set('11-20', [{ cutAfter: service.body(11, 20).length - 20 }]);
  await all(run(pandaRanges(3)));
  expect(service.requests.filter(({ what }) => what === '304')).toEqual([{ what: '304', of: '11-20' }]);
});

test('a file larger than all the room there may be is fetched when it is alone', async () => {
  const { run } = await setting();
  for await (const outcome of run(pandaRanges(4), { diskBytesMax: 1, ahead: 2 })) await rm(fileOf(outcome));
});

test('a range that the service knows nothing of, or gives nonsense for, fails alone', async () => {
  const { service, run } = await setting();
  const ranges = pandaRanges(9);
  const lies: Record<string, unknown>[] = [
    { error: { status: 404, code: 'FILE_NOT_FOUND', detail: 'No dataset has this file.' } },
    { url: '/v1/datasets/test/data/events/1-11.arrows' },
    { url: '/v1/datasets/../../etc/events/1-10.arrows' },
    { url: 'https://example.org/passwd' },
    { url: undefined },
    { eventRangeID: 'somebody else' },
    { error: { status: 'none' } },
  ];
  for (const [i, lie] of lies.entries()) service.lies.set(ranges[i]?.eventRangeID ?? '', lie);
  const outcomes = await all(run(ranges));
  expect(states(outcomes)).toEqual([...lies.map(() => 'failed'), 'whole', 'whole']);
  expect(outcomes[0]).toMatchObject({ error: { message: 'No dataset has this file. (FILE_NOT_FOUND)' } });
  expect(service.fetched().sort()).toEqual(['71-80', '81-90']);
});

test.each([
  [{ startEvent: 0 }],
  [{ startEvent: 5, lastEvent: 4 }],
  [{ startEvent: '1' }],
  [{ lastEvent: 1e300 }],
  [{ lastEvent: undefined }],
])('bounds that are none fail the range, and the service is not asked: %j', async (wrong) => {
  const { service, run } = await setting();
  const [one, ...others] = pandaRanges(3);
  const outcomes = await all(run([{ ...one, ...wrong } as PandaRange, ...others]));
  expect(states(outcomes)).toEqual(['failed', 'whole', 'whole']);
  expect(service.asked().flat()).toHaveLength(2);
});

test('a list that the service refuses is asked for range by range, so that the wrong one alone fails', async () => {
  const { service, run } = await setting();
  service.askFaults = [{ status: 422 }, {}, { status: 422 }, {}];
  expect(states(await all(run(pandaRanges(3))))).toEqual(['whole', 'failed', 'whole']);
});

test('a service that knows no event ranges is told at once', async () => {
  const { service, run } = await setting();
  service.askFaults = [{ status: 501 }];
  await expect(all(run(pandaRanges(3)))).rejects.toThrow('Not now: 501');
  expect(service.requests).toHaveLength(1);
});

test('refusals for a while, resets and broken answers cost time and nothing else', async () => {
  const { service, run } = await setting();
  service.askFaults = [{ status: 503, retryAfter: '0' }, { cutAfter: 0 }, { status: 500 }];
  service.faults.set('1-10', [{ status: 503, retryAfter: '0' }, { cutAfter: 0 }, { cutAfter: 700 }]);
  service.faults.set('11-20', [{ cutAfter: 1500 }, { status: 429, retryAfter: '0' }]);
  const troubles: string[] = [];
  const outcomes = await all(
    run(pandaRanges(2), { retries: { ...retries, evenUnanswered: true }, onTrouble: (why) => troubles.push(why) }),
  );
  expect(states(outcomes)).toEqual(['whole', 'whole']);
  for (const [i, outcome] of outcomes.entries()) {
    expect(await readFile(fileOf(outcome))).toEqual(service.body(i * 10 + 1, i * 10 + 10));
  }
  expect(troubles.length).toBeGreaterThanOrEqual(8);
});

test('a generation that failed for good fails its range, a service that is gone for good everything', async () => {
  const { service, folder, run } = await setting();
  service.faults.set('1-10', [{ status: 410 }]);
  service.faults.set(
    '21-30',
    Array.from({ length: 99 }, () => ({ cutAfter: 0 })),
  );
  const got: Prefetched[] = [];
  const reading = async () => {
    for await (const outcome of run(pandaRanges(4))) got.push(outcome);
  };
  await expect(reading()).rejects.toThrow(/does not answer/);
  expect(states(got)).toEqual(['failed', 'whole']);
  expect((await hidden(folder)).sort()).toEqual(['.prefetch.journal']);
});

test('nobody at the address is told at once', async () => {
  const folder = await temporaryFolder();
  const lists = [{ eventRanges: pandaRanges(1) }];
  await expect(all(prefetch({ server: 'http://127.0.0.1:9', lists, folder }))).rejects.toThrow(/does not answer/);
});

test('started again: what is there is told again and not fetched, what was taken is neither, what is missing is fetched', async () => {
  const { service, run } = await setting();
  const ranges = pandaRanges(6);
  const before: Prefetched[] = [];
  for await (const outcome of run(ranges, { ahead: 1 })) {
    before.push(outcome);
    if (before.length === 4) break;
  }
  await rm(fileOf(before[0]));
  await rm(fileOf(before[2]));
  const already = service.fetched();
  const asked = service.asked().length;
  const after = await all(run(ranges));
  expect(states(after)).toEqual(['taken', 'whole', 'taken', 'whole', 'whole', 'whole']);
  expect(after.map((outcome) => 'found' in outcome && outcome.found).slice(0, 4)).toEqual([false, true, false, true]);
  expect(after[1]).toEqual({ ...before[1], found: true });
  const again = service.fetched().slice(already.length);
  expect(again.filter((range) => ['1-10', '11-20', '21-30', '31-40'].includes(range))).toEqual([]);
  // The service is not made to keep ready what is here already.
  expect(service.asked().slice(asked).flat()).not.toContain(ranges[0]?.eventRangeID);
});

test('the same ids over other events, or bytes that are others now, are other files: the old ones are not used', async () => {
  const { service, folder, run } = await setting();
  const ranges = pandaRanges(3);
  const old = await all(run(ranges));
  const others = ranges.map((range, i) => (i === 0 ? { ...range, startEvent: 101, lastEvent: 110 } : range));
  const changed = await all(run(others));
  expect(changed.map((outcome) => 'found' in outcome && outcome.found)).toEqual([false, true, true]);
  expect(await readFile(fileOf(changed[0]))).toEqual(service.body(101, 110));
  expect(fileOf(changed[0])).not.toBe(fileOf(old[0]));
  service.writer = 'two';
  const rewritten = await all(run(ranges));
  expect(rewritten.map((outcome) => 'found' in outcome && outcome.found)).toEqual([false, false, false]);
  expect(await readFile(fileOf(rewritten[1]))).toEqual(service.body(11, 20));
  expect(await visible(folder)).toHaveLength(4);
});

test('a range that is listed twice is told once; the same id over other events is another', async () => {
  const { run } = await setting();
  const [one, two] = pandaRanges(2) as [PandaRange, PandaRange];
  const outcomes = await all(run([one, two, one, { ...two, startEvent: 500, lastEvent: 509 }, { ...one, extra: 1 }]));
  expect(states(outcomes)).toEqual(['whole', 'whole', 'repeated', 'whole', 'repeated']);
});

test('ids that mean harm name files in the folder and nowhere else, each its own', async () => {
  const { folder, run } = await setting();
  const ids = [
    '',
    '.',
    '..',
    '../../etc/passwd',
    '/etc/passwd',
    'a/b',
    'a\\b',
    'x'.repeat(5000),
    'A',
    'a',
    'a\n',
    'a\0',
    '-rf',
    '~',
    'ä€😀',
    '\ud800',
    '.prefetch.journal',
    'CON',
  ];
  const ranges = ids.map((eventRangeID, i) => ({ ...pandaRanges(1)[0], eventRangeID, GUID: String(i) }));
  const outcomes = await all(run(ranges));
  expect(states(outcomes)).toEqual(ids.map(() => 'whole'));
  const files = outcomes.map((outcome) => basename(fileOf(outcome)));
  expect(outcomes.map(({ range }) => range.eventRangeID)).toEqual(ids);
  expect((await visible(folder)).sort()).toEqual([...files].sort());
  expect(new Set(files.map((file) => file.toLowerCase())).size).toBe(ids.length);
  for (const file of files) expect(file).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,140}$/);
});

test('stopped at any time, nothing half-written is left', async () => {
  const { service, folder, run } = await setting();
  service.hold('11-20');
  service.faults.set('21-30', [{ cutAfter: 900 }, { status: 503, retryAfter: '30' }]);
  const stop = new AbortController();
  const outcomes = run(pandaRanges(6), { signal: stop.signal });
  await outcomes.next();
  await eventually(() => expect(service.isHeld('11-20')).toBe(true));
  await eventually(async () => expect((await hidden(folder)).some((name) => name.endsWith('.part'))).toBe(true));
  stop.abort(new Error('Enough.'));
  await expect(all(outcomes)).rejects.toThrow('Enough.');
  expect(await hidden(folder)).toEqual(['.prefetch.journal']);
});

test('a list that breaks off in the middle is told after everything before it has been brought', async () => {
  const { service, folder } = await setting();
  async function* lists() {
    yield { eventRanges: pandaRanges(5) };
    throw new Error('The list broke off.');
  }
  const got: Prefetched[] = [];
  const reading = async () => {
    for await (const outcome of prefetch({ server: service.url, folder, lists: lists(), retries })) got.push(outcome);
  };
  await expect(reading()).rejects.toThrow('The list broke off.');
  expect(states(got)).toEqual(Array.from({ length: 5 }, () => 'whole'));
});

test('a list that is written over time is brought as far as it goes, without waiting for more', async () => {
  const { service, folder } = await setting();
  const written = new PassThrough();
  const outcomes = prefetch({ server: service.url, folder, lists: readRangeLists(written), retries });
  for (const range of pandaRanges(3)) {
    const next = outcomes.next();
    written.write(JSON.stringify(range));
    expect((await next).value).toMatchObject({ state: 'whole', range: { eventRangeID: range.eventRangeID } });
  }
  const end = outcomes.next();
  written.end();
  expect(await end).toMatchObject({ done: true });
});

test('files of later ranges fill the folder at a new start: the first is fetched all the same', async () => {
  const { service, folder, run } = await setting();
  const ranges = pandaRanges(8);
  service.hold('1-10');
  const stop = new AbortController();
  const reading = all(run(ranges, { signal: stop.signal }));
  reading.catch(() => undefined);
  await eventually(async () => expect(await visible(folder)).toHaveLength(7));
  stop.abort(new Error('Killed.'));
  await expect(reading).rejects.toThrow();
  service.release('1-10');
  let told = 0;
  for await (const outcome of run(ranges, { diskBytesMax: service.body(1, 10).length * 2 })) {
    expect(outcome).toMatchObject({ state: 'whole', found: told++ > 0 });
    await rm(fileOf(outcome));
  }
  expect(told).toBe(8);
});

test('files that nobody was told of and nobody asks for any more are removed in the end; strangers are let alone', async () => {
  const { service, folder, run } = await setting();
  await mkdir(join(folder, 'sub'));
  await writeFile(join(folder, 'mine.txt'), 'mine');
  await writeFile(join(folder, '.hidden.part'), 'mine');
  service.hold('1-10');
  const stop = new AbortController();
  const reading = all(run(pandaRanges(4), { signal: stop.signal }));
  reading.catch(() => undefined);
  await eventually(async () => expect(await visible(folder)).toHaveLength(5));
  stop.abort(new Error('Another list now.'));
  await expect(reading).rejects.toThrow();
  service.release('1-10');
  await all(run(pandaRanges(2)));
  expect(await visible(folder)).toHaveLength(4);
  expect(await readdir(folder)).toEqual(expect.arrayContaining(['sub', 'mine.txt', '.hidden.part']));
});

test('whatever a crash makes of the journal, a file that is there is told, and one that was told and taken is not', async () => {
  const { service, folder, run } = await setting();
  const ranges = pandaRanges(4);
  const before = await all(run(ranges));
  await rm(fileOf(before[1]));
  const journal = join(folder, '.prefetch.journal');
  const text = await readFile(journal);
  for (let cut = 0; cut <= text.length; cut += 61) {
    const files = await visible(folder);
    await writeFile(journal, Buffer.concat([text.subarray(0, cut), Buffer.from('\0\0{"told":')]));
    const fetched = service.fetched().length;
    const outcomes = await all(run(ranges));
    const told = text
      .subarray(0, cut)
      .toString()
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.includes('told'));
    const remembered = told.some((line) => line.includes(basename(fileOf(before[1])).split('.').at(-2) ?? ''));
    expect(states(outcomes)).toEqual(['whole', remembered ? 'taken' : 'whole', 'whole', 'whole']);
    expect(service.fetched().length - fetched).toBeLessThanOrEqual(4);
    if (!remembered) await rm(fileOf(outcomes[1]));
    expect(files.length).toBe(3);
  }
  await appendFile(journal, 'nonsense\n[]\nnull\n{"told":5}\n{"whole":"x"}\n');
  expect(states(await all(run(ranges)))).toEqual(['whole', 'taken', 'whole', 'whole']);
});
