// The command line under any words: exit code 0, 1 or 2, errors on one line, never a stack; and the same when what answers it is
// no service, or one that means harm.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { run } from '../../cli/program.ts';

const home = process.cwd();
let folder: string;
beforeAll(async () => {
  // Commands write files where they are told to, and a relative name is told often here.
  folder = await mkdtemp(join(tmpdir(), 'evoke-'));
  process.chdir(folder);
  // Many commands in one process: each listens to the streams for as long as the process lives.
  process.stdout.setMaxListeners(0);
});
afterAll(async () => {
  process.chdir(home);
  await rm(folder, { recursive: true, force: true });
});

let said: { out: string; err: string };
beforeEach(() => {
  // Nobody listens there.
  vi.stubEnv('EVOKE_PORT', '1');
  vi.stubEnv('EVOKE_DATA_DIR', join(folder, 'data'));
  const keep = (to: 'out' | 'err') => (text: string | Uint8Array) => {
    said[to] += String(text);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(keep('out') as typeof process.stdout.write);
  vi.spyOn(process.stderr, 'write').mockImplementation(keep('err') as typeof process.stderr.write);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

/** Runs a command line and holds what is true of every one. */
async function checked(words: readonly string[]): Promise<number> {
  said = { out: '', err: '' };
  process.exitCode = undefined;
  const code = await run(['node', 'evoke', ...words]);
  const told = `evoke ${JSON.stringify(words)} → ${code}\n${said.err.slice(0, 600)}`;
  expect([0, 1, 2], told).toContain(code);
  expect(said.err, told).not.toMatch(
    /^\s+at |node:internal|TypeError|RangeError|Cannot read|is not a function|undefined/m,
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  expect(said.err, told).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  if (code !== 0) expect(said.err.trim(), told).not.toBe('');
  // Ours is one line; the parser adds where to find help.
  const ours = said.err.split('\n').filter((line) => line.startsWith('evoke: '));
  if (ours.length > 0 && !said.err.includes('refused:')) expect(said.err.trimEnd().split('\n').length, told).toBe(1);
  return code;
}

/** Those that end by themselves. */
const commands: readonly (readonly string[])[] = [
  [],
  ['help'],
  ['generators'],
  ['settings'],
  ['datasets'],
  ['datasets', 'list'],
  ['datasets', 'declare'],
  ['datasets', 'show'],
  ['datasets', 'evict'],
  ['datasets', 'pin'],
  ['datasets', 'unpin'],
  ['datasets', 'retire'],
  ['datasets', 'audit'],
  ['get'],
  ['plan'],
  ['batch'],
  ['batch', 'create'],
  ['batch', 'list'],
  ['batch', 'pause'],
  ['batch', 'resume'],
  ['batch', 'cancel'],
  ['report', 'cost'],
  ['report', 'tradeoff'],
  ['check'],
  ['rebuild'],
  ['replay'],
  ['prefetch'],
  ['token', 'create'],
  ['nonsense'],
];

const options = [
  '--json',
  '--csv',
  '--format',
  '--columns',
  '--output=x.ndjson',
  '-o',
  '--events',
  '--seed',
  '--generator',
  '--parameters',
  '--chunk-events',
  '--priority',
  '--deadline',
  '--budget-cost',
  '--hold',
  '--pin',
  '--reason',
  '--expires-at',
  '--after',
  '--from',
  '--to',
  '--by',
  '--dataset',
  '--repair',
  '--help',
  '--version',
  '--',
  '-',
  '--__proto__',
  '--constructor=x',
];
const values = [
  'demo:zmumu',
  '1-1000',
  '1-9007199254740991',
  '2-1',
  '..:..',
  '../../etc:passwd',
  'a:b:c',
  ':',
  '',
  ' ',
  '-1',
  '0',
  '1e9',
  'NaN',
  '{"mean": 3}',
  '{"__proto__": 1}',
  '[1]',
  '{',
  '2030-06-01T12:00:00Z',
  '+275760-09-13T00:00:00.001Z',
  'yesterday',
  'minbias',
  'arrow',
  'event,GenPart_pt',
  ',',
  '20300601T120000000-1a2b3c4d',
  '../../batches',
  'x\ny',
  '\u001b[31mred\u001b[0m\u0007',
  '\u009b31m',
  '\ud800',
  'é'.repeat(300),
];
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...values) },
  { weight: 3, arbitrary: fc.constantFrom(...options) },
  { weight: 1, arbitrary: fc.string({ maxLength: 12 }).filter((text) => !text.startsWith('/')) },
);

test('any words after any command end with 0, 1 or 2, and an error that is a line', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...commands), fc.array(word, { maxLength: 6 }), async (command, rest) => {
      await checked([...command, ...rest]);
    }),
    { numRuns: 400 },
  );
});

test('what a command is not given, is given twice or too much of is wrong use', async () => {
  for (const words of [
    ['get'],
    ['get', 'a:b'],
    ['get', 'a', '1-2'],
    ['get', 'a:b', '1--2'],
    ['get', 'a:b', '1-2', 'x'],
    ['get', 'a:b', '1-2', '--format', 'exe'],
    ['get', '../..:x', '1-2'],
    ['prefetch'],
    ['prefetch', '--ranges', 'x'],
    ['prefetch', '--ranges', 'x', '--out', 'y', '--ahead', '0'],
    ['datasets', 'declare', 'a:b'],
    ['datasets', 'declare', 'a:b', '--generator', 'x', '--events', '1e9'],
    ['datasets', 'show', '..:..'],
    ['plan', 'a:b', '2-1'],
    ['batch', 'create', 'a:b', '--priority', '10'],
    ['start', '--nonsense'],
    ['api', 'x'],
    ['worker', '--json'],
    ['scheduler', '-x'],
    ['nonsense'],
    ['generators', '--server', 'ftp://localhost'],
    ['generators', '--server', 'http://['],
  ]) {
    expect(await checked(words), words.join(' ')).toBe(2);
  }
});

test('a server that is none, or takes a password in its address, is a line that does not repeat it', async () => {
  const secret = 'hunter2';
  for (const server of [
    'http://127.0.0.1:1',
    `http://user:${secret}@127.0.0.1:1`,
    'http://nothing.invalid',
    'http://[::1]:1',
  ]) {
    for (const words of [['generators'], ['datasets', 'show', 'a:b'], ['get', 'a:b', '1-2'], ['batch', 'list']]) {
      const code = await checked([...words, '--server', server]);
      expect([1, 2]).toContain(code);
      expect(said.err + said.out).not.toContain(secret);
    }
  }
});

let answer: { status: number; type: string; body: string | Buffer };
let server: Server;
beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume();
    response.writeHead(answer.status, { 'content-type': answer.type });
    response.end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const evil = '\u001b]0;owned\u0007\u009b31m\u202e\r\nevoke: all is well';
const shapes: readonly unknown[] = [
  null,
  0,
  'text',
  [],
  {},
  { items: null, next: null },
  { items: [null, 0, 'x', []], next: null },
  {
    items: [{ scope: evil, name: evil, events: {}, generator: [], columns: 'x', id: evil, reason: evil }],
    next: null,
  },
  { items: [{ cpuSeconds: 'x', cost: null, chunks: 1e308, done: -1 }], next: 5 },
  { columns: [null, 1], runs: [null], total: 7, state: evil, id: evil, chunks: evil, expiresAt: evil },
  { runs: [{ firstChunk: evil, why: evil }], total: { seconds: 'x' } },
  { rows: [{}], total: {}, from: evil, currency: evil },
  {
    detail: evil,
    title: evil,
    code: evil,
    hint: evil,
    status: 'x',
    errors: [null, { path: evil, message: evil }],
  },
];
const asking: readonly (readonly string[])[] = [
  ['generators'],
  ['datasets'],
  ['datasets', 'show', 'a:b'],
  ['datasets', 'declare', 'a:b', '--generator', 'x', '--events', '1'],
  ['datasets', 'pin', 'a:b'],
  ['datasets', 'retire', 'a:b'],
  ['datasets', 'evict', 'a:b', '1-2'],
  ['plan', 'a:b', '1-2'],
  ['batch', 'list'],
  ['batch', 'create', 'a:b'],
  ['batch', 'pause', 'x'],
  ['batch', 'cancel', 'x'],
  ['report', 'cost'],
];

test('whatever a server answers becomes output or a line, and nothing that a terminal obeys', async () => {
  const body = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...shapes).map((value) => JSON.stringify(value)) },
    { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: fc.constantFrom('', '{', '<html>', evil, '['.repeat(50_000), 'x'.repeat(200_000)) },
  );
  const status = fc.constantFrom(200, 200, 201, 204, 301, 400, 403, 404, 409, 422, 500, 501);
  const type = fc.constantFrom('application/json', 'application/problem+json', 'text/html', 'x');
  const { port } = server.address() as AddressInfo;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...asking),
      status,
      type,
      body,
      fc.boolean(),
      async (words, code, mediaType, text, asJson) => {
        answer = { status: code, type: mediaType, body: [204, 304].includes(code) ? '' : text };
        await checked([...words, '--server', `http://127.0.0.1:${port}`, ...(asJson ? ['--json'] : [])]);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
        if (!asJson) expect(said.out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
      },
    ),
    { numRuns: 250 },
  );
});
