import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig, settings, storeLocationOf } from '../../config/settings.ts';

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
  ['EVOKE_SERVER', 'nowhere'],
  ['EVOKE_SERVER', 'http://user:word@host'],
  ['EVOKE_STORE', 'file:'],
  ['EVOKE_STORE', '/srv/evoke'],
  ['EVOKE_STORE', 'file:/a,file:/b'],
  ['EVOKE_STORE', 'file:/a?role=failover'],
  ['EVOKE_STORE', 'file:/a?x=1'],
  ['EVOKE_STORE', 's3:bucket/prefix'],
  ['EVOKE_STORE', 's3://'],
  ['EVOKE_STORE', 's3:///prefix'],
  ['EVOKE_STORE', 'S3://bucket'],
  ['EVOKE_STORE', 'https://s3.amazonaws.com/bucket'],
  ['EVOKE_STORE', 's3://Bucket'],
  ['EVOKE_STORE', 's3://ab'],
  ['EVOKE_STORE', 's3://a..b'],
  ['EVOKE_STORE', 's3://-bucket'],
  ['EVOKE_STORE', 's3://buck_et'],
  ['EVOKE_STORE', `s3://${'b'.repeat(64)}`],
  ['EVOKE_STORE', 's3://bucket:9000/prefix'],
  ['EVOKE_STORE', 's3://bucket//prefix'],
  ['EVOKE_STORE', 's3://bucket/.hidden'],
  ['EVOKE_STORE', 's3://bucket/a%20b'],
  ['EVOKE_STORE', 's3://bucket/a%2Fb'],
  ['EVOKE_STORE', 's3://bucket/ä'],
  ['EVOKE_STORE', `s3://bucket/${'p'.repeat(201)}`],
  ['EVOKE_STORE', 's3://bucket/prefix#part'],
  ['EVOKE_STORE', 's3://bucket/prefix?endpont=http://127.0.0.1:9000'],
  ['EVOKE_STORE', 's3://bucket/prefix?endpoint=http://a&endpoint=http://b'],
  ['EVOKE_STORE', 's3://bucket/prefix?endpoint='],
  ['EVOKE_STORE', 's3://bucket/prefix?endpoint=127.0.0.1:9000'],
  ['EVOKE_STORE', 's3://bucket/prefix?endpoint=ftp://127.0.0.1'],
  ['EVOKE_STORE', 's3://bucket/prefix?endpoint=http://127.0.0.1:99999'],
  ['EVOKE_STORE', 's3://bucket/prefix?endpoint=http://127.0.0.1:9000/path'],
  ['EVOKE_STORE', 's3://bucket/prefix?endpoint=http://127.0.0.1%3Fx'],
  ['EVOKE_STORE', 's3://bucket/prefix?region='],
  ['EVOKE_STORE', 's3://bucket/prefix?region=evil.example/'],
  ['EVOKE_STORE', 's3://one/a,s3://two/b'],
  ['EVOKE_STORE', 's3://one/a?role=failover'],
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

test.each([
  's3://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI@bucket/prefix',
  's3://AKIAIOSFODNN7EXAMPLE@bucket/prefix',
  's3://AKIAIOSFODNN7EXAMPLE:wJalr?XUtnFEMI@bucket/prefix',
  's3://AKIAIOSFODNN7EXAMPLE:wJalr/XUtnFEMI@bucket/prefix',
  's3://AKIAIOSFODNN7EXAMPLE:wJalr#XUtnFEMI@bucket',
  's3://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI',
  's3:AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI@bucket',
  's3://bucket/prefix?endpoint=http://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI@127.0.0.1:9000',
  's3://bucket/prefix?endpoint=http%3A%2F%2FAKIAIOSFODNN7EXAMPLE%3AwJalrXUtnFEMI%40127.0.0.1',
  's3://bucket/prefix?accessKeyId=AKIAIOSFODNN7EXAMPLE&secretAccessKey=wJalrXUtnFEMI',
  's3://bucket/prefix?region=wJalrXUtnFEMI',
  's3://bucket/prefix#AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI',
  'https://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI@127.0.0.1/bucket',
  'file:/data,s3://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI@bucket/prefix',
])('credentials in a store are refused, and not repeated: %s', (value) => {
  let message = '';
  try {
    readConfig({ EVOKE_STORE: value });
  } catch (error) {
    message = `${error} ${JSON.stringify(error)}`;
  }
  expect(message).toContain('EVOKE_STORE="');
  expect(message).not.toMatch(/AKIA|FODNN|wJalr|UtnFEMI/i);
});

test('a password in the address of Redis is not repeated when the address is refused', () => {
  expect(() => readConfig({ EVOKE_REDIS_URL: 'http://me:wJalrXUtnFEMI@127.0.0.1' })).toThrow(/^(?!.*wJalr)/s);
  expect(() => readConfig({ EVOKE_REDIS_URL: 'http://127.0.0.1/x' })).toThrow('EVOKE_REDIS_URL="http://127.0.0.1/x"');
});

test('a store in files is a folder, absolute', () => {
  const folder = (EVOKE_STORE: string) => readConfig({ EVOKE_STORE }).store;
  expect(folder('file:/srv/evoke')).toEqual({ kind: 'file', folder: '/srv/evoke' });
  expect(folder('file:///srv/evoke')).toEqual({ kind: 'file', folder: '/srv/evoke' });
  expect(folder('file:chunks')).toEqual({ kind: 'file', folder: resolve('chunks') });
  const { store, dataDir } = readConfig({ EVOKE_DATA_DIR: '/srv/data' });
  expect(storeLocationOf({ store, dataDir })).toEqual({ kind: 'file', folder: '/srv/data/store' });
});

test('a store in S3 is a bucket, a prefix, and perhaps a server and a region of its own', () => {
  const store = (EVOKE_STORE: string) => readConfig({ EVOKE_STORE }).store;
  const plain = { kind: 's3', bucket: 'my-bucket.1', prefix: '', region: 'us-east-1' };
  expect(store('s3://my-bucket.1')).toEqual(plain);
  expect(store('s3://my-bucket.1/')).toEqual(plain);
  expect(store('s3://my-bucket.1/a/b.c')).toEqual({ ...plain, prefix: 'a/b.c/' });
  expect(store('s3://my-bucket.1/a/b.c/')).toEqual({ ...plain, prefix: 'a/b.c/' });
  expect(store('s3://my-bucket.1/a?region=eu-west-1')).toEqual({ ...plain, prefix: 'a/', region: 'eu-west-1' });
  for (const endpoint of ['http://127.0.0.1:9000', 'https://s3.example.org', 'http://[::1]:9000']) {
    expect(store(`s3://my-bucket.1?endpoint=${endpoint}`)).toEqual({ ...plain, endpoint });
    expect(store(`s3://my-bucket.1?endpoint=${endpoint}/`)).toEqual({ ...plain, endpoint });
    expect(store(`s3://my-bucket.1?endpoint=${encodeURIComponent(endpoint)}`)).toEqual({ ...plain, endpoint });
  }
});

test('every setting says what it means, in which unit', () => {
  for (const setting of Object.values(settings)) {
    expect(setting.name).toMatch(/^[A-Z][A-Z0-9_]*$/);
    expect(setting.meaning.length).toBeGreaterThan(10);
    expect(setting.unit).not.toBe('');
  }
});
