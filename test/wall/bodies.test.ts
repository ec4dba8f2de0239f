// Every route that takes a body, under bodies of every wrong kind: a refusal in the documented form, in bounded time, and
// nothing of what was refused is written down.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { z } from 'zod';
import type { Route } from '../../api/route.ts';
import { routes } from '../../api/routes.ts';
import { FsStore } from '../../store/fs-store.ts';
import { TestService } from '../api/harness.ts';
import { bodyOf, goodPath } from './hostile.ts';
import { checkAnswer, shown, speak, type WireAnswer } from './wire.ts';

const bodyBytes = 256 * 1024;

let service: TestService;
let store: FsStore;
beforeAll(async () => {
  service = await TestService.start({
    worker: false,
    env: { EVOKE_WAIT_SECONDS: '0.1', EVOKE_BODY_BYTES: String(bodyBytes) },
  });
  store = new FsStore(`${service.dataDir}/store`);
  await service.declare('d', { generator: 'quick', events: 100, chunkEvents: 10 });
});
afterAll(() => service.stop());

const bodied = routes.filter((route): route is Route & { body: z.ZodType } => route.body !== undefined);
const aRoute = fc.constantFrom(...bodied);

/** Names of what is written down for good: what a process notes of its own work is not. */
async function kept(): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await store.list('', after === undefined ? {} : { after });
    names.push(...page.map(({ name }) => name));
    after = page.at(-1)?.name;
    if (page.length === 0) return names.filter((name) => !name.startsWith('ledger/'));
  }
}

interface Sent {
  readonly path: string;
  readonly method: string;
  readonly headers?: string;
  readonly body: Buffer;
}

async function send({ method, path, headers = 'Content-Type: application/json', body }: Sent): Promise<WireAnswer> {
  const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\nContent-Length: ${body.length}\r\n\r\n`;
  const told = `${method} ${path} ${shown(headers)} ${shown(body)}`;
  const { answers, end } = await speak(service.url, [head, body]);
  expect(end, told).not.toBe('silent');
  expect(answers.length, told).toBe(1);
  const [answer] = answers as [WireAnswer];
  checkAnswer(answer, told);
  const defects = service.log.lines.filter(({ level }) => level === 'error');
  expect(defects, told).toEqual([]);
  return answer;
}

/** Sends it to a dataset of its own, so that whatever comes into being is of this request. */
let count = 0;
function target(route: Route): string {
  const isDeclaration = route.method === 'PUT' && route.path === '/v1/datasets/{scope}/{name}';
  return isDeclaration ? `/v1/datasets/wall/n${count++}` : goodPath(route);
}

test('bodies that are almost right are answered as documented, and only what was accepted is kept', async () => {
  const before = new Set(await kept());
  const declared: string[] = [];
  let batches = 0;
  const property = fc.asyncProperty(
    aRoute.chain((route) => bodyOf(route.body).map((text) => ({ route, text }))),
    async ({ route, text }) => {
      const path = target(route);
      const { status } = await send({ method: route.method, path, body: Buffer.from(text, 'latin1') });
      if (status === 201 && path.startsWith('/v1/datasets/'))
        declared.push(`datasets/${path.slice('/v1/datasets/'.length)}.json`);
      else if (status === 201) batches++;
    },
  );
  await fc.assert(property, { numRuns: 250 });
  const added = (await kept()).filter((name) => !before.has(name));
  expect(added.filter((name) => name.startsWith('datasets/')).sort()).toEqual(declared.sort());
  expect(added.filter((name) => /^batches\/[^.]+\.json$/.test(name)).length).toBe(batches);
  const others = added.filter((name) => !/^(datasets|batches|requests|holds)\//.test(name));
  expect(others.filter((name) => !/^(pins|retired)\/test\/(d|wrong)\.json$/.test(name))).toEqual([]);
});

const deep = 100_000;
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
const refusals: readonly (readonly [string, Omit<Sent, 'method' | 'path'>, readonly number[]])[] = [
  ['lists nested a hundred thousand deep', { body: Buffer.from('['.repeat(deep) + ']'.repeat(deep)) }, [400]],
  ['objects nested without end', { body: Buffer.from('{"a":'.repeat(40_000)) }, [400]],
  [
    'numbers beyond all',
    { body: Buffer.from(`[${'9'.repeat(100_000)},1e999999999,-1e999999999]`) },
    [400, 413, 422, 501],
  ],
  [
    'twenty thousand unknown keys',
    { body: Buffer.from(`{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":0`).join(',')}}`) },
    [400, 422, 501],
  ],
  ['a hundred thousand nulls', { body: Buffer.from(`[${'null,'.repeat(50_000)}null]`) }, [400, 413, 422, 501]],
  ['a string that fills the bound', { body: Buffer.from(`"${'x'.repeat(bodyBytes - 2)}"`) }, [400, 422, 501]],
  // A list of event ranges has a bound of its own.
  ['more than the bound', { body: Buffer.alloc(bodyBytes + 1, 0x20) }, [400, 413]],
  ['blanks alone', { body: Buffer.alloc(1000, 0x20) }, [400]],
  ['UTF-16', { body: Buffer.from('\ufeff{}', 'utf16le') }, [400]],
  [
    'UTF-16, and says so',
    { headers: 'Content-Type: application/json; charset=utf-16', body: Buffer.from('{}', 'utf16le') },
    [415],
  ],
  ['Latin-1', { body: Buffer.from('{"reason":"\u00e9"}', 'latin1') }, [400]],
  ['a surrogate written in UTF-8', { body: Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]) }, [400]],
  ['a NUL', { body: Buffer.from('{}\u0000') }, [400]],
  [
    'a decompression bomb',
    { headers: 'Content-Type: application/json\r\nContent-Encoding: gzip', body: bomb.subarray(0, bodyBytes) },
    [415],
  ],
  ['a bomb that does not say so', { body: bomb.subarray(0, bodyBytes) }, [400]],
  [
    'many encodings',
    { headers: 'Content-Type: application/json\r\nContent-Encoding: gzip, br, zstd, deflate', body: Buffer.from('{}') },
    [415],
  ],
  [
    'two types',
    { headers: 'Content-Type: application/json\r\nContent-Type: text/plain', body: Buffer.from('{}') },
    [415],
  ],
  ['a type of a page', { headers: 'Content-Type: text/plain', body: Buffer.from('{}') }, [415]],
  ['a form', { headers: 'Content-Type: multipart/form-data; boundary=x', body: Buffer.from('--x--') }, [415]],
];

test.each(refusals)('%s: refused by every route that takes a body', async (_, sent, statuses) => {
  const before = await kept();
  for (const route of bodied) {
    const { status } = await send({ method: route.method, path: target(route), ...sent });
    expect(statuses, `${route.method} ${route.path} ${status}`).toContain(status);
  }
  expect(await kept()).toEqual(before);
});

test('a length beyond all bounds is refused before anything of the body is there', async () => {
  for (const route of bodied) {
    const head = `${route.method} ${target(route)} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json`;
    const { answers } = await speak(service.url, `${head}\r\nContent-Length: ${Number.MAX_SAFE_INTEGER}\r\n\r\n`);
    expect(answers[0]?.status, route.path).toBe(413);
  }
});

test('bodies in chunks, cut, too long, or with more behind them are refused or wait for the rest, and leave nothing', async () => {
  const before = await kept();
  const json = '{"generator":"quick","seed":1,"events":10}';
  const chunked = (body: string) => ['Transfer-Encoding: chunked', body] as const;
  const cases: readonly (readonly [readonly [header: string, body: string], readonly number[]])[] = [
    [chunked(`${json.length.toString(16)};name="value";x\r\n${json}\r\n`), [400]],
    [chunked(`5\r\n${json}\r\n0\r\n\r\n`), [400]],
    [chunked(`-5\r\n${json}\r\n0\r\n\r\n`), [400]],
    [chunked(`fffffffffffffffff\r\n${json}`), [400]],
    [chunked(`1;${'x'.repeat(20_000)}\r\n{\r\n0\r\n\r\n`), [400]],
    [chunked(`1\r\n{\r\n0\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`), [400, 431]],
    [[`Transfer-Encoding: gzip, chunked`, `2\r\n{}\r\n0\r\n\r\n`], [415]],
    [[`Content-Length: ${json.length + 1}`, json], [400]],
    [[`Content-Length: ${json.length - 1}`, json], [400]],
    [[`Content-Length: ${2 ** 53}`, json], [413]],
  ];
  for (const [[header, body], statuses] of cases) {
    const text = `PUT /v1/datasets/wall/framed HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${header}\r\n\r\n${body}`;
    const { answers, end } = await speak(service.url, text, { halfClose: true });
    expect(end, shown(text)).not.toBe('silent');
    for (const answer of answers) {
      checkAnswer(answer, shown(text));
      expect(statuses, `${shown(text)} ${answer.status}`).toContain(answer.status);
    }
  }
  expect(await kept()).toEqual(before);
  // Chunks with extensions and trailers are well-formed: they are read as if they had none.
  const fine = `PUT /v1/datasets/wall/framed HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${json.length.toString(16)};a=b\r\n${json}\r\n0\r\nX: y\r\n\r\n`;
  expect((await speak(service.url, fine)).answers[0]).toMatchObject({ status: 201 });
});

test('what a body says never becomes a header, and never another line of the log', async () => {
  const evil = 'x\r\nSet-Cookie: evil=1\r\n\r\n<script>';
  const texts = [
    { generator: evil, seed: 1, events: 1 },
    { generator: 'quick', seed: 1, events: 1, [evil]: 1 },
    { dataset: evil },
    { reason: evil, expiresAt: evil },
    [{ eventRangeID: evil, LFN: evil, scope: evil, GUID: evil, startEvent: 1, lastEvent: 1 }],
  ].map((value) => JSON.stringify(value));
  for (const route of bodied) {
    for (const text of texts) {
      const answer = await send({ method: route.method, path: target(route), body: Buffer.from(text) });
      expect(answer.headers.map(([name]) => name)).not.toContain('set-cookie');
      // What is echoed is echoed as JSON.
      expect(answer.body).not.toContain('\r\nSet-Cookie');
    }
  }
});
