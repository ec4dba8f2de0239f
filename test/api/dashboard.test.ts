// The first page as it is served: whole, guarded by its policy, asked for again without being sent again.
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestService } from './harness.ts';

const folder = new URL('../../dashboard/', import.meta.url);
const types: Readonly<Record<string, string>> = { html: 'text/html', css: 'text/css', js: 'text/javascript' };
const files = readdirSync(folder).filter((name) => types[name.split('.').at(-1) ?? ''] !== undefined);
const targets = files.map((name) => [name, name === 'index.html' ? '/' : `/page/${name}`] as const);

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ worker: false });
});
afterAll(() => service.stop());

test.each(targets)('%s is served as it lies in the folder, compressed for who takes that', async (name, target) => {
  const text = readFileSync(new URL(name, folder));
  const plain = await service.call(target);
  expect(plain.status).toBe(200);
  expect(plain.body.equals(text)).toBe(true);
  expect(plain.headers).toMatchObject({
    'content-type': `${types[name.split('.').at(-1) ?? '']}; charset=utf-8`,
    'content-length': String(text.length),
    'cache-control': 'no-cache',
    vary: 'Accept-Encoding',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  });
  expect(plain.headers['content-encoding']).toBeUndefined();
  const small = await service.call(target, { headers: { 'accept-encoding': 'br, GZIP;q=0.5' } });
  expect(small.headers['content-encoding']).toBe('gzip');
  expect(small.body.length).toBe(Number(small.headers['content-length']));
  expect(gunzipSync(small.body).equals(text)).toBe(true);
  expect(small.headers.etag).not.toBe(plain.headers.etag);
});

test.each(['identity', 'gzip;q=0', 'gzip; q=0.000', 'br', '', 'xgzip', '*;q=0'])(
  'who accepts "%s" gets it as it is',
  async (accepted) => {
    const reply = await service.call('/', { headers: { 'accept-encoding': accepted } });
    expect(reply.headers['content-encoding']).toBeUndefined();
    expect(reply.text()).toContain('<!doctype html>');
  },
);

test('the policy lets the page load from this service alone, and nobody frame it', async () => {
  for (const [, target] of targets) {
    const given = String((await service.call(target)).headers['content-security-policy']).split('; ');
    expect(given).toEqual([
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "connect-src 'self'",
      "img-src 'self' data:",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]);
  }
});

test('a browser that has it is told so, for the encoding that it has', async () => {
  const gzip = { 'accept-encoding': 'gzip' };
  const { etag = '' } = (await service.call('/', { headers: gzip })).headers;
  const again = await service.call('/', { headers: { ...gzip, 'if-none-match': etag } });
  expect(again.status).toBe(304);
  expect(again.body.length).toBe(0);
  expect(again.headers.etag).toBe(etag);
  expect((await service.call('/', { headers: { 'if-none-match': etag } })).status).toBe(200);
  expect((await service.call('/', { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
});

test('HEAD has the headers of GET', async () => {
  const get = await service.call('/');
  const head = await service.call('/', { method: 'HEAD' });
  for (const name of ['etag', 'content-length', 'content-type']) expect(head.headers[name]).toBe(get.headers[name]);
});

test.each(['tsconfig.json', 'none.js', '__proto__', 'constructor', '..', 'page.js.gz', 'PAGE.JS'])(
  '/page/%s is not there',
  async (name) => {
    expect((await service.call(`/page/${name}`)).status).toBe(404);
  },
);

test.each(['/page/../package.json', '/page/', '/page', '/page/sub/page.js', '//', '/index.html'])(
  '%s is not there',
  async (target) => {
    expect((await service.call(target)).status).toBe(404);
  },
);

test('the page is read only', async () => {
  expect((await service.call('/', { method: 'POST' })).status).toBe(405);
  expect((await service.call('/page/page.js', { method: 'DELETE' })).status).toBe(405);
});
