// Promise 8: every CPU second that the workers' threads used is in the ledger once, what came to nothing by its cause; of a
// worker that is killed it is known what it had used for nothing.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import type { LedgerEntry } from '../../core/ledger.ts';
import { readLedger } from '../../costs/ledger/reader.ts';
import { Processes } from '../../queue/processes.ts';
import { Chunks } from '../../store/chunks.ts';
import { FsStore } from '../../store/fs-store.ts';
import { declare, eventsUrl, Service } from '../service.ts';

let service: Service;
let store: FsStore;
let processes: Processes;

beforeEach(async () => {
  const script = (role: string) => [fileURLToPath(new URL(`../fixtures/${role}.ts`, import.meta.url))];
  const env = { EVOKE_LEDGER_SECONDS: '0.5', EVOKE_ATTEMPTS: '2' };
  service = await Service.start({ workers: 2, env, entry: script });
  store = new FsStore(join(service.dataDir, 'store'));
  processes = new Processes({ url: service.redis.url, prefix: 'evoke' });
});

afterEach(async () => {
  await processes.leave();
  await service.stop();
});

/** Asks for all events, and leaves after so many milliseconds; gives the status. */
async function ask(name: string, range: string, leaveMs = 60_000): Promise<number> {
  const response = await fetch(eventsUrl(service.url, name, `${range}.arrows`), {
    signal: AbortSignal.timeout(leaveMs),
  });
  await response.arrayBuffer();
  return response.status;
}

async function told(): Promise<LedgerEntry[]> {
  const entries: LedgerEntry[] = [];
  for await (const entry of readLedger(store)) entries.push(entry);
  return entries;
}

const micros = (seconds: number) => Math.round(seconds * 1e6);

/** What the workers say they used, and of that for nothing. */
async function used(): Promise<{ cpu: number; waste: number; busy: number }> {
  const workers = (await processes.list()).filter(({ role }) => role === 'worker');
  const sum = (field: string) => workers.reduce((total, worker) => total + Number(worker[field]), 0);
  return { cpu: micros(sum('cpuSeconds')), waste: micros(sum('wastedCpuSeconds')), busy: sum('busy') };
}

/** The same, as the ledger tells it. */
async function toldSpent(): Promise<{ cpu: number; waste: number }> {
  const spent = { cpu: 0, waste: 0 };
  for (const entry of await told()) {
    if (entry.kind === 'generation' || entry.kind === 'waste') spent.cpu += entry.cpuMicros;
    if (entry.kind === 'waste') spent.waste += entry.cpuMicros;
  }
  return spent;
}

test('the CPU of generations and waste is what the threads used, to the microsecond, and that of the trailers', async () => {
  const chunks = { seed: 1, events: 2048, chunkEvents: 256 };
  await declare(service.url, 'cpu:busy', { generator: 'busy', parameters: { batchMs: 20 }, ...chunks });
  await declare(service.url, 'cpu:left', { generator: 'busy', parameters: { batchMs: 50 }, ...chunks, seed: 2 });
  await declare(service.url, 'cpu:failing', { generator: 'failing', parameters: { event: 700 }, ...chunks });
  await declare(service.url, 'cpu:mistaken', { generator: 'mistaken', ...chunks });
  await declare(service.url, 'cpu:exiting', { generator: 'exiting', ...chunks });
  const leaving = ask('cpu:left', '1-2048', 300).catch(() => 'left');
  expect(await ask('cpu:busy', '1-2048')).toBe(200);
  expect(await leaving).toBe('left');
  expect(await ask('cpu:failing', '600-800')).toBe(502);
  for (const name of ['cpu:mistaken', 'cpu:exiting']) expect(await ask(name, '1-256')).toBe(502);

  // Once nothing more comes, and the last heartbeats have told of it.
  const spent = await vi.waitUntil(
    async () => {
      const [found, now] = [await toldSpent(), await used()];
      return now.busy === 0 && found.cpu === now.cpu && found.waste === now.waste && found;
    },
    { timeout: 20_000, interval: 500 },
  );
  const entries = await told();
  expect(new Set(entries.flatMap((entry) => (entry.kind === 'waste' ? entry.cause : [])))).toEqual(
    new Set(['failed', 'crashed']),
  );
  let stored = 0;
  const chunksThere = new Chunks(store);
  for await (const { chunk } of chunksThere.all()) {
    stored += micros((await chunksThere.trailer(chunk))?.cpuSeconds ?? 0);
  }
  expect(stored).toBe(spent.cpu - spent.waste);
  const made = entries.filter(({ kind }) => kind === 'generation').map(chunkKey);
  expect(new Set(made).size).toBe(made.length);
}, 60_000);

test('what a killed worker had used for a chunk that it did not finish is in its last words', async () => {
  const [, ...others] = service.roles.filter(({ role }) => role === 'worker');
  const doomed = service.roles.find(({ role }) => role === 'worker');
  await Promise.all(others.map((other) => other.end()));
  // Of 8 record batches.
  const events = 524_288;
  const definition = { generator: 'busy', parameters: { batchMs: 1000 }, seed: 3, events, chunkEvents: events };
  await declare(service.url, 'cpu:killed', definition);
  const asked = ask('cpu:killed', '1-10').catch(() => 'left');
  const underway = async () => {
    const worker = (await processes.list()).find(({ role }) => role === 'worker');
    return Number(worker?.['cpuSecondsUnderway'] ?? 0);
  };
  await expect.poll(underway).toBeGreaterThan(0);
  const before = await underway();
  await doomed?.end('SIGKILL');
  let cpuSeconds = 0;
  await expect
    .poll(
      async () => {
        for (const word of await processes.takeSilent()) cpuSeconds += Number(word['cpuSecondsUnderway'] ?? 0);
        return cpuSeconds;
      },
      { interval: 250 },
    )
    .toBeGreaterThanOrEqual(before);
  expect((await told()).filter(({ kind }) => kind === 'waste')).toEqual([]);
  await service.apis[0]?.end('SIGKILL');
  await asked;
}, 40_000);
