// Who may speak to a service without access control: this machine, by its own names, and no page of elsewhere through a browser.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkHost, checkSite } from '../../api/host-guard.ts';
import { TestService } from '../api/harness.ts';
import { checkAnswer, shown, speak } from './wire.ts';

const foreign = 'FOREIGN_HOST';

function passes(host: string | undefined, origin?: string): boolean {
  try {
    checkHost(host, origin);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: foreign });
    return false;
  }
}

/** As a browser understands an authority: the address it would connect to, where it is one of this machine. */
function isLoopback(authority: string): boolean {
  const url = URL.canParse(`http://${authority}/`) ? new URL(`http://${authority}/`) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '' || url.pathname !== '/') return false;
  return url.hostname === 'localhost' || url.hostname === '[::1]' || /^127(\.\d+){3}$/.test(url.hostname);
}

const pieces = [
  'localhost',
  'LOCALHOST',
  'localhost.',
  '127.0.0.1',
  '127.1',
  '127.0.0.256',
  '127.999.0.1',
  '127.0.0.010',
  '2130706433',
  '0x7f.0.0.1',
  '0177.0.0.1',
  '0.0.0.0',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::ffff:127.0.0.1]',
  '[::]',
  '::1',
  'evil.example',
  '127.0.0.1.evil.example',
  'localhost.evil.example',
  'evil.example:80@localhost',
  '@',
  ':',
  ':80',
  ':99999',
  ':0',
  '.',
  '/',
  '\\',
  '?',
  '#',
  ' ',
  ',',
  '%6c',
  '\u00e9',
  '\u2024',
  '\u0131',
  'xn--',
];
const authority = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.constantFrom(...pieces), { maxLength: 4 }).map((parts) => parts.join('')) },
  { weight: 1, arbitrary: fc.string({ maxLength: 30 }) },
  { weight: 1, arbitrary: fc.ipV4().map(String) },
  { weight: 1, arbitrary: fc.webAuthority() },
);

test('an authority that passes is one that a browser takes for this machine', () => {
  fc.assert(
    fc.property(authority, (host) => {
      if (passes(host)) expect(isLoopback(host.replace(/:\d*$/, '')), shown(host)).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test('an origin passes only as http or https of this machine', () => {
  const scheme = fc.constantFrom(
    'http://',
    'https://',
    'HTTP://',
    'file://',
    'chrome-extension://',
    'http:',
    '//',
    '',
    'null',
  );
  fc.assert(
    fc.property(scheme, authority, (start, host) => {
      const origin = `${start}${host}`;
      if (!passes('localhost', origin)) return;
      expect(origin, shown(origin)).toMatch(/^https?:\/\//i);
      expect(isLoopback(host.replace(/:\d*$/, '')), shown(origin)).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test.each(['cross-site', 'same-site', 'same-origin', 'none', undefined, 'Cross-Site', ''])(
  'a request of a %s page without an origin passes unless the page is foreign and it is no link',
  (site) => {
    for (const destination of ['image', 'iframe', 'script', 'empty', 'style', 'audio', '', undefined, 'document']) {
      const check = () => checkSite(site, destination);
      if (site === 'cross-site' && destination !== 'document') expect(check).toThrow(/not of this machine/);
      else expect(check).not.toThrow();
    }
  },
);

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ worker: false });
});
afterAll(() => service.stop());

test.each([
  ['no host', '', 403],
  ['an empty host', 'Host:\r\n', 403],
  ['two hosts', 'Host: localhost\r\nHost: localhost\r\n', 400],
  ['two hosts in one', 'Host: localhost, evil.example\r\n', 400],
  ['a host with a user', 'Host: evil@localhost\r\n', 403],
  ['a host with a blank', 'Host: local host\r\n', 403],
  ['a trailing dot', 'Host: localhost.\r\n', 403],
  ['capitals and blanks around', 'Host: \t LocalHost:8080 \t\r\n', 200],
  ['another spelling of an address', 'Host: 0x7f000001\r\n', 403],
  ['IPv6', 'Host: [::1]\r\n', 200],
  ['IPv6 without brackets', 'Host: ::1\r\n', 403],
  ['a forwarded host', 'Host: localhost\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n', 200],
  ['a foreign origin', 'Host: localhost\r\nOrigin: http://evil.example\r\n', 403],
  ['two origins', 'Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n', 403],
  ['an empty origin', 'Host: localhost\r\nOrigin:\r\n', 403],
  ['an image of a foreign page', 'Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: image\r\n', 403],
  ['a link on a foreign page', 'Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: document\r\n', 200],
  ['a page of another port', 'Host: localhost\r\nSec-Fetch-Site: cross-site\r\nOrigin: http://127.0.0.1:3000\r\n', 200],
])('%s', async (what, lines, status) => {
  for (const version of ['1.0', '1.1']) {
    const text = `GET /healthz HTTP/${version}\r\n${lines}Connection: close\r\n\r\n`;
    const { answers } = await speak(service.url, text);
    expect(
      answers.map((answer) => answer.status),
      `${what} ${version}`,
    ).toEqual([status]);
    for (const answer of answers) checkAnswer(answer, shown(text));
  }
});

test('whatever Host, Origin and target say, a foreign one is never served', async () => {
  const text = (part: string) => part.replace(/[^\x21-\x7e]/g, '');
  await fc.assert(
    fc.asyncProperty(authority.map(text), authority.map(text), fc.boolean(), async (host, other, isAbsolute) => {
      const target = isAbsolute ? `http://${other}/healthz` : '/healthz';
      const request = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      const { answers } = await speak(service.url, request);
      for (const answer of answers) {
        checkAnswer(answer, shown(request));
        const named = isAbsolute ? other : host;
        if (answer.status === 200) expect(isLoopback(named.replace(/:\d*$/, '')), shown(request)).toBe(true);
      }
    }),
    { numRuns: 150 },
  );
});
