// The client for Python, run by the python3 of this machine: against a real api, and against one that cuts and lies. Without
// pyarrow, which is not installed where these tests run; a small module in its place tries what is done with it, not pyarrow.
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { errorCatalogue } from '../../core/errors.ts';
import { TestService } from '../api/harness.ts';
import { eventually } from '../eventually.ts';
import { temporaryFolder } from '../temp.ts';
import { type Fault, StandIn } from './stand-in.ts';

const client = fileURLToPath(new URL('../../client/', import.meta.url));
/** Itself, and not a launcher that chooses it anew each time. */
const interpreter = spawnSync('python3', [
  '-c',
  'import sys; print(sys.executable if sys.version_info >= (3, 8) else "")',
])
  .stdout?.toString('utf8')
  .trim();
/** Skipped only where there is no python3 of 3.8 or newer. */
const pythonTest = test.skipIf(!interpreter);

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
  const path = await service.declare('mb', { generator: 'minbias', events: 400, chunkEvents: 100 });
  expect(path).toBe('/v1/datasets/test/mb');
});
afterAll(() => service.stop());

interface Ran {
  readonly code: number | null;
  readonly out: Buffer;
  readonly err: string;
}

function python(args: readonly string[], server: string, more: { path?: string; env?: NodeJS.ProcessEnv } = {}) {
  const path = more.path === undefined ? client : `${client}:${more.path}`;
  const env = { EVOKE_SERVER: server, PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1', NO_PROXY: '*', ...more.env };
  const child = spawn(interpreter, args, { env: { PATH: process.env['PATH'], ...env } });
  return new Promise<Ran>((resolve, reject) => {
    const out: Buffer[] = [];
    let err = '';
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => {
      err += bytes.toString('utf8');
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out: Buffer.concat(out), err }));
  });
}

/** What a script says as JSON. In it, `waits` has the pauses that were not made. */
async function script(text: string, server: string, more: { path?: string; env?: NodeJS.ProcessEnv } = {}) {
  const begin = 'import json, sys, evoke\nwaits = []\nevoke.time.sleep = waits.append\n';
  const ran = await python(['-c', begin + text], server, more);
  expect(ran.err).toBe('');
  expect(ran.code).toBe(0);
  return JSON.parse(ran.out.toString('utf8')) as unknown;
}

/** What reading some events of the stand-in came to: `WrongAnswerError: …`, or how many there are. */
const attempts = `
def attempt(first, last, columns=None, format="arrow"):
    try:
        return sum(events for _, events in evoke.Evoke(tries=4).stream("demo:zmumu", first, last, columns, format))
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)
`;

test('the service hands out the file, by its tag', async () => {
  const reply = await service.call('/client/evoke.py');
  expect(reply.headers).toMatchObject({ 'content-type': 'text/x-python; charset=utf-8', 'cache-control': 'no-cache' });
  expect(reply.body).toEqual(await readFile(join(client, 'evoke.py')));
  const { etag = '' } = reply.headers;
  expect((await service.call('/client/evoke.py', { headers: { 'if-none-match': etag } })).status).toBe(304);
  expect((await service.call('/client/evoke.py', { method: 'HEAD' })).headers.etag).toBe(etag);
  expect((await service.call('/client/evoke.py', { headers: { 'accept-encoding': 'gzip' } })).headers).toMatchObject({
    'content-encoding': 'gzip',
  });
});

pythonTest(
  'without pyarrow, read gives a list per column, jagged ones of lists, and batches add up to it',
  async () => {
    const reply = await service.call('/v1/datasets/test/mb/events/51-350?columns=event,GenPart_pt');
    const rows = reply
      .text()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const found = await script(
      `
evoke.LINES_PER_BATCH = 70
columns = ["event", "GenPart_pt"]
batches = list(evoke.iter_batches("test:mb", 51, 350, columns))
json.dump([evoke.read("test:mb", 51, 350, columns=columns), [len(batch["event"]) for batch in batches], batches[4]["event"]], sys.stdout)`,
      service.url,
    );
    const column = (name: string) => rows.map((row) => row[name]);
    const whole = { event: column('event'), GenPart_pt: column('GenPart_pt') };
    expect(found).toEqual([whole, [70, 70, 70, 70, 20], whole.event.slice(280)]);
  },
);

pythonTest('on the command line, events go to standard output, byte for byte as the service has them', async () => {
  const lines = await service.call('/v1/datasets/test/mb/events/1-300?columns=event');
  const read = await python([join(client, 'evoke.py'), 'read', 'test:mb', '1-300', '--columns', 'event'], service.url);
  expect(read).toMatchObject({ code: 0, err: '' });
  expect(read.out).toEqual(lines.body);
  const stream = await service.call('/v1/datasets/test/mb/events/1-300.arrows');
  const arrow = await python(['-m', 'evoke', 'read', 'test:mb', '1-300', '--format', 'arrow'], service.url);
  expect(arrow.out).toEqual(stream.body);
  for (const [args, code] of [
    [['read', 'test:mb', '1-401'], 1],
    [['read', 'test:mb', '0-4'], 2],
    [['read', 'mb', '1-4'], 2],
  ] as const) {
    const refused = await python(['-m', 'evoke', ...args], service.url);
    expect(refused.code, args.join(' ')).toBe(code);
    expect(refused.err).not.toContain('Traceback');
  }
});

pythonTest('datasets, dataset, declare and plan say what the service says', async () => {
  const found = await script(
    `
first = evoke.declare("test:declared", "ee_mumu", 3, 100, parameters={"sqrtS": 200})
again = evoke.declare("test:declared", "ee_mumu", 3, 100, parameters={"sqrtS": 200})
names = [dataset["name"] for dataset in evoke.datasets()]
try:
    evoke.declare("test:declared", "ee_mumu", 4, 100)
    code = None
except evoke.EvokeError as error:
    code = error.code
shown = evoke.dataset("test:declared")
json.dump([first == again == shown, names, code, evoke.plan("test:declared", 1, 10)["total"]["chunks"]], sys.stdout)`,
    service.url,
  );
  expect(found).toEqual([true, ['declared', 'mb'], 'DATASET_CONFLICT', 1]);
});

pythonTest('however often and wherever the connection is cut, the bytes are the same', async () => {
  const standIn = await StandIn.start();
  const cuts = fc.sample(fc.nat(3000), { numRuns: 60, seed: 4 });
  const ranges = Array.from({ length: 16 }, (_, i) => [1 + (i % 9), 30 + 4 * i]);
  for (const format of ['arrow', 'ndjson']) {
    standIn.faults = cuts.map((cutAfter) => ({ cutAfter }));
    const found = await script(
      `
import hashlib
service = evoke.Evoke(tries=200)
def read(first, last):
    return b"".join(piece for piece, _ in service.stream("demo:zmumu", first, last, None, ${JSON.stringify(format)})).hex()
json.dump([read(*span) for span in ${JSON.stringify(ranges)}], sys.stdout)`,
      standIn.url,
    );
    expect(found).toEqual(ranges.map(([first = 0, last = 0]) => standIn.body(format, first, last).toString('hex')));
  }
});

pythonTest('what is not what was asked for is refused', async () => {
  const standIn = await StandIn.start();
  const tagged = (body: Buffer) => (response: ServerResponse) =>
    response.setHeader('etag', standIn.tag('1-32', 'arrow')).end(body);
  const whole = standIn.body('arrow', 1, 32);
  const liar = Buffer.from(standIn.body('arrow', 17, 32).toString('latin1').replace('\0one\0', '\0two\0'), 'latin1');
  const cases: [Fault[], RegExp | number][] = [
    [[{ short: 9 }], /WrongAnswerError: .*events 1-23, not 1-32/],
    [[{ answer: tagged(standIn.body('arrow', 2, 33)) }], /WrongAnswerError: .*events 2-33/],
    [[{ answer: tagged(Buffer.concat([whole, whole])) }], /WrongAnswerError: .*after its end/],
    [[{ answer: tagged(Buffer.from('<html>welcome</html>')) }], /WrongAnswerError: .*not Arrow/],
    [[{ answer: tagged(whole.subarray(0, whole.length - 8)) }], 32],
    [[{ answer: tagged(whole.subarray(0, whole.length - 300)) }], 32],
    [[{ cutAfter: 1250 }, { answer: tagged(liar) }], /WrongAnswerError: .*(others than before|events 17-32)/],
    [[{ status: 404, code: 'DATASET_NOT_FOUND' }], /EvokeError: No\. \(DATASET_NOT_FOUND\)/],
    [[{ status: 502, code: 'GENERATION_FAILED' }], /EvokeError/],
    [Array.from({ length: 4 }, () => ({ status: 503 })), /EvokeError: The service answered with status 503/],
    [[], 32],
  ];
  standIn.faults = cases.flatMap(([faults]) => faults);
  const found = (await script(
    `${attempts}\njson.dump([attempt(1, 32) for _ in range(${cases.length})], sys.stdout)`,
    standIn.url,
  )) as (string | number)[];
  for (const [i, [faults, outcome]] of cases.entries()) {
    if (typeof outcome === 'number') expect(found[i], JSON.stringify(faults)).toBe(outcome);
    else expect(found[i], JSON.stringify(faults)).toMatch(outcome);
  }
});

pythonTest('a wrong digest is told, with the answer or behind it, and a right one is no obstacle', async () => {
  const standIn = await StandIn.start();
  standIn.digest = 'wrong';
  const untold: Fault = {
    answer: (response, body) => response.setHeader('etag', standIn.tag('1-32', 'arrow')).end(body),
  };
  standIn.faults = [{}, untold];
  const wrong = `${attempts}\njson.dump([attempt(1, 32), attempt(1, 32)], sys.stdout)`;
  expect(await script(wrong, standIn.url)).toEqual([
    expect.stringMatching(/WrongAnswerError: .*digest/),
    expect.stringMatching(/WrongAnswerError: .*digest/),
  ]);
  standIn.digest = 'right';
  standIn.faults = [{ cutAfter: 1500 }, { cutAfter: 1500 }, untold];
  expect(await script(wrong, standIn.url)).toEqual([32, 32]);
});

pythonTest('other bytes after the interruption are refused', async () => {
  const standIn = await StandIn.start();
  standIn.faults = [
    {
      answer: (response, body) => {
        response.setHeader('etag', standIn.tag('1-64', 'arrow'));
        standIn.writer = 'two';
        response.write(body.subarray(0, 2000), () => response.socket?.resetAndDestroy());
      },
    },
  ];
  const found = await script(`${attempts}\njson.dump(attempt(1, 64), sys.stdout)`, standIn.url);
  expect(found).toMatch(/WrongAnswerError: .*other bytes/);
});

pythonTest('Retry-After is waited for, in seconds and as a date, within reason, and tries are bounded', async () => {
  const standIn = await StandIn.start();
  const inAnHour = new Date(Date.now() + 3_600_000).toUTCString();
  standIn.faults = [
    { status: 503, code: 'OVERLOADED', retryAfter: '3' },
    { status: 429, retryAfter: new Date(Date.now() - 9000).toUTCString() },
    { status: 503, retryAfter: 'soon' },
    {},
    { status: 503, retryAfter: '86400' },
    { status: 503, retryAfter: inAnHour },
  ];
  const found = await script(
    `${attempts}
outcomes = [attempt(1, 8), list(waits), attempt(1, 8), attempt(1, 8)]
waits.clear()
evoke.RETRY_AFTER_SECONDS_MAX = 7200
json.dump(outcomes + [attempt(1, 8), waits], sys.stdout)`,
    standIn.url,
  );
  const refused = expect.stringMatching(/EvokeError/);
  const own = expect.toSatisfy((seconds: number) => seconds >= 0.5 && seconds <= 1);
  expect(found).toEqual([8, [3, 0, own], refused, refused, 8, []]);
  standIn.faults = [{ status: 503, retryAfter: inAnHour }];
  const patient = `${attempts}\nevoke.RETRY_AFTER_SECONDS_MAX = 7200\njson.dump([attempt(1, 8), waits], sys.stdout)`;
  const hour = expect.toSatisfy((seconds: number) => seconds > 1800 && seconds <= 3600);
  expect(await script(patient, standIn.url)).toEqual([8, [hour]]);
});

pythonTest('a token goes to the service, and not to where a redirection leads, nor into a message', async () => {
  const [standIn, elsewhere] = [await StandIn.start(), await StandIn.start()];
  standIn.faults = [
    { answer: (response, _, { url }) => response.writeHead(307, { location: `${elsewhere.url}${url}` }).end() },
  ];
  const env = { BEARER_TOKEN: 'secret-1' };
  expect(await script(`${attempts}\njson.dump(attempt(1, 8), sys.stdout)`, standIn.url, { env })).toBe(8);
  expect(standIn.tokens[0]).toBe('Bearer secret-1');
  expect(elsewhere.tokens[0]).toBeUndefined();
  const bad = `${attempts}\njson.dump(attempt(1, 8), sys.stdout)`;
  expect(await script(bad, standIn.url, { env: { BEARER_TOKEN: 'secret-2\nx' } })).not.toContain('secret');
});

pythonTest('whoever leaves the loop leaves the connection', async () => {
  let closed = false;
  const standIn = await StandIn.start();
  standIn.faults = [
    {
      answer: (response, body) => {
        response.on('close', () => {
          closed = true;
        });
        response.write(body.subarray(0, 2000));
      },
    },
  ];
  const asked = createServer((_, response) => {
    void eventually(() => expect(closed).toBe(true)).then(() => response.end('[]'));
  });
  await new Promise<void>((listening) => asked.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    asked.close();
  });
  const { port } = asked.address() as AddressInfo;
  // The script lives until the stand-in has seen the connection go.
  const found = await script(
    `
import urllib.request
for piece, events in evoke.Evoke().stream("demo:zmumu", 1, 64):
    if events:
        break
json.dump([events, json.load(urllib.request.urlopen("http://127.0.0.1:${port}/"))], sys.stdout)`,
    standIn.url,
  );
  expect(found).toEqual([8, []]);
  expect(standIn.requests).toHaveLength(1);
});

pythonTest('with something in the place of pyarrow, every batch goes through it once and is counted', async () => {
  const path = await temporaryFolder();
  await mkdir(join(path, 'pyarrow'));
  await writeFile(
    join(path, 'pyarrow', '__init__.py'),
    `
class Table:
    @staticmethod
    def from_batches(batches, schema=None):
        return {"schema": schema, "rows": [batch.num_rows for batch in batches]}
`,
  );
  await writeFile(
    join(path, 'pyarrow', 'ipc.py'),
    `
import os

class Batch:
    def __init__(self, num_rows):
        self.num_rows = num_rows
    def validate(self, *, full=False):
        assert full

class Reader:
    schema = "the schema"
    def __init__(self, rows):
        self._rows = rows
    def read_next_batch(self):
        return Batch(self._rows.pop(0) + int(os.environ.get("TOO_MANY", "0")))

def open_stream(source):
    import evoke
    pieces = evoke._Messages(False, "1-64", None).push(source)
    assert [events for _, events in pieces][0] == 0 and pieces[-1] == (evoke.END_MARKER, 0) and len(pieces) == 3
    return Reader([pieces[1][1]])
`,
  );
  const standIn = await StandIn.start();
  standIn.faults = [{ cutAfter: 1500 }, { cutAfter: 1500 }];
  const table = 'json.dump(evoke.read("demo:zmumu", 1, 64), sys.stdout)';
  expect(await script(table, standIn.url, { path })).toEqual({ schema: 'the schema', rows: Array(8).fill(8) });
  const lied = await python(['-c', `import evoke\nevoke.read("demo:zmumu", 1, 64)`], standIn.url, {
    path,
    env: { TOO_MANY: '1' },
  });
  expect(lied.err).toContain('WrongAnswerError: A record batch has 9 events, not 8.');
});

pythonTest('it tries again after the codes that the catalogue says may pass, and after no others', async () => {
  const toClients = Object.entries(errorCatalogue).filter(
    ([code]) => !['ALREADY_RUNNING', 'BAD_SETTINGS', 'PEERS_DISAGREE'].includes(code),
  );
  const found = await script(
    `
kinds = ${JSON.stringify(toClients.map(([code, { status }]) => [code, status]))}
json.dump([code for code, status in kinds if evoke.EvokeError(status, {"code": code}).retryable], sys.stdout)`,
    service.url,
  );
  expect(found).toEqual(toClients.filter(([, { retryable }]) => retryable).map(([code]) => code));
});
