// Every route of the table under adversarial paths, queries and headers, and request lines that no client would write: an
// answer in bounded time, in the documented form, that tells nothing of the inside.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { routes } from '../../api/routes.ts';
import { TestService } from '../api/harness.ts';
import { eventually } from '../eventually.ts';
import { headerLines, hostileRequest, segment, wireText } from './hostile.ts';
import { checkAnswer, open, shown, speak } from './wire.ts';

let service: TestService;
beforeAll(async () => {
  // A chunk that is absent is refused soon: there is no worker.
  service = await TestService.start({ worker: false, env: { EVOKE_WAIT_SECONDS: '0.1', EVOKE_BODY_BYTES: '4096' } });
  await service.declare('d', { generator: 'quick', events: 100, chunkEvents: 10 });
});
afterAll(async () => {
  expect(complaints()).toEqual([]);
  await service.stop();
});

function complaints(): unknown[] {
  return service.log.lines.filter(({ level }) => level === 'error');
}

async function checkRequest(text: string, head = false): Promise<void> {
  const spoken = await speak(service.url, text, { head });
  const told = shown(text);
  expect(spoken.end, told).not.toBe('silent');
  expect(spoken.answers.length, told).toBe(1);
  for (const answer of spoken.answers) checkAnswer(answer, told);
  expect(complaints(), told).toEqual([]);
}

test('every route answers adversarial paths, queries and headers as documented', async () => {
  await fc.assert(
    fc.asyncProperty(hostileRequest(routes), ({ method, text }) => checkRequest(text, method === 'HEAD')),
    { numRuns: 300 },
  );
});

test('request lines that are none are answered or end the connection', async () => {
  const line = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('GET', 'get', 'G@T', '', 'CONNECT', 'PRI', 'GET\t', 'SOURCE'),
        segment,
        fc.constantFrom(...versions),
      )
      .map(([method, target, version]) => `${method} ${target} ${version}`),
    fc
      .tuple(fc.constantFrom(...targets), fc.constantFrom(...versions))
      .map(([target, version]) => `GET ${target} ${version}`),
    wireText(60),
  );
  await fc.assert(
    fc.asyncProperty(line, headerLines, async (first, lines) => {
      const text = `${first}\r\nHost: localhost\r\n${lines}Connection: close\r\n\r\n`;
      // Whoever sends half a request and no more is told so as well.
      const spoken = await speak(service.url, text, { halfClose: true });
      expect(spoken.end, shown(text)).not.toBe('silent');
      for (const answer of spoken.answers) checkAnswer(answer, shown(text));
    }),
    { numRuns: 200 },
  );
  expect(complaints()).toEqual([]);
});

const versions = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/9.9', 'http/1.1', 'HTTP/1.1 ', '', 'ICE/1.0'];
const targets = [
  '*',
  'localhost:80',
  'http://localhost',
  'http://localhost/healthz',
  'http://localhost/healthz#x',
  'http://user:pass@localhost/healthz',
  'http://localhost\\@evil.example/healthz',
  'HTTP://LOCALHOST:1/healthz',
  'http:///healthz',
  // Not to be read as a URL.
  'http://[::ffff:127.0.0.1]localhost/healthz',
  'http://[/healthz',
  'http://localhost:x/healthz',
  'http://[::1]/healthz',
  'https://localhost/healthz',
  'file:///etc/passwd',
  '//localhost/healthz',
  '///healthz',
  '/healthz?\\',
  '\\healthz',
  '/v1\\generators',
  '/v1\\generators#',
  '/\u00e9',
  '/\u0000',
  '/%2e%2e/%2e%2e/etc/passwd',
  `/${'a'.repeat(7990)}`,
  `/${'a'.repeat(8100)}`,
  `/${'../'.repeat(2600)}`,
  `/${'a'.repeat(40_000)}`,
  `/v1/datasets?after=${'a'.repeat(100_000)}`,
];

const framing = [
  'Content-Length: -1',
  'Content-Length: 00',
  'Content-Length: +2',
  'Content-Length: 2, 2',
  'Content-Length: 2\r\nContent-Length: 2',
  'Content-Length: 99999999999999999999',
  'Content-Length: 0x2',
  'Content-Length: 2 ',
  'Content-Length : 2',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 2',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding\t: chunked',
  'Transfer-Encoding: chun\r\n ked',
  'X: a\r\n b',
  'X: a\rb',
  'X: a\u0000b',
  ': a',
  ' X: a',
  'X a',
  'Trailer: Content-Length',
  'Expect: 100-continue',
  'Expect: 100-continue, wonders',
  'Upgrade: websocket\r\nConnection: Upgrade',
];
const bodies = [
  '',
  '{}',
  '2\r\n{}\r\n0\r\n\r\n',
  '2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n',
  'g\r\n',
  '-1\r\n',
  `2;${'a'.repeat(17_000)}\r\n{}\r\n0\r\n\r\n`,
  'ffffffffffffffffff\r\n',
];

test('framing that two readers could take differently is never taken for two requests', async () => {
  const smuggled = 'GET /v1/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...framing), { minLength: 1, maxLength: 3 }),
      fc.constantFrom(...bodies),
      fc.constantFrom('PUT /v1/datasets/test/d/pin', 'GET /healthz', 'DELETE /v1/datasets/test/d/pin'),
      async (lines, body, first) => {
        const text = `${first} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${lines.join('\r\n')}\r\n\r\n${body}${smuggled}`;
        const { answers, end } = await speak(service.url, text, { answers: 2, halfClose: true });
        const told = shown(text);
        expect(end, told).not.toBe('silent');
        for (const answer of answers) checkAnswer(answer, told);
        // Both a length and chunks, or two lengths: nobody may see a second request behind such a first one.
        const isAmbiguous = /Transfer-Encoding.*Content-Length: 2|Content-Length: 2\r\nContent-Length/s.test(text);
        if (isAmbiguous)
          expect(
            answers.every(({ status }) => status >= 400),
            told,
          ).toBe(true);
      },
    ),
    { numRuns: 200 },
  );
  expect(complaints()).toEqual([]);
});

test('event ranges, byte ranges and conditions of any shape are answered as documented', async () => {
  const number = fc.oneof(
    fc.constantFrom(
      '0',
      '1',
      '2',
      '99',
      '100',
      '101',
      '9007199254740991',
      '9999999999999999',
      '-1',
      '+1',
      '1e2',
      '01',
      '',
    ),
    fc.nat().map(String),
  );
  const range = fc
    .tuple(
      number,
      fc.constantFrom('-', '--', '', '–', ':'),
      number,
      fc.constantFrom('', '.arrows', '.ndjson', '.parquet', '.hepmc3', '.', '.exe'),
    )
    .map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'HEAD'),
      fc.constantFrom('events', 'plan', 'materialization', 'provenance'),
      range,
      headerLines,
      (method, of, what, lines) =>
        checkRequest(
          `${method} /v1/datasets/test/d/${of}/${what} HTTP/1.1\r\nHost: localhost\r\n${lines}Connection: close\r\n\r\n`.replace(
            '–',
            '\u0096',
          ),
          method === 'HEAD',
        ),
    ),
    { numRuns: 200 },
  );
});

test('a target is refused over 8000 characters, headers over their bound, and CONNECT always', async () => {
  const get = (target: string, lines = '') =>
    speak(service.url, `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${lines}Connection: close\r\n\r\n`);
  const [long] = (await get(`/${'a'.repeat(8000)}`)).answers;
  expect(long).toMatchObject({ status: 414 });
  const [longest] = (await get(`/${'a'.repeat(200_000)}`)).answers;
  expect(longest).toMatchObject({ status: 431 });
  const [many] = (await get('/healthz', 'a:b\r\n'.repeat(5000))).answers;
  expect(many).toMatchObject({ status: 431 });
  const connected = await speak(service.url, 'CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  expect(connected.answers[0]).toMatchObject({ status: 400 });
  for (const { answers } of [connected]) for (const answer of answers) checkAnswer(answer, 'CONNECT');
});

test('a target that no URL can be is refused like every other request', async () => {
  for (const target of [
    'http://[::1]x/healthz',
    'http://[/healthz',
    'http://localhost:99999999/healthz',
    'http://\\/',
  ]) {
    const { answers } = await speak(
      service.url,
      `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    expect([400, 403], target).toContain(answers[0]?.status);
    for (const answer of answers) checkAnswer(answer, target);
  }
});

test('a fragment, a backslash or a byte beyond ASCII in a target never reaches a route', async () => {
  for (const target of [
    '/healthz#',
    '/healthz#x',
    '/v1\\generators#',
    '/healthz?#',
    '/healthz?x=\\',
    '/healthz?\u00e9',
  ]) {
    const { answers } = await speak(
      service.url,
      `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    expect(answers[0]?.status, target).toBe(400);
  }
});

test('a request too large to read, with more behind it, leaves no connection that nobody can end', async () => {
  // The rest arrives when the answer has ended the service's side: a reset is not possible any more.
  const sockets = Array.from({ length: 20 }, () => {
    const socket = open(service.url);
    socket.on('error', () => undefined);
    socket.write(`GET /${'a'.repeat(300_000)} HTTP/1.1\r\n`);
    return socket;
  });
  const connections = async () => Number(/evoke_connections (\d+)/.exec((await service.call('/metrics')).text())?.[1]);
  await eventually(async () => expect(await connections()).toBe(1));
  for (const socket of sockets) socket.destroy();
});
