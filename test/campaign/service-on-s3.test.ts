// A whole service on a real S3: several apis and workers on one bucket, a second service on the same bucket, and the gateway
// killed, restarted and frozen while people ask.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Ceph, startCeph } from '../ceph.ts';
import { eventually } from '../eventually.ts';
import { declare, eventsUrl, Service } from '../service.ts';

const chunks = 60;
const chunkEvents = 256;
const definition = {
  generator: 'minbias',
  seed: 11,
  events: chunks * chunkEvents,
  chunkEvents,
  parameters: { mean: 60 },
};
const whole = `1-${definition.events}.arrows`;

let ceph: Ceph;

beforeAll(async () => {
  ceph = await startCeph();
});

afterAll(() => ceph?.stop());

async function startService(prefix: string, env: Record<string, string> = {}): Promise<Service> {
  const service = await Service.start({ apis: 2, workers: 2, schedulers: 1, env: { ...ceph.envOf(prefix), ...env } });
  onTestFinished(() => service.stop());
  return service;
}

async function bytesOf(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init);
  expect(response.status, url).toBe(200);
  return { bytes: Buffer.from(await response.arrayBuffer()), cache: response.headers.get('cache-status') };
}

function urlsOf(service: Service): readonly [string, string] {
  const [first, second] = service.apis.map(({ url }) => url);
  if (first === undefined || second === undefined) throw new Error('two apis were asked for');
  return [first, second];
}

test('what one api had made is a hit through the other, and through a second service that shares nothing but the bucket', async () => {
  const prefix = randomUUID();
  const service = await startService(prefix);
  const [first, second] = urlsOf(service);
  await declare(first, 'on:s3', definition);
  const cold = await bytesOf(eventsUrl(first, 'on:s3', whole));
  expect(cold.cache).toContain('fwd=miss');
  const warm = await bytesOf(eventsUrl(second, 'on:s3', whole));
  expect(warm.cache).toBe('evoke; hit');
  expect(warm.bytes.equals(cold.bytes)).toBe(true);
  const dataset = await declare(second, 'on:s3', definition);
  expect(dataset).toMatchObject({ chunks, materializedChunks: chunks });

  const other = await startService(prefix);
  expect(other.redis.url).not.toBe(service.redis.url);
  const [third] = urlsOf(other);
  const stored = await bytesOf(eventsUrl(third, 'on:s3', whole), { headers: { 'cache-control': 'only-if-cached' } });
  expect(stored.cache).toBe('evoke; hit');
  expect(stored.bytes.equals(cold.bytes)).toBe(true);
  for (const role of [...service.roles, ...other.roles]) {
    for (const secret of [ceph.env.AWS_ACCESS_KEY_ID, ceph.env.AWS_SECRET_ACCESS_KEY]) {
      expect(role.output()).not.toContain(secret);
    }
  }
});

test.each([
  ['gone', () => ceph.killGateway(), () => ceph.restartGateway()],
  ['frozen', async () => ceph.freeze(), async () => ceph.thaw()],
] as const)(
  'while the gateway is %s, what an api remembers is served, and the rest is refused in time',
  async (_, takeAway, bringBack) => {
    const service = await startService(randomUUID());
    const [url] = urlsOf(service);
    await declare(url, 'on:s3', definition);
    const hot = eventsUrl(url, 'on:s3', `1-${4 * chunkEvents}.arrows`);
    await bytesOf(hot);
    const { bytes } = await bytesOf(hot);
    await takeAway();
    try {
      const times: number[] = [];
      for (let i = 0; i < 20; i++) {
        // Longer than what is remembered counts as fresh.
        if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 2500));
        const began = performance.now();
        expect((await bytesOf(hot)).bytes.equals(bytes)).toBe(true);
        times.push(performance.now() - began);
      }
      // The first finds out how the store is, the others know.
      expect(times.shift()).toBeLessThan(15_000);
      expect(Math.max(...times)).toBeLessThan(1500);
      const began = performance.now();
      const cold = await fetch(eventsUrl(url, 'on:s3', `${10 * chunkEvents + 1}-${11 * chunkEvents}.arrows`));
      expect([cold.status, cold.headers.has('retry-after')]).toEqual([503, true]);
      expect(performance.now() - began).toBeLessThan(30_000);
    } finally {
      await bringBack();
    }
  },
);

interface Outcome {
  readonly what: string;
  readonly ms: number;
}

/** Clients that ask for ranges of one to eight chunks through both apis without a pause, each answer compared with `truth`. */
function ask(service: Service, name: string, truth: (first: number, last: number) => Promise<Buffer>) {
  let running = true;
  const outcomes: Outcome[] = [];
  let chunk = 0;
  const one = async (url: string): Promise<string> => {
    const first = chunk++ % chunks;
    const last = Math.min(chunks - 1, first + (chunk % 8));
    const range = `${first * chunkEvents + 1}-${(last + 1) * chunkEvents}.arrows`;
    let response: Response;
    try {
      response = await fetch(eventsUrl(url, name, range), { signal: AbortSignal.timeout(120_000) });
    } catch (error) {
      return `no answer: ${error instanceof Error ? error.name : error}`;
    }
    if (response.status === 503) return response.headers.has('retry-after') ? 'later' : 'later, not said when';
    if (response.status !== 200) return `${response.status}: ${await response.text()}`;
    try {
      const bytes = Buffer.from(await response.arrayBuffer());
      return bytes.equals(await truth(first, last)) ? 'whole' : 'wrong bytes';
    } catch (error) {
      return error instanceof Error && error.name === 'TimeoutError' ? 'hangs' : 'reset';
    }
  };
  const client = async (url: string) => {
    while (running) {
      const began = performance.now();
      const what = await one(url);
      outcomes.push({ what, ms: performance.now() - began });
    }
  };
  const clients = Promise.all(urlsOf(service).flatMap((url) => [client(url), client(url), client(url)]));
  const count = (what: string) => outcomes.filter((outcome) => outcome.what === what).length;
  return {
    outcomes,
    count,
    whole: async (more: number) => {
      const before = count('whole');
      await eventually(() => expect(count('whole')).toBeGreaterThan(before + more), { timeout: 90_000, interval: 100 });
    },
    end: async () => {
      running = false;
      await clients;
    },
  };
}

/** The right answers, from a service on files. */
async function truthOf() {
  const service = await Service.start();
  onTestFinished(() => service.stop());
  await declare(service.url, 'on:s3', definition);
  const known = new Map<string, Promise<Buffer>>();
  return (first: number, last: number): Promise<Buffer> => {
    const range = `${first * chunkEvents + 1}-${(last + 1) * chunkEvents}.arrows`;
    const bytes = known.get(range) ?? bytesOf(eventsUrl(service.url, 'on:s3', range)).then((answer) => answer.bytes);
    known.set(range, bytes);
    return bytes;
  };
}

test.each([
  ['killed and started again', () => ceph.killGateway(), () => ceph.restartGateway()],
  ['frozen and thawed', async () => ceph.freeze(), async () => ceph.thaw()],
] as const)('a gateway that is %s under load loses nothing and hangs nobody', async (_, takeAway, bringBack) => {
  const truth = await truthOf();
  // Little memory, so that the store is asked.
  const service = await startService(randomUUID(), { EVOKE_MEMORY_BYTES: '1000000' });
  await declare(service.url, 'on:s3', definition);
  const clients = ask(service, 'on:s3', truth);
  try {
    await clients.whole(5);
    await takeAway();
    const before = clients.outcomes.length;
    await eventually(() => expect(clients.outcomes.length).toBeGreaterThan(before + 12), {
      timeout: 120_000,
      interval: 100,
    });
  } finally {
    await bringBack();
  }
  await clients.whole(50);
  await clients.end();
  const kinds = [...new Set(clients.outcomes.map(({ what }) => what))].sort();
  const longestMs = Math.max(...clients.outcomes.map(({ ms }) => ms));
  expect(kinds.filter((kind) => !['whole', 'reset', 'later'].includes(kind))).toEqual([]);
  expect(longestMs).toBeLessThan(60_000);

  const [first, second] = urlsOf(service);
  const all = await truth(0, chunks - 1);
  // What failed last while the gateway was away is remembered for some seconds.
  await eventually(async () => expect((await bytesOf(eventsUrl(first, 'on:s3', whole))).bytes.equals(all)).toBe(true), {
    timeout: 30_000,
    interval: 500,
  });
  expect((await bytesOf(eventsUrl(second, 'on:s3', whole))).cache).toBe('evoke; hit');
});
