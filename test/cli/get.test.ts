import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Service } from '../service.ts';
import { temporaryFolder } from '../temp.ts';
import { evoke, evokeInto } from './one-machine.ts';

// One real service for all of this file: nothing here disturbs another test.
let service: Service;
beforeAll(async () => {
  service = await Service.start();
  const declared = ['--generator', 'ee_mumu', '--events', '20000', '--chunk-events', '2048', '--server', service.url];
  expect(await evoke(['datasets', 'declare', 'test:zmumu', ...declared])).toMatchObject({ code: 0 });
});
afterAll(() => service.stop());

const server = () => ['--server', service.url];

/** A way to the service on which each connection breaks, after so many bytes of answers; the last ones hold. */
async function breakingWay(breakAfter: readonly number[]): Promise<string> {
  const limits = [...breakAfter];
  const way = createServer((client) => {
    const { port } = new URL(service.url);
    const upstream = connect(Number(port), '127.0.0.1');
    const limit = limits.shift() ?? Number.POSITIVE_INFINITY;
    let passed = 0;
    client.on('data', (data) => upstream.write(data));
    upstream.on('data', (data) => {
      passed += data.length;
      client.write(data);
      if (passed < limit) return;
      upstream.destroy();
      client.end();
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.end());
    }
  });
  await new Promise<void>((listening) => way.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void way.close());
  return `http://127.0.0.1:${(way.address() as AddressInfo).port}`;
}

test.each(['arrows', 'ndjson'])(
  'a file that took several broken connections equals one that took none (%s)',
  async (extension) => {
    const folder = await temporaryFolder();
    const [whole, broken] = [join(folder, `whole.${extension}`), join(folder, `broken.${extension}`)];
    expect(await evoke(['get', 'test:zmumu', '700-19001', '-o', whole, ...server()])).toMatchObject({ code: 0 });
    const size = (await stat(whole)).size;
    const way = await breakingWay([0.3, 0.1, 0.25].map((share) => Math.floor(size * share)));
    const { code, stdout, stderr } = await evoke(['get', 'test:zmumu', '700-19001', '-o', broken, '--server', way]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain('18302 events');
    expect(await readFile(broken)).toEqual(await readFile(whole));
    expect((await readdir(folder)).sort()).toEqual([`broken.${extension}`, `whole.${extension}`]);
  },
);

test('lines go to standard output, chosen columns in the order of the dataset, and nothing else with them', async () => {
  const { code, stdout, stderr } = await evoke([
    'get',
    'test:zmumu',
    '5-6',
    '--columns',
    'GenPart_pt,event',
    ...server(),
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.map(Object.keys)).toEqual([
    ['event', 'GenPart_pt'],
    ['event', 'GenPart_pt'],
  ]);
  expect(events.map(({ event }) => event)).toEqual([5, 6]);
});

test('a reader that has seen enough is no error', async () => {
  expect(await evokeInto('head -n 1', ['get', 'test:zmumu', '1-20000', ...server()])).toMatchObject({
    code: 0,
    stderr: '',
  });
});

test('--format wins over the extension, and --json says what was written', async () => {
  const file = join(await temporaryFolder(), 'events.arrows');
  const { stdout } = await evoke(['get', 'test:zmumu', '1-3', '--format', 'ndjson', '-o', file, '--json', ...server()]);
  expect(JSON.parse(stdout)).toEqual({ file, events: 3, bytes: (await stat(file)).size });
  expect((await readFile(file, 'utf8')).trim().split('\n')).toHaveLength(3);
});

test('what is there and no file, as a named pipe or /dev/null, is written to and not replaced', async () => {
  const pipe = join(await temporaryFolder(), 'pipe');
  await once(spawn('mkfifo', [pipe]), 'exit');
  const [read] = await Promise.all([
    readFile(pipe, 'utf8'),
    evoke(['get', 'test:zmumu', '1-3', '-o', pipe, ...server()]),
  ]);
  expect(read.trim().split('\n')).toHaveLength(3);
  expect((await stat(pipe)).isFIFO()).toBe(true);
});

test.each([
  ['get test:zmumu 1-3 -o x.root', 2, /names no format/],
  ['get test:zmumu 1-3 --format root', 2, /--format/],
  ['get test:zmumu 1-3 --output=', 2, /has no name/],
  ['get test:zmumu 3-1', 2, /comes before/],
  ['get test:zmumu 0-1', 2, /not an event range/],
  ['get zmumu 1-3', 2, /not a dataset's name/],
  ['get test:zmumu', 2, /missing required argument/],
  ['get test:zmumu 1-3 --bogus', 2, /unknown option/],
  ['bogus', 2, /unknown command/],
  ['get test:zmumu 1-3 --server nowhere', 2, /not an http address/],
  ['get test:nobody 1-3', 1, /DATASET_NOT_FOUND/],
  ['get test:zmumu 19999-20001', 1, /BEYOND_DATASET/],
  ['get test:zmumu 1-3 --columns nonsense', 1, /UNKNOWN_COLUMN/],
  ['datasets declare test:zmumu --generator minbias --events 5', 1, /DATASET_CONFLICT/],
  ['datasets declare test:other --generator minbias --events 1e3', 2, /whole number/],
  ['datasets declare test:other --generator minbias --events 5 --parameters {', 2, /JSON object/],
  ['datasets audit test:zmumu', 1, /not built yet/],
  ['report tradeoff', 1, /not built yet/],
  ['--help', 0, /^$/],
])('evoke %s ends with %i', async (line, code, said) => {
  const args = line.split(' ');
  const asks = /^(get|datasets declare)/.test(line) && !line.includes('--server');
  const outcome = await evoke([...args, ...(asks ? server() : [])]);
  expect({ code: outcome.code, stderr: outcome.stderr }).toEqual({ code, stderr: expect.stringMatching(said) });
  if (code === 1) expect(outcome.stderr.trim().split('\n')).toHaveLength(1);
  expect(outcome.stderr).not.toContain('    at ');
});

test('the service is the one of --server, else of EVOKE_SERVER', async () => {
  const environment = { EVOKE_SERVER: service.url };
  expect(await evoke(['datasets'], environment)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('test:zmumu'),
  });
  const nowhere = { EVOKE_SERVER: 'http://127.0.0.1:9' };
  expect(await evoke(['datasets', ...server()], nowhere)).toMatchObject({ code: 0 });
});

test('datasets and plans are told to people in columns, and to programs as the service tells them', async () => {
  const people = await evoke(['datasets', ...server()]);
  expect(people.stdout).toMatch(/^DATASET .*\ntest:zmumu +20000 +10 +ee_mumu@1\n$/);
  const { items } = JSON.parse((await evoke(['datasets', 'list', '--json', ...server()])).stdout);
  expect(items).toMatchObject([{ scope: 'test', name: 'zmumu', events: 20000 }]);
  const plan = JSON.parse((await evoke(['plan', 'test:zmumu', '1-20000', '--json', ...server()])).stdout);
  expect(plan).toMatchObject({ runs: expect.any(Array), total: { cpuSeconds: expect.any(Number) } });
  expect((await evoke(['plan', 'test:zmumu', '1-20000', ...server()])).stdout).toMatch(/^CHUNKS +MEANS[\s\S]*\ntotal /);
  expect((await evoke(['generators', ...server()])).stdout).toMatch(/ee_mumu[\s\S]*minbias/);
});

test('evict, pin, unpin and retire do what they say', async () => {
  await evoke(['datasets', 'declare', 'test:short', '--generator', 'minbias', '--events', '10', ...server()]);
  await evoke(['get', 'test:short', '1-10', ...server()]);
  const shown = async () => JSON.parse((await evoke(['datasets', 'show', 'test:short', '--json', ...server()])).stdout);
  expect(await shown()).toMatchObject({ materializedChunks: 1, pinned: false });
  await evoke(['datasets', 'pin', 'test:short', '--reason', 'for a test', ...server()]);
  expect(await evoke(['datasets', 'evict', 'test:short', ...server()])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('PINNED'),
  });
  await evoke(['datasets', 'unpin', 'test:short', ...server()]);
  expect(await evoke(['datasets', 'evict', 'test:short', '1-10', ...server()])).toMatchObject({ code: 0 });
  expect(await shown()).toMatchObject({ materializedChunks: 0 });
  await evoke(['datasets', 'retire', 'test:short', ...server()]);
  expect(await evoke(['get', 'test:short', '1-10', ...server()])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('RETIRED'),
  });
});

test('a part that an earlier run left is gone on with, whatever lies behind its last whole batch', async () => {
  const folder = await temporaryFolder();
  const file = join(folder, 'events.arrows');
  await evoke(['get', 'test:zmumu', '1-20000', '-o', file, ...server()]);
  const whole = await readFile(file);
  const response = await fetch(`${service.url}/v1/datasets/test/zmumu/events/1-20000.arrows`, { method: 'HEAD' });
  const tag = response.headers.get('etag')?.slice(1, 17);
  await mkdir(join(folder, 'again'));
  const part = join(folder, 'again', `.events.arrows.${tag}.part`);
  await writeFile(part, Buffer.concat([whole.subarray(0, Math.floor(whole.length * 0.6)), Buffer.alloc(999)]));
  await evoke(['get', 'test:zmumu', '1-20000', '-o', join(folder, 'again', 'events.arrows'), ...server()]);
  expect(await readdir(join(folder, 'again'))).toEqual(['events.arrows']);
  expect(await readFile(join(folder, 'again', 'events.arrows'))).toEqual(whole);
});
