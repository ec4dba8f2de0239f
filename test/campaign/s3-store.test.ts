// The store on a real Ceph RADOS gateway: the suite of every store, and what only an S3 and its outages can do to it.
import { randomBytes, randomUUID } from 'node:crypto';
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import type { StoreLocation } from '../../core/store-location.ts';
import { openStore } from '../../store/open-store.ts';
import { S3Store } from '../../store/s3-store.ts';
import { type Ceph, startCeph } from '../ceph.ts';
import { eventually } from '../eventually.ts';
import { storeSuite } from '../store/conformance.ts';

let ceph: Ceph;

beforeAll(async () => {
  ceph = await startCeph();
  Object.assign(process.env, ceph.env);
});

afterAll(() => ceph?.stop());

/** A store with nothing in it, or another one on the same objects. */
function fresh(prefix: string = randomUUID(), more: Partial<Extract<StoreLocation, { kind: 's3' }>> = {}): S3Store {
  const store = new S3Store({ ...ceph.location(prefix), ...more }, { partBytes: 5 * 1024 * 1024 });
  onTestFinished(() => store.close());
  return store;
}

async function failureOf(call: Promise<unknown>): Promise<EvokeError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EvokeError)) throw new Error(`not an EvokeError: ${error}`);
  expect(error.code).toBe('STORE_UNAVAILABLE');
  const texts = `${error.stack} ${JSON.stringify(error.details)} ${String(error.cause)} ${JSON.stringify(error.cause)}`;
  for (const secret of [ceph.env.AWS_ACCESS_KEY_ID, ceph.env.AWS_SECRET_ACCESS_KEY])
    expect(texts).not.toContain(secret);
  return error;
}

storeSuite('Ceph RGW', async () => fresh());

test('a listing of more objects than a server gives at once is whole and in order', async () => {
  const store = fresh();
  const names = Array.from({ length: 2300 }, (_, i) => `n/${String(i * 7919).padStart(8, '0')}`);
  for (let at = 0; at < names.length; at += 50) {
    await Promise.all(names.slice(at, at + 50).map((name) => store.put(name, [])));
  }
  const found: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await store.list('', after === undefined ? {} : { after });
    found.push(...page.map(({ name }) => name));
    after = page.at(-1)?.name;
    if (page.length < 1000) break;
  }
  expect(found).toEqual(names.sort());
});

test('a bucket without a prefix is a store, too, and sees what is under every prefix', async () => {
  const prefix = randomUUID();
  const store = fresh('');
  await store.put(`${prefix}/a/b`, [Buffer.from('x')]);
  expect((await fresh(prefix).get('a/b'))?.toString()).toBe('x');
  expect((await store.list(`${prefix}/`)).map(({ name }) => name)).toEqual([`${prefix}/a/b`]);
});

test('a large object goes up in parts, and comes back whole and in ranges', async () => {
  const store = fresh();
  const content = randomBytes(17_000_001);
  await store.put('large', [content.subarray(0, 3), content.subarray(3, 9_000_000), content.subarray(9_000_000)]);
  expect((await store.get('large'))?.equals(content)).toBe(true);
  expect((await store.head('large'))?.bytes).toBe(content.length);
  const across = { start: 5 * 1024 * 1024 - 10, end: 5 * 1024 * 1024 + 10 };
  expect(await store.getRange('large', across)).toEqual(content.subarray(across.start, across.end));
  expect(await store.removeLeftovers(0)).toBe(0);
});

test('uploads that were never finished are aborted when they are old, those of others stay', async () => {
  const prefix = randomUUID();
  const store = fresh(prefix);
  const client = new S3Client({ endpoint: ceph.endpoint, region: 'us-east-1', forcePathStyle: true });
  onTestFinished(() => client.destroy());
  const begin = (Key: string) => client.send(new CreateMultipartUploadCommand({ Bucket: ceph.bucket, Key }));
  for (let i = 0; i < 3; i++) await begin(`${prefix}/chunks/${i}`);
  await begin(`${prefix}-other/chunks/0`);
  expect(await store.removeLeftovers(3_600_000)).toBe(0);
  const asked: string[] = [];
  const one = (name: string) => asked.push(name) > 0 && name === 'chunks/1';
  expect(await store.removeLeftovers(-60_000, one)).toBe(1);
  expect(asked.sort()).toEqual(['chunks/0', 'chunks/1', 'chunks/2']);
  expect(await store.removeLeftovers(-60_000)).toBe(2);
  expect(await store.removeLeftovers(0)).toBe(0);
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: ceph.bucket }));
  expect(Uploads?.map(({ Key }) => Key)).toEqual([`${prefix}-other/chunks/0`]);
});

test('of conditional puts that race from several processes’ clients, exactly one is told that it won', async () => {
  const prefix = randomUUID();
  const stores = Array.from({ length: 5 }, () => fresh(prefix));
  for (let round = 0; round < 20; round++) {
    const outcomes = await Promise.all(
      stores.flatMap((store, s) =>
        [0, 1, 2].map((i) => store.put(`race/${round}`, [Buffer.from(`${s} ${i}`)], { ifAbsent: true })),
      ),
    );
    const winner = outcomes.indexOf(true);
    expect(outcomes.filter(Boolean)).toHaveLength(1);
    const stored = await stores[0]?.get(`race/${round}`);
    expect(stored?.toString()).toBe(`${Math.floor(winner / 3)} ${winner % 3}`);
  }
});

test.each([
  ['a key that is unknown', { AWS_ACCESS_KEY_ID: 'NOBODYSKEY' }, {}, /access was denied \(InvalidAccessKeyId\)/],
  [
    'a secret that is wrong',
    { AWS_SECRET_ACCESS_KEY: 'nobodyssecret' },
    {},
    /access was denied \(SignatureDoesNotMatch\)/,
  ],
  ['a bucket that is absent', {}, { bucket: 'nobodys-bucket' }, /there is no such bucket\./],
  ['a port that is closed', {}, { endpoint: 'http://127.0.0.1:1' }, /cannot be reached \(ECONNREFUSED\)/],
] as const)(
  '%s stops the opening of the store, and fails every call, with one line that says so',
  async (_, env, more, words) => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    onTestFinished(() => void vi.unstubAllEnvs());
    const location = { ...ceph.location('x'), ...more };
    const opening = await failureOf(openStore(location));
    expect(opening.message).toMatch(words);
    expect(opening.message).toMatch(`s3://${location.bucket}/x/ at ${location.endpoint}: The store cannot list: `);
    expect(opening.details.hint).toMatch(/\.$|\?$/);
    const store = fresh('x', more);
    expect((await failureOf(store.get('a'))).message).toMatch(words);
    expect((await failureOf(store.getRange('a', { last: 3 }))).message).toMatch(words);
    expect((await failureOf(store.put('a', [Buffer.from('x')]))).message).toMatch(words);
    expect((await failureOf(store.put('a', [Buffer.alloc(3_000_000)], { ifAbsent: true }))).message).toMatch(words);
    expect((await failureOf(store.put('a', [Buffer.alloc(12_000_000)]))).message).toMatch(words);
    expect((await failureOf(store.list(''))).message).toMatch(words);
    expect((await failureOf(store.removeLeftovers(0))).message).toMatch(words);
    // The answer to a HEAD has no body to say more.
    await failureOf(store.head('a'));
    await failureOf(store.delete('a'));
  },
);

/** Reads and writes without a pause until told to end; a write that was confirmed has to be found ever after. */
function load(store: S3Store) {
  let running = true;
  let longestMs = 0;
  const confirmed = new Map<string, Buffer>();
  const failures: unknown[] = [];
  const client = async (id: number) => {
    for (let i = 0; running; i++) {
      const began = performance.now();
      try {
        const name = `load/${id}/${i}`;
        const content = randomBytes(100_000 + i);
        expect(await store.put(name, [content], i % 2 === 0 ? {} : { ifAbsent: true })).toBe(true);
        confirmed.set(name, content);
        const [some] = confirmed;
        if (some !== undefined) expect((await store.get(some[0]))?.equals(some[1])).toBe(true);
      } catch (error) {
        failures.push(error);
      }
      longestMs = Math.max(longestMs, performance.now() - began);
    }
  };
  const clients = Promise.all([0, 1, 2, 3, 4, 5].map(client));
  return {
    confirmed,
    failures,
    end: async () => {
      running = false;
      await clients;
      return longestMs;
    },
  };
}

async function check(store: S3Store, { confirmed, failures }: ReturnType<typeof load>): Promise<void> {
  expect(failures.filter((error) => !(error instanceof EvokeError && error.code === 'STORE_UNAVAILABLE'))).toEqual([]);
  for (const [name, content] of confirmed) expect((await store.get(name))?.equals(content), name).toBe(true);
}

test('a gateway that is killed and started again under load loses nothing; calls fail in time, and work again after', async () => {
  const store = fresh();
  const running = load(store);
  await eventually(() => expect(running.confirmed.size).toBeGreaterThan(20));
  await ceph.killGateway();
  await eventually(() => expect(running.failures.length).toBeGreaterThan(6), { timeout: 30_000 });
  await ceph.restartGateway();
  const before = running.confirmed.size;
  await eventually(() => expect(running.confirmed.size).toBeGreaterThan(before + 50), { timeout: 30_000 });
  expect(await running.end()).toBeLessThan(10_000);
  await check(store, running);
});

test('a gateway that is restarted in half a second costs time only: no call fails', async () => {
  const store = fresh();
  const running = load(store);
  for (let round = 0; round < 3; round++) {
    const before = running.confirmed.size;
    await eventually(() => expect(running.confirmed.size).toBeGreaterThan(before + 50), { timeout: 30_000 });
    await ceph.killGateway();
    await ceph.restartGateway();
  }
  await running.end();
  expect(running.failures).toEqual([]);
  await check(store, running);
});

test('a gateway that is frozen fails calls in time, and works again when it is thawed', async () => {
  const store = fresh();
  const running = load(store);
  await eventually(() => expect(running.confirmed.size).toBeGreaterThan(20));
  ceph.freeze();
  try {
    await eventually(() => expect(running.failures.length).toBeGreaterThan(5), { timeout: 60_000 });
  } finally {
    ceph.thaw();
  }
  const before = running.confirmed.size;
  await eventually(() => expect(running.confirmed.size).toBeGreaterThan(before + 50), { timeout: 30_000 });
  // A put and a get, each with one attempt that is cut off after five idle seconds, and perhaps a quick one before it.
  expect(await running.end()).toBeLessThan(25_000);
  await check(store, running);
});
