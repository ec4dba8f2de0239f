// What somebody who means harm would write into a path, a query, a header or a body: as fast-check arbitraries, so that every
// failure prints its seed and shrinks.
import fc from 'fast-check';
import { z } from 'zod';
import type { Route } from '../../api/route.ts';

/** Where names, numbers and paths are expected. */
const classics: readonly string[] = [
  '..',
  '.',
  '...',
  '%2e%2e',
  '%252e%252e%252f',
  '..%2f..%2fetc%2fpasswd',
  '%00',
  '%',
  '%zz',
  '%u002e',
  '%c0%ae%c0%ae',
  '..\\..',
  '..;',
  ';x=1',
  '.json',
  'd.json',
  '.part',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  '*',
  '~',
  '$(id)',
  '`id`',
  "'--",
  '"',
  '<script>',
  '{{7*7}}',
  '#{7*7}',
  'null',
  'undefined',
  'NaN',
  'true',
  '-1',
  '0',
  '1e9',
  '0x10',
  '9007199254740993',
  '1-2',
  '1-9007199254740991',
  '9999999999999999-9999999999999999',
  '1-2.arrows',
  'a'.repeat(200),
  'a'.repeat(201),
  'a'.repeat(5000),
  'test',
  'd',
  'test:d',
  '00000000-0000-0000-0000-000000000000',
  '20300601T120000000-1a2b3c4d',
];

/** Text of one byte a character, as a request line or a header can carry it: no CR, no LF. */
export const wireText = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 1, max: 255 }), { maxLength })
    .map((codes) => String.fromCharCode(...codes).replace(/[\r\n]/g, ' '));

/** Printable ASCII without blanks: what a client's library lets through. */
const plainText = fc
  .array(fc.integer({ min: 0x21, max: 0x7e }), { maxLength: 24 })
  .map((codes) => String.fromCharCode(...codes));

export const segment: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...classics) },
  { weight: 2, arbitrary: plainText },
  { weight: 1, arbitrary: wireText(12) },
);

/** What the parameters of paths are, where they are as they should be; `test:d` is for the test to declare. */
export const goodValues: Readonly<Record<string, string>> = {
  scope: 'test',
  name: 'd',
  range: '1-3',
  chunk: '0',
  asset: 'page.css',
  file: '1-3.ndjson',
};

export function goodPath(route: Route): string {
  // What is retired answers nothing else from then on.
  const values = route.path.endsWith('/retired') ? { ...goodValues, name: 'wrong' } : goodValues;
  return route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? 'x');
}

/** A path of a route with something else for some of its parameters, or around it. */
function hostilePath(route: Route): fc.Arbitrary<string> {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
  const values = names.map((name) =>
    fc.oneof({ weight: 2, arbitrary: fc.constant(goodValues[name] ?? 'x') }, { weight: 1, arbitrary: segment }),
  );
  const filled = fc.tuple(...values).map((given) => {
    let i = 0;
    return route.path.replaceAll(/\{\w+\}/g, () => given[i++] ?? '');
  });
  const around = fc
    .tuple(
      fc.constantFrom('', '/', '//', '/.', '/x/..', '/v1/..'),
      fc.constantFrom('', '/', '//', '/..', ';', '#x', '%20', '%00', '.json', '/x', '\\'),
    )
    .map(([before, after]) => `${before}${goodPath(route)}${after}`);
  return fc.oneof({ weight: 3, arbitrary: filled }, { weight: 1, arbitrary: around });
}

/** A request without a body to a route of the table: hostile in one part or in all. */
export function hostileRequest(routes: readonly Route[]): fc.Arbitrary<{ method: string; text: string }> {
  // A stream that is found lasts: those are tried by themselves.
  return fc.constantFrom(...routes.filter(({ path }) => !path.endsWith('/stream'))).chain((route) => {
    const part = fc.constantFrom('method', 'path', 'query', 'headers', 'headers', 'all');
    const method = fc.constantFrom(
      'GET',
      'HEAD',
      'PUT',
      'POST',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'PURGE',
      'LOCK',
    );
    const parts = fc.tuple(part, method, hostilePath(route), queryOf(route), headerLines);
    return parts.map(([where, otherMethod, path, query, lines]) => {
      const isHostile = (name: string) => where === name || where === 'all';
      const verb = isHostile('method') ? otherMethod : route.method;
      const target = `${isHostile('path') ? path : goodPath(route)}${isHostile('query') ? query : ''}`;
      const head = `Host: localhost\r\n${isHostile('headers') ? lines : ''}Connection: close`;
      return { method: verb, text: `${verb} ${target} HTTP/1.1\r\n${head}\r\n\r\n` };
    });
  });
}

const queryName = (known: readonly string[]) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...known, 'limit', 'after', 'columns', 'format') },
    { weight: 1, arbitrary: fc.constantFrom('__proto__', 'a[]', 'a[b]', 'constructor', 'limit[]', 'toString', '') },
    { weight: 1, arbitrary: plainText },
  );

/** A query string, with its `?`, or nothing. */
function queryOf(route: Route): fc.Arbitrary<string> {
  const pair = fc
    .tuple(queryName(Object.keys(route.query.shape)), fc.constantFrom('=', '', '=='), segment)
    .map(([name, equals, value]) => `${name}${equals}${value}`);
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant('') },
    { weight: 3, arbitrary: fc.array(pair, { maxLength: 4 }).map((pairs) => `?${pairs.join('&')}`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('?', '??', '?&', '?%', '?=', `?limit=${'9'.repeat(6000)}`, `?${'a&'.repeat(2000)}`),
    },
  );
}

const headerNames = [
  'Accept',
  'Range',
  'If-None-Match',
  'If-Match',
  'If-Range',
  'If-Modified-Since',
  'Prefer',
  'Cache-Control',
  'TE',
  'Last-Event-ID',
  'Content-Type',
  'Content-Encoding',
  'Origin',
  'Authorization',
  'Cookie',
  'Accept-Encoding',
  'X-HTTP-Method-Override',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'Sec-Fetch-Site',
  'Upgrade',
  'Via',
] as const;

const headerValues: readonly string[] = [
  '*/*',
  'application/vnd.apache.arrow.stream',
  'text/csv;q=0.1, */*;q=0',
  `${'a/b;q=0.'.repeat(300)}1`,
  ','.repeat(2000),
  'bytes=0-',
  'bytes=-1',
  'bytes=5-1',
  'bytes=0-0,1-1,2-2',
  `bytes=${'0-0,'.repeat(800)}`,
  `bytes=${'9'.repeat(400)}-`,
  'bytes=-0',
  'chunks=0-1',
  '*',
  '"x"',
  'W/"x"',
  `"${'x'.repeat(3000)}"`,
  `${'"a",'.repeat(900)}`,
  '"unended',
  'Thu, 01 Jan 1970 00:00:00 GMT',
  'respond-async',
  'respond-async, wait=0',
  'respond-async; wait=99999999999999999999',
  `wait="${'\\"'.repeat(900)}`,
  'only-if-cached',
  'no-cache, only-if-cached="x"',
  'trailers',
  'trailers;q=0',
  'gzip',
  'null',
  'http://localhost',
  'cross-site',
  'h2c',
  'a'.repeat(4000),
];

/** Header lines, each with its line end. */
export const headerLines: fc.Arbitrary<string> = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 20, arbitrary: fc.constantFrom<string>(...headerNames) }, { weight: 1, arbitrary: plainText }),
      fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...headerValues) }, { weight: 1, arbitrary: wireText(20) }),
    ),
    { maxLength: 3 },
  )
  .map((lines) => lines.map(([name, value]) => `${name}: ${value}\r\n`).join(''));

/** JSON texts of values that are almost what a schema describes: its own fields, with anything in them. */
export function bodyOf(schema: z.ZodType): fc.Arbitrary<string> {
  const described = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as { properties?: object };
  const fields = [...new Set([...Object.keys(described.properties ?? {}), 'eventRanges', '__proto__', 'constructor'])];
  const value = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom<unknown>(...plausible) },
    { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  );
  const entry = fc.tuple(fc.constantFrom(...fields), value);
  const object = fc
    .array(entry, { maxLength: 8 })
    // Keys may come twice.
    .map(
      (entries) => `{${entries.map(([key, given]) => `${JSON.stringify(key)}:${JSON.stringify(given)}`).join(',')}}`,
    );
  return fc.oneof(
    { weight: 6, arbitrary: object },
    { weight: 1, arbitrary: fc.array(object, { maxLength: 3 }).map((objects) => `[${objects.join(',')}]`) },
    { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 4 }).map((given) => JSON.stringify(given)) },
    { weight: 2, arbitrary: fc.constantFrom(...oddTexts) },
  );
}

const plausible: readonly unknown[] = [
  'quick',
  'minbias',
  'ee_mumu',
  '1',
  {},
  { mean: 20 },
  { mean: -1, k: 'x', nothing: null },
  1,
  0,
  -1,
  5,
  100,
  1e308,
  Number.MAX_SAFE_INTEGER,
  'test:d',
  'test:absent',
  '../../etc:passwd',
  '2999-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999-23:59',
  '+275760-09-13T00:00:00Z',
  true,
  null,
  [],
  'paused',
  'running',
  'x'.repeat(2000),
  '\u0000\r\nSet-Cookie: x=1',
  '\ud800',
  [{ eventRangeID: '../../x', LFN: '\r\nX: y', scope: '..', startEvent: 1, lastEvent: 1e16 }],
  { eventsPerFile: 1, lfn: '../{n:06}' },
];

const oddTexts: readonly string[] = [
  '',
  ' ',
  '\u00ef\u00bb\u00bf{}',
  '{}{}',
  '{"a":1',
  '[1,]',
  '01',
  '1e99999',
  '-0',
  '"\\ud800"',
  '{"seed":1,"seed":2}',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '"\u0000"',
  `${'['.repeat(5000)}`,
  `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`,
  `[${'0,'.repeat(5000)}0]`,
  `{"seed":${'9'.repeat(3000)}}`,
  'NaN',
  '\u00ff\u00fe{\u0000}\u0000',
];
