import { randomBytes } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { S3Store } from '../../store/s3-store.ts';
import { eventually } from '../eventually.ts';
import { bucket, type Fault, faultyS3, type S3Request, secrets } from './s3-faults.ts';

const content = Buffer.from('what is stored');
const one = (fault: Fault) => (_: S3Request, count: number) => (count === 1 ? fault : undefined);

/** What a call failed with, which has to be STORE_UNAVAILABLE without a credential in any of its texts. */
async function failureOf(call: Promise<unknown>): Promise<EvokeError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EvokeError)) throw new Error(`not an EvokeError: ${error}`);
  expect(error.code).toBe('STORE_UNAVAILABLE');
  const texts = `${error.stack} ${JSON.stringify(error.details)} ${String(error.cause)} ${JSON.stringify(error.cause)}`;
  for (const secret of secrets) expect(texts).not.toContain(secret);
  return error;
}

const operations: readonly [string, (store: S3Store) => Promise<unknown>, unknown][] = [
  ['get', (store) => store.get('a'), content],
  ['getRange', (store) => store.getRange('a', { last: 6 }), content.subarray(-6)],
  ['head', (store) => store.head('a'), expect.objectContaining({ bytes: content.length })],
  ['put', (store) => store.put('a', [content]), true],
  ['conditional put', (store) => store.put('new', [content], { ifAbsent: true }), true],
  ['delete', (store) => store.delete('a'), true],
  ['list', (store) => store.list(''), [expect.objectContaining({ name: 'a' })]],
];

const passing: readonly [string, Fault][] = [
  ['a 500', { status: 500, code: 'InternalError' }],
  ['SlowDown', { status: 503, code: 'SlowDown' }],
  ['a 429', { status: 429, code: 'TooManyRequests' }],
  ['a proxy that says 502 in HTML', { status: 502, body: '<html>Bad <b>Gateway</html>' }],
  ['a lost connection', 'lost'],
  ['a lost answer', 'lost answer'],
];

for (const [name, act, result] of operations) {
  test.each(passing)(`${name}: %s is tried again, and nobody notices`, async (_, fault) => {
    const { store, objects, state } = await faultyS3();
    objects.set('p/a', content);
    state.script = one(fault);
    expect(await act(store)).toEqual(result);
  });
}

const lasting: readonly [string, Fault, RegExp][] = [
  ['the key is unknown', { status: 403, code: 'InvalidAccessKeyId' }, /access was denied.*keys in use/],
  ['the signature is wrong', { status: 403, code: 'SignatureDoesNotMatch' }, /access was denied/],
  ['access is denied', { status: 403, code: 'AccessDenied' }, /access was denied/],
  ['there is no bucket', { status: 404, code: 'NoSuchBucket' }, /no such bucket.*EVOKE_STORE/],
  ['the bucket is elsewhere', { status: 301, code: 'PermanentRedirect' }, /elsewhere.*region/],
  ['the server is too old', { status: 501, code: 'NotImplemented' }, /does not know.*conditional puts/],
  ['the quota is used up', { status: 403, code: 'QuotaExceeded' }, /quota is used up/],
  ['the answer is nonsense', { status: 400, body: 'wJalrXUtnFEMIK7MDENG' }, /answered 400/],
];

for (const [name, act] of operations) {
  test.each(lasting)(`${name}: when %s, one try tells what is wrong, and no secret`, async (_, fault, words) => {
    const { store, objects, state, lines } = await faultyS3();
    objects.set('p/a', content);
    state.script = () => fault;
    const { details } = await failureOf(act(store));
    // The answer to a HEAD has no body: whether the bucket is missing is asked of the bucket, and codes stay unknown.
    const isHead = lines[0]?.startsWith('HEAD') === true;
    if (!isHead) expect(`${details.detail} ${details.hint}`).toMatch(words);
    expect(lines.length).toBe(isHead && 'status' in (fault as object) && lines.length === 2 ? 2 : 1);
  });

  test(`${name}: a server that keeps failing is left after a bounded number of tries`, async () => {
    const { store, objects, state, lines } = await faultyS3({ limits: { attemptsMax: 3 } });
    objects.set('p/a', content);
    state.script = () => ({ status: 503, code: 'SlowDown' });
    await failureOf(act(store));
    expect(lines).toHaveLength(3);
  });

  test(`${name}: a server that is silent is left in time, and served again by when it speaks`, async () => {
    const { store, objects, state } = await faultyS3({ limits: { idleMs: 150, retryMs: 100 } });
    objects.set('p/a', content);
    state.script = () => 'silence';
    const began = performance.now();
    const { details } = await failureOf(act(store));
    expect(performance.now() - began).toBeLessThan(3000);
    expect(details.detail).toContain('did not answer in time');
    state.script = () => undefined;
    await act(store);
  });
}

test('a server that is down is refused quickly, by name of what is wrong, and used again when it is up', async () => {
  const { store, server, port } = await faultyS3({ limits: { attemptsMax: 3 } });
  server.close();
  const { details } = await failureOf(store.get('a'));
  expect(details.detail).toBe('The store cannot read: it cannot be reached (ECONNREFUSED).');
  server.listen(port, '127.0.0.1');
  expect(await store.get('a')).toBeUndefined();
});

test('a server that comes back within the tries of a call costs it time only', async () => {
  const { store, server, port } = await faultyS3({ limits: { pauseMs: 200 } });
  server.close();
  const put = store.put('a', [content]);
  setTimeout(() => server.listen(port, '127.0.0.1'), 150);
  expect(await put).toBe(true);
});

test('a conditional put whose first answer was lost says that its bytes are stored', async () => {
  const { store, state, objects, lines } = await faultyS3();
  state.script = one('lost answer');
  expect(await store.put('a', [content], { ifAbsent: true })).toBe(true);
  expect(objects.get('p/a')).toEqual(content);
  expect(lines).toEqual(['PUT p/a', 'PUT p/a', 'GET p/a']);
});

test('a conditional put that lost its connection says that another writer was faster', async () => {
  const { store, state, objects } = await faultyS3();
  state.script = (_, count) => {
    if (count > 1) return undefined;
    objects.set('p/a', Buffer.from('another'));
    return 'lost';
  };
  expect(await store.put('a', [content], { ifAbsent: true })).toBe(false);
  expect(objects.get('p/a')?.toString()).toBe('another');
});

test('a conditional put that is refused at once is not compared: the same bytes may be of another', async () => {
  const { store, objects, lines } = await faultyS3();
  objects.set('p/a', content);
  expect(await store.put('a', [content], { ifAbsent: true })).toBe(false);
  expect(lines).toEqual(['PUT p/a']);
});

test('a body that did not reach the server in time, or broken, is sent again', async () => {
  for (const code of ['RequestTimeout', 'BadDigest', 'XAmzContentSHA256Mismatch']) {
    const { store, state, objects } = await faultyS3();
    state.script = one({ status: 400, code });
    await store.put('a', [content]);
    expect(objects.get('p/a')).toEqual(content);
  }
});

test('conditional puts that get in each other’s way are tried again', async () => {
  const { store, state, lines } = await faultyS3();
  state.script = (_, count) => (count < 3 ? { status: 409, code: 'ConditionalRequestConflict' } : undefined);
  expect(await store.put('a', [content], { ifAbsent: true })).toBe(true);
  expect(lines).toHaveLength(3);
});

test('a delete whose first answer was lost says that there was something', async () => {
  const { store, state, objects } = await faultyS3();
  objects.set('p/a', content);
  state.script = ({ method }) => (method === 'DELETE' && objects.has('p/a') ? 'lost answer' : undefined);
  expect(await store.delete('a')).toBe(true);
  expect(objects.size).toBe(0);
});

const large = randomBytes(300_000);

test('a body that is cut is read again, whole', async () => {
  const { store, state, objects } = await faultyS3();
  objects.set('p/a', large);
  state.script = (_, count) => (count < 3 ? { cutAt: count * 100_000 } : undefined);
  expect(large.equals((await store.get('a')) as Buffer)).toBe(true);
});

test.each([
  ['is cut', { cutAt: 100_000 }],
  ['is cut before its first byte', { cutAt: 0 }],
  ['stops', { stopAt: 100_000 }],
  ['trickles', { trickleMs: 20 }],
  ['does not say how long it is', 'no length'],
] as const)('a body that always %s is a failure in bounded time, never a shorter object', async (_, fault) => {
  const { store, state, objects } = await faultyS3({ limits: { idleMs: 200, attemptMs: 600, retryMs: 300 } });
  objects.set('p/a', large);
  state.script = () => fault as Fault;
  const began = performance.now();
  await failureOf(store.get('a'));
  await failureOf(store.getRange('a', { last: 200_000 }));
  expect(performance.now() - began).toBeLessThan(5000);
  state.script = () => undefined;
  expect((await store.get('a'))?.length).toBe(large.length);
});

test('what is read has memory of its own', async () => {
  const { store, objects } = await faultyS3();
  objects.set('p/a', content);
  expect((await store.get('a'))?.buffer.byteLength).toBe(content.length);
});

test('a server that knows no ranges costs bytes, and changes nothing', async () => {
  const { store, state, objects } = await faultyS3();
  objects.set('p/a', content);
  state.script = () => 'no ranges';
  expect((await store.getRange('a', { start: 5, end: 7 }))?.toString()).toBe('is');
  expect((await store.getRange('a', { last: 6 }))?.toString()).toBe('stored');
  expect((await store.getRange('a', { last: 600 }))?.toString()).toBe('what is stored');
});

test('a listing in smaller pages than asked for is put together', async () => {
  const { store, state, objects, lines } = await faultyS3();
  for (let i = 10; i < 30; i++) objects.set(`p/n/${i}`, content);
  state.pageMax = 3;
  const names = async (options = {}) => (await store.list('n/', options)).map(({ name }) => Number(name.slice(2)));
  expect(await names()).toEqual(Array.from({ length: 20 }, (_, i) => i + 10));
  expect(lines).toHaveLength(7);
  expect(await names({ limit: 7, after: 'n/12' })).toEqual([13, 14, 15, 16, 17, 18, 19]);
  expect(await names({ limit: 3 })).toEqual([10, 11, 12]);
});

test('what is not ours in the bucket is passed over, and does not make a page the last', async () => {
  const { store, objects } = await faultyS3();
  for (let i = 0; i < 2500; i++) objects.set(`p/a folder/${String(i).padStart(4, '0')}`, content);
  for (const key of ['p/', 'p/b/', 'p/b//c', 'p/ü', 'p/%', 'q/other', 'p/.hidden', 'p/x\u0001'])
    objects.set(key, content);
  objects.set('p/b/one', content);
  objects.set('p/z', content);
  const [first] = await store.list('', { limit: 1 });
  expect(first?.name).toBe('b/one');
  expect((await store.list('')).map(({ name }) => name)).toEqual(['b/one', 'z']);
  expect((await store.list('', { limit: 1, after: 'b/one' })).map(({ name }) => name)).toEqual(['z']);
});

test('a listing that breaks off is a failure, not the end', async () => {
  const { store, state } = await faultyS3({ limits: { attemptsMax: 2 } });
  const body = '<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>';
  state.script = () => ({ status: 200, body });
  await failureOf(store.list(''));
  state.script = () => ({ status: 200, body: '<html>Please log in' });
  await failureOf(store.list(''));
});

test('an absent object in an absent bucket is a failure, and the bucket is asked about rarely', async () => {
  const { store, state, lines } = await faultyS3();
  expect(await store.head('a')).toBeUndefined();
  expect(await store.head('b')).toBeUndefined();
  expect(lines).toEqual(['HEAD p/a', 'HEAD ', 'HEAD p/b']);
  const other = await faultyS3();
  other.state.script = () => ({ status: 404, code: '' });
  const { details } = await failureOf(other.store.head('a'));
  expect(details.detail).toMatch(/no such bucket/);
  state.script = () => ({ status: 404, code: 'NoSuchBucket' });
  await failureOf(store.get('a'));
});

test('no more calls than allowed are under way; more wait, and more than that are refused at once', async () => {
  const { store, state, lines } = await faultyS3({ limits: { atOnce: 4, waitingMax: 10, waitMsMax: 5000 } });
  let open = () => {};
  const gate = new Promise<undefined>((resolve) => {
    open = () => resolve(undefined);
  });
  state.script = () => gate;
  const calls = Array.from({ length: 20 }, () => store.get('a'));
  for (const call of calls.slice(14)) {
    expect((await failureOf(call)).details.detail).toBe('The store cannot read: too many calls wait for it.');
  }
  await eventually(() => expect(lines).toHaveLength(4));
  open();
  expect(await Promise.all(calls.slice(0, 14))).toEqual(Array.from({ length: 14 }, () => undefined));
  expect([lines.length, state.atOnceMax]).toEqual([14, 4]);
});

test('who waits for a turn in vain is told so in time', async () => {
  const { store, state, lines } = await faultyS3({ limits: { atOnce: 1, waitMsMax: 50, idleMs: 2_000, retryMs: 0 } });
  state.script = () => 'silence';
  const first = failureOf(store.get('a'));
  await eventually(() => expect(lines).toHaveLength(1));
  const began = performance.now();
  expect((await failureOf(store.get('b'))).message).toContain('too many calls wait');
  expect(performance.now() - began).toBeLessThan(1_900);
  await first;
  expect(lines).toEqual(['GET p/a']);
});

test('a clock that is wrong is corrected by the server’s', async () => {
  const { store, state, objects } = await faultyS3();
  objects.set('p/a', content);
  const date = new Date(Date.now() + 3_600_000).toUTCString();
  state.script = (_, count) =>
    count === 1 ? { status: 403, code: 'RequestTimeTooSkewed', headers: { date } } : undefined;
  expect(await store.get('a')).toEqual(content);
});

const partBytes = 5 * 1024 * 1024;
const huge = randomBytes(2 * partBytes + 123);
const pieces = [huge.subarray(0, 7), huge.subarray(7, partBytes + 1), huge.subarray(partBytes + 1)];

test.each([
  ['all goes well', () => undefined],
  [
    'parts fail in passing',
    ({ line }: S3Request, count: number) => (line.includes('partNumber') && count < 4 ? 'lost' : undefined),
  ],
  [
    'the answer to completing is lost',
    ({ line }: S3Request, count: number) => (line === 'POST p/a?uploadId' && count < 6 ? 'lost answer' : undefined),
  ],
] as const)('a large object goes up in parts and is stored whole when %s', async (_, script) => {
  const { store, state, objects, uploads } = await faultyS3({ partBytes });
  state.script = script;
  expect(await store.put('a', pieces)).toBe(true);
  expect(objects.get('p/a')?.equals(huge)).toBe(true);
  expect(uploads.size).toBe(0);
});

test('an upload that fails leaves nothing, and what was there before stays', async () => {
  const { store, state, objects, uploads, lines } = await faultyS3({ partBytes });
  objects.set('p/a', content);
  state.script = ({ query }) => (query.get('partNumber') === '2' ? { status: 403, code: 'AccessDenied' } : undefined);
  await failureOf(store.put('a', pieces));
  expect(lines.at(-1)).toBe('DELETE p/a?uploadId');
  expect(uploads.size).toBe(0);
  expect(objects.get('p/a')).toBe(content);
});

test('a large conditional put goes up whole: a server may forget the condition between parts', async () => {
  const { store, lines } = await faultyS3({ partBytes });
  expect(await store.put('a', pieces, { ifAbsent: true })).toBe(true);
  expect(await store.put('a', pieces, { ifAbsent: true })).toBe(false);
  expect(lines).toEqual(['PUT p/a', 'PUT p/a']);
});

test('without credentials the message says where they would come from', async () => {
  const { port } = await faultyS3();
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
  vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
  const location = {
    kind: 's3',
    bucket,
    prefix: '',
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
  } as const;
  const { details } = await failureOf(new S3Store(location).get('a'));
  expect(`${details.detail} ${details.hint}`).toMatch(/no credentials.*AWS_ACCESS_KEY_ID.*AWS_PROFILE/);
});

test('a store says what it is, and not who it is', () => {
  const endpoint = 'http://127.0.0.1:9000';
  const at = (more: object) =>
    new S3Store({ kind: 's3', bucket, prefix: 'p/', region: 'eu-west-1', ...more }).description;
  expect(at({ endpoint })).toBe('s3://bucket/p/ at http://127.0.0.1:9000');
  expect(at({})).toBe('s3://bucket/p/ at eu-west-1');
});
