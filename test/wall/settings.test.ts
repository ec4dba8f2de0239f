// Settings under any text: a configuration, or one message that names every bad variable; never a crash, and no secret in it.
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { type Config, readConfig, settings } from '../../config/settings.ts';
import { EvokeError } from '../../core/errors.ts';

const names = Object.values(settings).map(({ name }) => `EVOKE_${name}`);

/** Texts that mean something to some reader of some setting, and texts that mean nothing to any. */
const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  { weight: 2, arbitrary: fc.string({ maxLength: 40 }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '0',
      '-0',
      '1e309',
      'Infinity',
      'NaN',
      '0x10',
      '1_000',
      '٣',
      '１２',
      '99999999999999999999999',
      '1.',
      '.5',
      '1'.repeat(5000),
      ' 8080',
      '8080\n',
      'true',
      'file:',
      'file://',
      'file:///',
      'file:////',
      'file://host/share',
      'file:///a%00b',
      'file:///a#b',
      'file:///a?b',
      'file://[',
      'file:\u0000',
      's3://',
      's3://bucket',
      's3://bucket/../..',
      's3://[::1]/x',
      's3://bucket?endpoint=javascript:alert(1)',
      's3://bucket?endpoint=http://169.254.169.254/latest',
      's3://%62ucket',
      'unix:',
      'unix://',
      'redis://',
      'redis:',
      'redis://:0',
      'rediss://[::1]:6379/15',
      'redis://host:99999',
      'localhost',
      '127.0.0.999',
      '127.0.0.01',
      '::1',
      '__proto__',
      'toString',
      '../../../etc/passwd',
      '$(reboot)',
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom('s3://', 'redis://', 'file:', 'unix://'), fc.string({ maxLength: 30 }))
      .map((parts) => parts.join('')),
  },
  { weight: 1, arbitrary: fc.webUrl({ withQueryParameters: true, withFragments: true }) },
);

function read(environment: Record<string, string>): Config | string {
  try {
    const config = readConfig(environment);
    expect(Object.isFrozen(config)).toBe(true);
    return config;
  } catch (error) {
    expect(error).toBeInstanceOf(EvokeError);
    expect(error).toMatchObject({ code: 'BAD_SETTINGS' });
    return (error as EvokeError).message;
  }
}

test('any text for any setting is a configuration or a message that names it, its unit, and what it should be', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), text, (name, value) => {
      const outcome = read({ [name]: value });
      if (typeof outcome !== 'string') return;
      const setting = Object.values(settings).find((known) => `EVOKE_${known.name}` === name);
      expect(outcome).toContain('One setting was refused:');
      expect(outcome).toContain(`  ${name}="`);
      expect(outcome).toContain(`(${setting?.unit}; default `);
      // What it should be is said in our words: the system's own help nobody.
      expect(outcome).toMatch(/ should be \S/);
      expect(outcome).not.toMatch(/Invalid URL|ERR_|TypeError|must be/);
      // A line for the head and one for the setting, whatever was in it; nothing that a terminal would obey, and no end of it.
      expect(outcome.split('\n').length).toBe(2);
      expect(outcome.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
      expect(outcome.length).toBeLessThan(1000);
    }),
    { numRuns: 4000 },
  );
});

test('a number that is read lies within what its setting says, and is one', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), text, (name, value) => {
      const outcome = read({ [name]: value });
      if (typeof outcome === 'string') return;
      for (const given of Object.values(outcome))
        if (typeof given === 'number') expect(given).toBeGreaterThanOrEqual(0);
      for (const given of Object.values(outcome)) expect(given).not.toBeNaN();
    }),
    { numRuns: 1000 },
  );
});

test('all that is wrong is named at once, unknown variables too, and what is not ours is left alone', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...names, 'EVOKE_', 'EVOKE_X', 'evoke_port', 'PORT', 'EVOKE___proto__'), text),
      (environment) => {
        const outcome = read(environment);
        const lines = typeof outcome === 'string' ? outcome.split('\n') : [];
        for (const unknown of ['EVOKE_X', 'EVOKE___proto__', 'EVOKE_']) {
          const isNamed = lines.some((line) => line.startsWith(`  ${unknown} is not a setting`));
          expect(isNamed).toBe((environment[unknown] ?? '') !== '');
        }
        expect(lines.some((line) => /^ {2}(evoke_port|PORT)/.test(line))).toBe(false);
      },
    ),
    { numRuns: 500 },
  );
});

test('every Redis that is accepted can be tried: it leads to one host and database, or one socket, and nothing throws', () => {
  const address = fc
    .tuple(
      fc.constantFrom('redis://', 'rediss://', 'unix://', 'redis:', 'unix:', 'Redis://', 'unix:///'),
      fc.constantFrom('', 'user:pass@', ':p%40ss@', '%zz@', ':%zz@', '@'),
      fc.constantFrom('', 'host', '[::1]', '127.0.0.1', 'tmp/redis.sock', '/tmp/redis.sock'),
      fc.constantFrom('', ':6379', ':0', ':x', ':99999'),
      fc.constantFrom(
        '',
        '/',
        '/3',
        '/x',
        '/1/2',
        '/%zz',
        '//',
        '?family=9',
        '?host=evil.example',
        '#x',
        ' ',
        '\u0000',
      ),
    )
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(address, (url) => {
      const outcome = read({ EVOKE_REDIS_URL: url });
      if (typeof outcome === 'string') return;
      const redis = new Redis(url, { lazyConnect: true });
      const { host, port, path, db } = redis.options;
      redis.disconnect();
      expect(Number.isInteger(db), url).toBe(true);
      if (url.startsWith('unix:')) expect(path, url).toMatch(/^\/+[^/]/);
      else expect([host !== '', Number.isInteger(port), path], url).toEqual([true, true, undefined]);
    }),
    { numRuns: 2000 },
  );
});

test('a password in an address is never repeated', () => {
  const secret = 'hunter2Hunter2';
  const around = fc.constantFrom('', ':', '@', '/', '?', '#', '&', '=', ' ', '%40', '://', 'x');
  const shape = fc.tuple(
    fc.constantFrom('EVOKE_REDIS_URL', 'EVOKE_STORE', 'EVOKE_HOST', 'EVOKE_REDIS_PREFIX', 'EVOKE_PORT'),
    fc.constantFrom('redis://', 'rediss://', 's3://', 'http://', 'https://', 'unix://', 'redis:', 'S3://', 'redis:/'),
    around,
    fc.constantFrom('user:', ':', 'AKIA:', ''),
    around,
    fc.constantFrom('@host', '@host:99999', '@', '@host/0', '@[bad', '@bucket/prefix'),
  );
  fc.assert(
    fc.property(shape, ([name, scheme, before, user, after, host]) => {
      const outcome = read({ [name]: `${scheme}${before}${user}${secret}${after}${host}` });
      if (typeof outcome === 'string') expect(outcome).not.toContain(secret);
    }),
    { numRuns: 2000 },
  );
});
