// Promise 8: the ledger adds up to what the store holds and to what clients were sent, and a killed process loses seconds.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { systemClock } from '../../core/clock.ts';
import type { LedgerEntry } from '../../core/ledger.ts';
import { silentLog } from '../../core/log.ts';
import type { Provenance } from '../../core/provenance.ts';
import { Ledger } from '../../costs/ledger/ledger.ts';
import { readLedger } from '../../costs/ledger/reader.ts';
import { Reconciler } from '../../costs/ledger/reconcile.ts';
import { Processes } from '../../queue/processes.ts';
import { Chunks } from '../../store/chunks.ts';
import { FsStore } from '../../store/fs-store.ts';
import { declare, eventsUrl, Service } from '../service.ts';

const flushMs = 500;
const capacityBytes = 6 * 1024 * 1024;
let service: Service;
let store: FsStore;

beforeEach(async () => {
  // No hot chunks: every answer reads the disk, and finds what is wrong there.
  const env = {
    EVOKE_LEDGER_SECONDS: String(flushMs / 1000),
    EVOKE_CAPACITY_BYTES: String(capacityBytes),
    EVOKE_MEMORY_BYTES: '0',
    EVOKE_WORKER_THREADS: '1',
    EVOKE_ATTEMPTS: '1',
  };
  service = await Service.start({ env });
  store = new FsStore(join(service.dataDir, 'store'));
});

afterEach(() => service.stop());

type Of<K extends LedgerEntry['kind']> = Extract<LedgerEntry, { kind: K }>;

class Told {
  readonly entries: readonly LedgerEntry[];

  private constructor(entries: readonly LedgerEntry[]) {
    this.entries = entries;
  }

  static async now(): Promise<Told> {
    const entries: LedgerEntry[] = [];
    for await (const entry of readLedger(store)) entries.push(entry);
    return new Told(entries);
  }

  of<K extends LedgerEntry['kind']>(kind: K): Of<K>[] {
    return this.entries.filter((entry): entry is Of<K> => entry.kind === kind);
  }

  /** Chunks that are stored, with their bytes, going by the ledger alone. */
  get stored(): Map<string, number> {
    const stored = new Map<string, number>();
    for (const entry of this.entries) {
      if (entry.kind === 'put') stored.set(chunkKey(entry), entry.bytes);
      if (entry.kind === 'eviction') stored.delete(chunkKey(entry));
    }
    return stored;
  }
}

/** What lies in the store: the bytes of every chunk, and what its trailer says. */
async function listed(): Promise<Map<string, { bytes: number; provenance: Provenance }>> {
  const chunks = new Chunks(store);
  const found = new Map<string, { bytes: number; provenance: Provenance }>();
  for await (const { chunk, bytes } of chunks.all()) {
    const provenance = await chunks.trailer(chunk);
    if (provenance !== undefined) found.set(chunkKey(chunk), { bytes, provenance });
  }
  return found;
}

async function get(name: string, range: string): Promise<number> {
  const response = await fetch(eventsUrl(service.url, name, range));
  expect(response.status).toBe(200);
  return (await response.arrayBuffer()).byteLength;
}

const sumOf = <T>(items: readonly T[], of: (item: T) => number) => items.reduce((sum, item) => sum + of(item), 0);

/** Every stored chunk was told once, and the ledger's generations of them are the trailers, to the byte and microsecond. */
async function expectToAddUp(told: Told): Promise<void> {
  const there = await listed();
  expect(told.stored).toEqual(new Map([...there].map(([key, { bytes }]) => [key, bytes])));
  const generations = new Map(told.of('generation').map((each) => [`${chunkKey(each)} ${each.atMs}`, each]));
  expect(generations.size).toBe(told.of('generation').length);
  expect(told.of('put')).toHaveLength(generations.size);
  for (const [key, { bytes, provenance }] of there) {
    const { cpuSeconds, wallSeconds, attempt, requestId, dataset, generatedAt } = provenance;
    const micros = { cpuMicros: Math.round(cpuSeconds * 1e6), wallMicros: Math.round(wallSeconds * 1e6) };
    const trailer = { bytes, ...micros, attempt, requestId, dataset, batch: provenance.batch ?? '' };
    expect(generations.get(`${key} ${Date.parse(generatedAt)}`)).toMatchObject(trailer);
  }
}

/** The ledger once everybody has written what they had to say: nothing more comes for two flushes. */
async function settled(): Promise<Told> {
  let before = -1;
  await expect
    .poll(
      async () => {
        const { length } = (await Told.now()).entries;
        const isSame = length === before;
        before = length;
        return isSame;
      },
      { interval: 2.5 * flushMs },
    )
    .toBe(true);
  return Told.now();
}

/** Makes the ledger agree with the store, as a leading scheduler does, with no wait for those who still work. */
async function reconcile() {
  const ledger = new Ledger({ store, process: 'a-test', flushMs, clock: systemClock, log: silentLog });
  const parts = { store, chunks: new Chunks(store), ledger, clock: systemClock, log: silentLog };
  const done = await new Reconciler(parts).reconcile({ all: true });
  await ledger.close();
  return done;
}

test('after chunks were generated, read, evicted for room and on request, damaged and failed, the ledger adds up', async () => {
  const small = { seed: 3, chunkEvents: 1000 };
  await declare(service.url, 'sum:a', { generator: 'ee_mumu', events: 5000, ...small });
  await declare(service.url, 'sum:b', { generator: 'minbias', events: 20_000, ...small });
  const sent = [await get('sum:a', '1-5000.arrows'), await get('sum:a', '500-1500.ndjson')];

  // Damaged on disk: found by the next reader, and made again.
  const folder = join(store.description.slice('file:'.length), 'chunks');
  const [damaged = ''] = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.arrows'));
  const bytes = await readFile(join(folder, damaged));
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  await writeFile(join(folder, damaged), bytes);
  sent.push(await get('sum:a', '1-5000.arrows'));

  await fetch(`${service.url}/v1/datasets/sum/a/materialization/1-2000`, { method: 'DELETE' });
  // More than there is room for.
  sent.push(await get('sum:b', '1-20000.arrows'));
  const told = await settled();
  await expectToAddUp(told);
  expect(sumOf(told.of('access'), ({ bytesServed }) => bytesServed)).toBe(sumOf(sent, (body) => body));
  expect(sumOf(told.of('access'), ({ events }) => events)).toBe(5000 + 1001 + 5000 + 20_000);
  const causes = new Set(told.of('eviction').map(({ cause }) => cause));
  expect(causes).toEqual(new Set(['damaged', 'asked', 'room']));
  expect(told.of('waste')).toEqual([]);
  // Nothing is missing, so nothing is added.
  expect(await reconcile()).toMatchObject({ added: 0, lost: 0 });
  await expectToAddUp(await Told.now());
}, 60_000);

test('a killed worker and a killed api lose what they had not written; the generations come back from the chunks', async () => {
  const env = { EVOKE_LEDGER_SECONDS: '3600' };
  await Promise.all(service.roles.filter(({ role }) => role === 'worker').map((role) => role.end()));
  const doomed = service.startRole('worker', env);
  const doomedApi = await service.startApi(env);
  await declare(service.url, 'kill:both', { generator: 'ee_mumu', seed: 4, events: 5000, chunkEvents: 1000 });
  const kept = await get('kill:both', '1-2000.arrows');
  await (await fetch(eventsUrl(doomedApi.url, 'kill:both', '1-3000.arrows'))).arrayBuffer();
  await Promise.all([doomed.end('SIGKILL'), doomedApi.end('SIGKILL')]);

  const told = await settled();
  // Of the api that lives everything is there; of the dead nothing, because they were never to write.
  expect(sumOf(told.of('access'), ({ bytesServed }) => bytesServed)).toBe(kept);
  expect(told.of('generation')).toEqual([]);
  expect(await reconcile()).toMatchObject({ added: 3, lost: 0 });
  await expectToAddUp(await Told.now());

  // A worker that ends as it should writes what it has, and what was reconciled is not told a second time.
  const last = service.startRole('worker', env);
  await get('kill:both', '3001-5000.arrows');
  await last.end();
  await expectToAddUp(await Told.now());
  expect((await Told.now()).of('generation')).toHaveLength(5);
  expect(await reconcile()).toMatchObject({ added: 0, lost: 0 });
}, 60_000);

test('a killed api loses the accesses of its last flush interval at most, and its last words say how many were not written', async () => {
  await declare(service.url, 'kill:api', { generator: 'ee_mumu', seed: 5, events: 1000, chunkEvents: 1000 });
  await get('kill:api', '1-1000.arrows');
  const processes = new Processes({ url: service.redis.url, prefix: 'evoke' });
  onTestFinished(() => processes.leave());
  const [writing, silent] = await Promise.all([
    service.startApi(),
    // It never comes to writing: all of it is lost, and counted.
    service.startApi({ EVOKE_LEDGER_SECONDS: '3600' }),
  ]);
  const ask = async (url: string) => {
    const response = await fetch(eventsUrl(url, 'kill:api', '1-100.arrows'));
    await response.arrayBuffer();
    return { requestId: response.headers.get('request-id') ?? '', atMs: performance.now() };
  };
  const unwritten = (word: Readonly<Record<string, string | number>> | undefined) =>
    Number(word?.['ledgerEntries']) - Number(word?.['ledgerWritten']) - Number(word?.['ledgerLost']);
  const lastWord = async (pid: number | undefined) => (await processes.list()).find((each) => each.pid === pid);

  for (let i = 0; i < 5; i++) await ask(silent.url);
  await expect.poll(async () => unwritten(await lastWord(silent.process.pid))).toBe(5);
  const asked = [];
  for (const begun = performance.now(); performance.now() < begun + 8 * flushMs; ) asked.push(await ask(writing.url));
  const killedMs = performance.now();
  await Promise.all([writing.end('SIGKILL'), silent.end('SIGKILL')]);

  const told = new Set((await settled()).of('access').map(({ requestId }) => requestId));
  const lost = asked.filter(({ requestId }) => !told.has(requestId));
  // A flush takes its time too, on a busy machine.
  for (const { atMs } of lost) expect(killedMs - atMs).toBeLessThan(3 * flushMs);
  expect(lost.length).toBeLessThan(asked.length);
  const words = new Map<number, number>();
  await expect
    .poll(
      async () => {
        for (const word of await processes.takeSilent()) words.set(word.pid, unwritten(word));
        return [...words.keys()].sort();
      },
      { interval: 250 },
    )
    .toEqual([writing.process.pid, silent.process.pid].sort());
  expect(words.get(silent.process.pid ?? 0)).toBe(5);
  // As of its last heartbeat.
  expect(words.get(writing.process.pid ?? 0)).toBeLessThanOrEqual(asked.length);
}, 60_000);
