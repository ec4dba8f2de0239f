// Promise 7, for the store: it stays within its capacity at every moment, and what goes first is what was used least.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { declare, eventsUrl, Service } from '../service.ts';

const capacityBytes = 8 * 1024 * 1024;
let service: Service;

beforeAll(async () => {
  service = await Service.start({ env: { EVOKE_CAPACITY_BYTES: String(capacityBytes), EVOKE_MEMORY_BYTES: '0' } });
});

afterAll(() => service.stop());

async function storedBytes(): Promise<number> {
  const folder = join(service.dataDir, 'store', 'chunks');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    // Evicted between the listing and the look.
    .map((entry) =>
      stat(join(entry.parentPath, entry.name)).then(
        ({ size }) => size,
        () => 0,
      ),
    );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

const get = async (name: string, range: string) => (await fetch(eventsUrl(service.url, name, range))).arrayBuffer();
const shown = async (name: string) => (await fetch(`${service.url}/v1/datasets/${name.replace(':', '/')}`)).json();

test('a range larger than the store arrives whole, the store stays within its capacity, and what is pinned stays', async () => {
  await declare(service.url, 'small:pinned', { generator: 'ee_mumu', seed: 1, events: 2000, chunkEvents: 1000 });
  await get('small:pinned', '1-2000.arrows');
  await fetch(`${service.url}/v1/datasets/small/pinned/pin`, { method: 'PUT' });

  await declare(service.url, 'large:range', { generator: 'minbias', seed: 1, events: 30_000, chunkEvents: 1000 });
  let most = 0;
  let reading = true;
  const watching = (async () => {
    while (reading) most = Math.max(most, await storedBytes());
  })();
  const whole = Buffer.from(await get('large:range', '1-30000.ndjson?columns=event'));
  reading = false;
  await watching;
  expect(whole.toString().trimEnd().split('\n')).toHaveLength(30_000);
  expect(most).toBeGreaterThan(capacityBytes / 2);
  expect(most).toBeLessThanOrEqual(capacityBytes);

  expect(await shown('small:pinned')).toMatchObject({ pinned: true, materializedChunks: 2 });
  const { items } = (await (await fetch(`${service.url}/v1/datasets/large/range/materialization`)).json()) as {
    items: { state: string; firstChunk: number; lastChunk: number }[];
  };
  // The beginning was used least recently; chunks that were made side by side may go in either order.
  const lastVirtual = items.findLast((run) => run.state === 'virtual')?.lastChunk ?? 0;
  const firstStored = items.find((run) => run.state === 'materialized')?.firstChunk ?? 0;
  expect([items[0]?.state, items.at(-1)?.state]).toEqual(['virtual', 'materialized']);
  expect(lastVirtual - firstStored).toBeLessThan(8);
  await expect
    .poll(async () => /evoke_worker_chunks_evicted_total\{[^}]*\} (\d+)/.exec(await metrics())?.[1])
    .toMatch(/^[1-9]/);
});

test('when everything is pinned, a miss is refused with the reason, and hits go on', async () => {
  await fetch(`${service.url}/v1/datasets/large/range/pin`, { method: 'PUT' });
  // There may be room for one or two more: the store is full when there is none for another.
  let miss = await fetch(eventsUrl(service.url, 'large:range', '1-1000.arrows'));
  for (let chunk = 1; chunk < 4 && miss.status === 200; chunk++) {
    await miss.arrayBuffer();
    miss = await fetch(eventsUrl(service.url, 'large:range', `${chunk * 1000 + 1}-${(chunk + 1) * 1000}.arrows`));
  }
  expect(miss.status).toBe(503);
  expect(Number(miss.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await miss.json()).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect((await fetch(eventsUrl(service.url, 'large:range', '29001-30000.arrows'))).status).toBe(200);
  await fetch(`${service.url}/v1/datasets/large/range/pin`, { method: 'DELETE' });
}, 60_000);

test('what is held for an event range stays until it was fetched, whatever else is read', async () => {
  await declare(service.url, 'small:held', { generator: 'ee_mumu', seed: 2, events: 2000, chunkEvents: 1000 });
  const range = { eventRangeID: 'x', LFN: 'held', scope: 'small', startEvent: 900, lastEvent: 1100 };
  const [{ url }] = (await (
    await fetch(`${service.url}/v1/event-ranges`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([range]),
    })
  ).json()) as [{ url: string }];
  await eventually(async () => expect(await shown('small:held')).toMatchObject({ materializedChunks: 2 }));
  await declare(service.url, 'large:other', { generator: 'minbias', seed: 2, events: 30_000, chunkEvents: 1000 });
  await get('large:other', '1-20000.ndjson?columns=event');
  expect(await shown('small:held')).toMatchObject({ materializedChunks: 2 });
  expect((await fetch(`${service.url}${url}`)).status).toBe(200);
  await eventually(async () => expect(await metrics()).toMatch(/evoke_held\{what="ranges"\} 0/));
}, 60_000);

async function metrics(): Promise<string> {
  return (await fetch(`${service.url}/metrics`)).text();
}
