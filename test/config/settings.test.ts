import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig, settings } from '../../config/settings.ts';

test('an empty environment gives the documented defaults, frozen', () => {
  const config = readConfig({ PATH: '/bin', EVOKE_REDIS_URL: '' });
  expect(config).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    workerThreads: availableParallelism(),
    chunkSeconds: 2,
    windowBytes: 512 * 1024 * 1024,
    memoryBytes: 256 * 1024 * 1024,
    clientRequests: 64,
    attempts: 3,
    cpuCoreHour: 0.012,
    currency: 'EUR',
    noInstall: false,
  });
  expect(config.redisUrl).toBeUndefined();
  expect(config.store).toBeUndefined();
  expect(config.dataDir).toBe(resolve('data'));
  expect(Object.isFrozen(config)).toBe(true);
});

test('one message names every bad variable, its value, unit and default', () => {
  const environment = {
    EVOKE_PORT: '80a',
    EVOKE_CHUNK_SECONDS: '-1',
    EVOKE_HOST: '0.0.0.0',
    EVOKE_TOKENS: '[]',
    EVOKE_PROT: '8080',
  };
  let message = '';
  try {
    readConfig(environment);
  } catch (error) {
    message = String(error);
    expect(error).toMatchObject({ code: 'BAD_SETTINGS' });
  }
  expect(message).toContain('5 settings were refused');
  expect(message).toContain('EVOKE_PORT="80a" (port; default 8080) should be a whole number from 0 to 65535');
  expect(message).toContain('EVOKE_CHUNK_SECONDS="-1" (CPU seconds; default 2)');
  expect(message).toContain('EVOKE_HOST="0.0.0.0" (address; default 127.0.0.1) should be a loopback address');
  expect(message).toContain('EVOKE_TOKENS is not honoured yet');
  expect(message).toContain('EVOKE_PROT is not a setting of Evoke');
});

test.each([
  ['EVOKE_STORE', 's3://bucket/prefix'],
  ['EVOKE_STORE', 'file:'],
  ['EVOKE_STORE', '/srv/evoke'],
  ['EVOKE_STORE', 'file:/a,file:/b'],
  ['EVOKE_REDIS_URL', 'http://127.0.0.1'],
  ['EVOKE_REDIS_URL', 'not a url'],
  ['EVOKE_REDIS_PREFIX', 'a{b}'],
  ['EVOKE_WORKER_THREADS', '0'],
  ['EVOKE_WORKER_THREADS', '2.5'],
  ['EVOKE_CAPACITY_BYTES', '10 GiB'],
  ['EVOKE_CPU_CORE_HOUR', '1e3'],
  ['EVOKE_CURRENCY', 'euro'],
  ['EVOKE_LOG_LEVEL', 'loud'],
])('%s=%s is refused', (variable, value) => {
  expect(() => readConfig({ [variable]: value })).toThrow(expect.objectContaining({ code: 'BAD_SETTINGS' }));
});

test('a file store is given as an absolute path', () => {
  expect(readConfig({ EVOKE_STORE: 'file:/srv/evoke' }).store).toBe('/srv/evoke');
  expect(readConfig({ EVOKE_STORE: 'file:///srv/evoke' }).store).toBe('/srv/evoke');
  expect(readConfig({ EVOKE_STORE: 'file:chunks' }).store).toBe(resolve('chunks'));
});

test('every setting says what it means, in which unit', () => {
  for (const setting of Object.values(settings)) {
    expect(setting.name).toMatch(/^[A-Z][A-Z0-9_]*$/);
    expect(setting.meaning.length).toBeGreaterThan(10);
    expect(setting.unit).not.toBe('');
  }
});
