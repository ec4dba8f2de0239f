// Promise 1: the name fixes the bytes. On real processes, over HTTP.
import pl from 'nodejs-polars';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { declare, eventsUrl, Service } from '../service.ts';

let service: Service;

beforeAll(async () => {
  service = await Service.start({ workers: 2 });
});

afterAll(() => service.stop());

async function body(name: string, range: string, query = ''): Promise<Buffer> {
  const response = await fetch(eventsUrl(service.url, name, range, query));
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

/** Rows of an Arrow stream, as a reader that we did not write sees them. */
function rows(stream: Buffer): string[] {
  return pl
    .readIPCStream(stream)
    .toRecords()
    .map((row) => JSON.stringify(row, (_key, value) => (typeof value === 'bigint' ? String(value) : value)));
}

// One derivation on grids that cut it differently, chunks asked for in another order each time.
const grids = [16, 33, 100, 128, 1000];

test('events 1-200 are 1-100 followed by 101-200, byte for byte as NDJSON and row for row as Arrow, on every grid', async () => {
  const texts = new Set<string>();
  const tables = new Set<string>();
  for (const chunkEvents of grids) {
    const name = `grid:of${chunkEvents}`;
    await declare(service.url, name, { generator: 'minbias', seed: 7, events: 1000, chunkEvents });
    const second = await body(name, '101-200', '?format=ndjson');
    const whole = await body(name, '1-200');
    const first = await body(name, '1-100');
    expect(Buffer.concat([first, second]).equals(whole)).toBe(true);
    texts.add(whole.toString());

    const wholeRows = rows(await body(name, '1-200.arrows'));
    expect([...rows(await body(name, '1-100.arrows')), ...rows(await body(name, '101-200.arrows'))]).toEqual(wholeRows);
    expect(wholeRows).toHaveLength(200);
    tables.add(wholeRows.join('\n'));
  }
  expect(texts.size).toBe(1);
  expect(tables.size).toBe(1);
});

test('the entity tag is known before anything is generated, and the same bytes come under it again', async () => {
  await declare(service.url, 'tag:early', { generator: 'ee_mumu', seed: 3, events: 5000, chunkEvents: 512 });
  const url = eventsUrl(service.url, 'tag:early', '100-3000.arrows');
  const before = await fetch(url, { method: 'HEAD' });
  const tag = before.headers.get('etag') ?? '';
  expect(tag).toMatch(/^"[0-9a-f]{64}"$/);
  const unchanged = await fetch(url, { headers: { 'if-none-match': tag } });
  expect(unchanged.status).toBe(304);
  const shown = await (await fetch(`${service.url}/v1/datasets/tag/early`)).json();
  expect(shown).toMatchObject({ materializedChunks: 0 });

  const cold = await fetch(url);
  expect(cold.headers.get('etag')).toBe(tag);
  const coldBytes = Buffer.from(await cold.arrayBuffer());
  const hot = await fetch(url);
  expect(hot.headers.get('cache-status')).toBe('evoke; hit');
  expect(Buffer.from(await hot.arrayBuffer()).equals(coldBytes)).toBe(true);
});

test('an evicted chunk comes back with the same digest', async () => {
  await declare(service.url, 'evict:me', { generator: 'minbias', seed: 11, events: 2000, chunkEvents: 500 });
  const provenance = async () => (await fetch(`${service.url}/v1/datasets/evict/me/provenance/2`)).json();
  const first = await body('evict:me', '1-2000.arrows');
  const made = (await provenance()) as { digest: string };
  expect(made.digest).toMatch(/^[0-9a-f]{64}$/);

  const evicted = await fetch(`${service.url}/v1/datasets/evict/me/materialization`, { method: 'DELETE' });
  expect(evicted.status).toBe(204);
  const virtual = await (await fetch(`${service.url}/v1/datasets/evict/me/materialization`)).json();
  expect(virtual).toMatchObject({ items: [{ firstChunk: 0, lastChunk: 3, state: 'virtual' }] });

  expect((await body('evict:me', '1-2000.arrows')).equals(first)).toBe(true);
  expect(await provenance()).toMatchObject({ digest: made.digest });
});
