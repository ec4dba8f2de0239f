// Promises 1, 2, 3 and 8 for data that is derived from other virtual data: the name fixes the bytes whether the input is stored
// or not, through kills and flushes, and every CPU second is in the ledger with the link it was spent on.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import type { Generation, LedgerEntry, Remake } from '../../core/ledger.ts';
import { silentLog } from '../../core/log.ts';
import { cpuMicrosOf, type InputUse } from '../../core/provenance.ts';
import { Ledger } from '../../costs/ledger/ledger.ts';
import { compareEntries } from '../../costs/ledger/order.ts';
import { readLedger } from '../../costs/ledger/reader.ts';
import { Reconciler } from '../../costs/ledger/reconcile.ts';
import { Chunks } from '../../store/chunks.ts';
import { FsStore } from '../../store/fs-store.ts';
import { makingOf } from '../../store/making.ts';
import { eventually } from '../eventually.ts';
import { declare, eventsUrl, Service } from '../service.ts';

let service: Service;
let store: FsStore;

beforeAll(async () => {
  const entry = (role: string) => [fileURLToPath(new URL(`../fixtures/${role}.ts`, import.meta.url))];
  service = await Service.start({ workers: 2, env: { EVOKE_LEDGER_SECONDS: '0.5' }, entry });
  store = new FsStore(join(service.dataDir, 'store'));
}, 60_000);

afterAll(() => service.stop());

/** An input that takes time, and what is derived from it twice over: `<scope>:base`, `:once` and `:twice`. */
async function declareChain(scope: string, batchMs: number, events: number): Promise<void> {
  const grid = { events, chunkEvents: 256 };
  await declare(service.url, `${scope}:base`, { generator: 'dear', parameters: { batchMs }, seed: 1, ...grid });
  // Cut in another way than what it reads.
  const once = { generator: 'derived', seed: 2, input: `${scope}:base`, events, chunkEvents: 100 };
  await declare(service.url, `${scope}:once`, once);
  await declare(service.url, `${scope}:twice`, { generator: 'derived', seed: 3, input: `${scope}:once`, ...grid });
}

async function bytesOf(name: string, range: string): Promise<Buffer> {
  const response = await fetch(eventsUrl(service.url, name, `${range}.arrows`));
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return Buffer.from(await response.arrayBuffer());
}

const datasetUrl = (name: string) => `${service.url}/v1/datasets/${name.replace(':', '/')}`;

async function declared(name: string): Promise<{ derivation: string; batchEvents: number }> {
  return (await (await fetch(datasetUrl(name))).json()) as { derivation: string; batchEvents: number };
}

async function evict(name: string): Promise<void> {
  const response = await fetch(`${datasetUrl(name)}/materialization`, { method: 'DELETE' });
  expect(response.status).toBe(204);
}

/** Of what the chunk was made: events read and remade, for each input. */
async function usesOf(name: string, chunk: number): Promise<number[][]> {
  const { inputs } = (await (await fetch(`${datasetUrl(name)}/provenance/${chunk}`)).json()) as {
    inputs: readonly InputUse[];
  };
  return inputs.map(({ readEvents, remadeEvents }) => [readEvents, remadeEvents]);
}

/** Half of half of half the event number, with one added twice on the way. */
async function expectRecipe(asked: Promise<Response>, events: number): Promise<void> {
  const response = await asked;
  expect(response.status).toBe(200);
  const lines = (await response.text()).trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { value: number }).value)).toEqual(
    Array.from({ length: events }, (_, i) => (i + 1) / 8 + 1.5),
  );
}

/**
 * Of every chunk of `<scope>:twice` that is stored the ledger has what its trailer says, link by link and once, however much of
 * it a killed worker could tell. Gives all that the ledger has.
 */
async function expectLedgerAddsUp(scope: string): Promise<LedgerEntry[]> {
  const chunks = new Chunks(store);
  const ledger = new Ledger({ store, process: 'test', flushMs: 1e6, clock: systemClock, log: silentLog });
  await new Reconciler({ store, chunks, ledger, clock: systemClock, log: silentLog }).reconcile({ all: true });
  await ledger.close();
  const told: LedgerEntry[] = [];
  for await (const entry of readLedger(store)) told.push(entry);
  const { derivation, batchEvents } = await declared(`${scope}:twice`);
  let chunksSeen = 0;
  for await (const { chunk, bytes } of chunks.list(derivation, batchEvents)) {
    const provenance = await chunks.trailer(chunk);
    if (provenance === undefined) throw new Error('a chunk without its trailer');
    const { remakes, generation } = makingOf(chunk, bytes, provenance);
    const isOfIt = ({ atMs, range }: LedgerEntry) =>
      atMs === generation.atMs && range.first === chunk.range.first && range.end === chunk.range.end;
    const found = told.filter(isOfIt).filter((entry): entry is Generation | Remake => {
      if (entry.kind === 'generation') return entry.derivation === derivation;
      return entry.kind === 'remake' && entry.dataset.startsWith(`${scope}:`);
    });
    expect(found).toEqual([generation, ...remakes].toSorted(compareEntries));
    expect(found.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0)).toBe(cpuMicrosOf(provenance));
    chunksSeen++;
  }
  expect(chunksSeen).toBeGreaterThan(0);
  return told;
}

test('what is derived is the same over an input that is stored, partly stored, evicted, or never was', async () => {
  await declareChain('kept', 2, 512);
  const before = await bytesOf('kept:twice', '1-512');
  expect(await usesOf('kept:twice', 1)).toEqual([
    [0, 256],
    [0, 256],
  ]);
  const again = async () => {
    await evict('kept:twice');
    expect((await bytesOf('kept:twice', '1-512')).equals(before)).toBe(true);
    return usesOf('kept:twice', 1);
  };
  await bytesOf('kept:base', '257-512');
  expect(await again()).toEqual([
    [0, 256],
    [256, 0],
  ]);
  await bytesOf('kept:once', '301-400');
  expect(await again()).toEqual([
    [100, 156],
    [156, 0],
  ]);
  // What it was made of may go; it stays.
  await evict('kept:once');
  await evict('kept:base');
  const held = await fetch(eventsUrl(service.url, 'kept:twice', '1-512.arrows'));
  expect(held.headers.get('cache-status')).toBe('evoke; hit');
  expect(Buffer.from(await held.arrayBuffer()).equals(before)).toBe(true);
  expect(await again()).toEqual([
    [0, 256],
    [0, 256],
  ]);
  const shown = async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    const total = (name: string) =>
      [...text.matchAll(new RegExp(`^${name}{.*} (\\S+)$`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0);
    expect(total('evoke_worker_input_events_read_total')).toBeGreaterThanOrEqual(512);
    expect(total('evoke_worker_input_events_remade_total')).toBeGreaterThanOrEqual(1024);
    expect(total('evoke_worker_remaking_cpu_seconds_total')).toBeGreaterThan(0.008);
  };
  await eventually(shown);
  // A use of an input is told by its worker alone.
  const used = (dataset: string, events: number) =>
    expect.objectContaining({ kind: 'access', dataset, means: 'near', bytesServed: 0, events });
  await eventually(async () => {
    const told = await expectLedgerAddsUp('kept');
    for (const use of [used('kept:base', 256), used('kept:once', 100)]) expect(told).toContainEqual(use);
  });
}, 60_000);

test('a worker killed, and a Redis emptied, in the midst of derived chunks cost no event', async () => {
  const events = 256 * 16;
  await declareChain('struck', 15, events);
  const columns = '?columns=value';
  const asked = fetch(eventsUrl(service.url, 'struck:twice', `1-${events}.ndjson`, columns));
  const chunks = new Chunks(store);
  const { derivation, batchEvents } = await declared('struck:twice');
  const stored = async () => {
    let count = 0;
    for await (const _ of chunks.list(derivation, batchEvents)) count++;
    return count;
  };
  await eventually(async () => expect(await stored()).toBeGreaterThan(1), { interval: 20 });
  await service.roles.find(({ role }) => role === 'worker')?.end('SIGKILL');
  await service.redis.command('FLUSHALL');
  await expectRecipe(asked, events);
  expect(await stored()).toBe(16);
  await expectLedgerAddsUp('struck');
}, 60_000);
