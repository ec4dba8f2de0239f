// evoke check and evoke rebuild as real commands, on the store of a service that runs, was killed, or is gone; and a service
// that starts on a store which another one made. Side by side, because they mostly wait.
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { declare, eventsUrl } from '../service.ts';
import { type TestOfItsOwn, temporaryFolder } from '../temp.ts';
import { evoke, evokeInto, OneMachine } from './one-machine.ts';

interface Checked {
  readonly use: string;
  readonly findings: { kind: string; name: string; repaired: boolean }[];
  readonly summary: Record<string, number>;
}

const checked = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as Checked;

/** A service with three chunks of `care:z`. */
async function aService(test: TestOfItsOwn, env: Record<string, string> = {}) {
  const service = await (await OneMachine.start({ env, test })).up();
  const { address, dataDir } = service;
  await declare(address, 'care:z', { generator: 'ee_mumu', seed: 77, events: 5000, chunkEvents: 1000 });
  const body = Buffer.from(await (await fetch(eventsUrl(address, 'care:z', '1-3000.arrows'))).arrayBuffer());
  const settings = { EVOKE_DATA_DIR: dataDir };
  return { service, address, body, store: join(dataDir, 'store'), settings };
}

/** As people stop it. */
async function stop(service: OneMachine): Promise<void> {
  service.interrupt();
  expect(await service.ended()).toBe(0);
}

async function chunkFiles(store: string): Promise<string[]> {
  const names = await readdir(join(store, 'chunks'), { recursive: true });
  return names.filter((name) => name.endsWith('.arrows')).map((name) => join(store, 'chunks', name));
}

test.concurrent('a healthy store is well while the service runs and when it is gone; what is wrong is found, repaired, and well again', async (context) => {
  const { service, store, settings } = await aService(context);
  const running = await evoke(['check'], settings);
  expect(running).toMatchObject({ code: 0, stderr: '' });
  expect(running.stdout).toContain('processes of a service work on it');
  expect(running.stdout).toContain('3 chunks');
  expect(running.stdout).toContain('all is well');

  // Beside a running service an unfinished write may be going on.
  const [first = ''] = await chunkFiles(store);
  const part = join(store, 'digests/.11111111-2222-3333-4444-555555555555.part');
  await writeFile(part, 'half');
  expect(checked(await evoke(['check', '--json'], settings)).findings).toEqual([]);
  await stop(service);

  const bytes = await readFile(first);
  bytes[500] = (bytes[500] ?? 0) ^ 1;
  await writeFile(first, bytes);
  await rm((await chunkFiles(store)).at(-1) ?? '');
  await writeFile(join(store, 'notes.txt'), 'mine');
  const found = await evoke(['check', '--json'], settings);
  expect(found.code).toBe(1);
  const kinds = ({ findings }: Checked) => findings.map(({ kind }) => kind).sort();
  expect(kinds(checked(found))).toEqual(['damaged', 'ledger', 'leftover', 'unknown']);
  expect(checked(found).summary).toMatchObject({ chunks: 2, found: 4, repaired: 0, left: 4 });
  expect((await readFile(first)).equals(bytes)).toBe(true);

  const repaired = await evoke(['check', '--repair'], settings);
  expect(repaired.code).toBe(1);
  expect(repaired.stdout.match(/Repaired:/g)).toHaveLength(3);
  expect(repaired.stdout).toContain('notes.txt: No object of the service has such a name. It is left alone.');
  await rm(join(store, 'notes.txt'));
  const well = await evoke(['check'], settings);
  expect(well).toMatchObject({ code: 0, stdout: expect.stringContaining('1 in quarantine: all is well.') });
}, 60_000);

test.concurrent('what a killed service never wrote into its ledger is found, and told from the chunks themselves', async (context) => {
  const { service, store, settings } = await aService(context, { EVOKE_LEDGER_SECONDS: '3600' });
  const pids = service.running();
  for (const { pid } of pids) process.kill(pid, 'SIGKILL');
  service.child.kill('SIGKILL');
  await service.ended();
  await eventually(() => expect(service.running()).toEqual([]));
  const found = checked(await evoke(['check', '--json'], settings));
  expect(found.findings.map(({ kind }) => kind)).toEqual(['ledger', 'ledger', 'ledger']);
  expect(found.findings.map(({ name }) => join(store, name)).sort()).toEqual((await chunkFiles(store)).sort());
  expect((await evoke(['check', '--repair'], settings)).code).toBe(0);
  expect(checked(await evoke(['check', '--json'], settings)).findings).toEqual([]);
}, 60_000);

test.concurrent('rebuild says what the store holds, makes the running service book anew, and names what its chunks can tell of a lost dataset', async (context) => {
  const { service, address, store, settings } = await aService(context);
  const { stdout, code } = await evoke(['rebuild', '--json'], settings);
  expect(code).toBe(0);
  const found = JSON.parse(stdout);
  expect(found.datasets).toContainEqual({
    name: 'care:z',
    events: 5000,
    chunks: 3,
    bytes: found.total.bytes,
    pinned: false,
  });
  expect(found.book).toEqual({ usedBytes: found.total.bytes });
  await declare(address, 'care:seen', { generator: 'detsim', seed: 1, events: 5, input: 'care:z' });
  expect((await fetch(eventsUrl(address, 'care:seen', '1-5'))).status).toBe(200);
  await stop(service);

  await rm(join(store, 'datasets/care/z.json'));
  await rm(join(store, 'datasets/care/seen.json'));
  const id = '20300601T000000000-1a2b3c4d';
  await mkdir(join(store, 'batches'), { recursive: true });
  await writeFile(join(store, `batches/${id}.progress.json`), '{');
  const lost = await evoke(['rebuild'], settings);
  expect(lost.code).toBe(0);
  expect(lost.stdout).toContain('3 chunks');
  expect(lost.stdout).toContain('made for care:z, belong to no declared dataset');
  expect(lost.stdout).toContain('1 damaged');
  expect(await readdir(join(store, 'batches'))).toEqual([]);

  // The line that it prints makes the very same chunks the dataset's again.
  expect(lost.stdout).toMatch(/evoke datasets declare care:seen --generator detsim .* --input care:z$/m);
  const line = /evoke (datasets declare care:z .*)/.exec(lost.stdout)?.[1] ?? '';
  const again = await (await OneMachine.start({ dataDir: settings.EVOKE_DATA_DIR, test: context })).up();
  const words = line.replace(/'/g, '').split(' ');
  expect(await evoke([...words, '--server', again.address])).toMatchObject({ code: 0 });
  const hit = await fetch(eventsUrl(again.address, 'care:z', '1-3000.arrows'));
  expect(hit.headers.get('cache-status')).toBe('evoke; hit');
  await hit.arrayBuffer();
}, 60_000);

test.concurrent('a service that starts on a copy of a store has everything: datasets, chunks as hits, batches that go on', async (context) => {
  const { service, address, body, store } = await aService(context);
  await declare(address, 'care:slow', {
    generator: 'minbias',
    parameters: { mean: 200 },
    seed: 5,
    events: 60_000,
    chunkEvents: 500,
  });
  const posted = await fetch(`${address}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ dataset: 'care:slow' }),
  });
  expect(posted.status).toBe(201);
  const { id } = (await posted.json()) as { id: string };
  const settledOf = async (url: string) => {
    const { done, skipped } = (await (await fetch(`${url}/v1/batches/${id}`)).json()) as Record<string, number>;
    return (done ?? 0) + (skipped ?? 0);
  };
  await eventually(async () => expect(await settledOf(address)).toBeGreaterThan(2), { interval: 100 });
  await stop(service);

  const dataDir = await temporaryFolder(context);
  await cp(store, join(dataDir, 'store'), { recursive: true });
  const before = (await chunkFiles(join(dataDir, 'store'))).length;
  const next = await (await OneMachine.start({ dataDir, test: context })).up();
  const hit = await fetch(eventsUrl(next.address, 'care:z', '1-3000.arrows'));
  expect(hit.headers.get('cache-status')).toBe('evoke; hit');
  expect(Buffer.from(await hit.arrayBuffer()).equals(body)).toBe(true);
  expect(await (await fetch(`${next.address}/v1/datasets/care/z`)).json()).toMatchObject({ materializedChunks: 3 });
  const { items } = (await (await fetch(`${next.address}/v1/batches`)).json()) as { items: { id: string }[] };
  expect(items.map((batch) => batch.id)).toEqual([id]);
  await eventually(async () => expect((await chunkFiles(join(dataDir, 'store'))).length).toBeGreaterThan(before), {
    interval: 100,
  });
  // The book of the capacity was made by the leading scheduler.
  await eventually(async () => {
    const metrics = await (await fetch(`${next.address}/metrics`)).text();
    expect(Number(/^evoke_store_bytes\{kind="stored"\} (\d+)/m.exec(metrics)?.[1])).toBeGreaterThan(0);
  });
}, 90_000);

test.concurrent('where there is no store, and for options that there are not, nothing is made', async (context) => {
  const nowhere = join(await temporaryFolder(context), 'none');
  const settings = { EVOKE_DATA_DIR: nowhere };
  for (const refused of await Promise.all(['check', 'rebuild'].map((command) => evoke([command], settings)))) {
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('There is no store at');
    expect(refused.stderr.trim().split('\n')).toHaveLength(1);
  }
  expect((await evoke(['check', '--all'], settings)).code).toBe(2);
  await expect(readdir(nowhere)).rejects.toMatchObject({ code: 'ENOENT' });
});

test.concurrent('an empty place is no healthy store, and in a place with other things nothing is ever written', async (context) => {
  const dataDir = await temporaryFolder(context);
  const store = join(dataDir, 'store');
  await mkdir(store);
  for (const command of [['check'], ['check', '--repair'], ['rebuild']]) {
    const refused = await evoke(command, { EVOKE_DATA_DIR: dataDir });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^evoke: There is no store at file:.*: it is empty\. .*\n$/);
  }
  await writeFile(join(store, 'cat.jpg'), 'miaow');
  const left = await evoke(['check', '--repair'], { EVOKE_DATA_DIR: dataDir });
  expect(left).toMatchObject({ code: 1, stderr: '', stdout: expect.stringContaining('store.json: It is missing') });
  expect(await readdir(store)).toEqual(['cat.jpg']);
}, 60_000);

test.concurrent('what a damaged record holds does not break the line that tells of it', async (context) => {
  const dataDir = await temporaryFolder(context);
  const store = join(dataDir, 'store');
  await mkdir(store);
  await writeFile(join(store, 'store.json'), 'torn\nin\nlines');
  const { stdout, code } = await evoke(['check'], { EVOKE_DATA_DIR: dataDir });
  expect(code).toBe(1);
  expect(stdout.trim().split('\n')).toHaveLength(3);
  expect(stdout).toMatch(/^store\.json: The record is damaged: .*\. It is left alone\.$/m);
  expect(stdout).toContain(': 1 finding, 0 repaired.');
}, 60_000);

test.concurrent('a check whose reader has seen enough is done all the same, and its exit code stands', async (context) => {
  const dataDir = await temporaryFolder(context);
  const store = join(dataDir, 'store');
  await mkdir(join(store, 'digests'), { recursive: true });
  await writeFile(join(store, 'store.json'), JSON.stringify({ id: '0b8e7c1e-6f0e-4f7e-9d0a-3a5f4a3f9f10' }));
  for (const name of ['a.txt', 'b.txt', 'z.txt']) await writeFile(join(store, name), 'mine');
  const part = join(store, 'digests/.11111111-2222-3333-4444-555555555555.part');
  await writeFile(part, 'half');
  const ended = await evokeInto('true', ['check', '--repair'], { EVOKE_DATA_DIR: dataDir });
  expect(ended).toEqual({ code: 1, stderr: '' });
  await expect(readFile(part)).rejects.toMatchObject({ code: 'ENOENT' });
}, 60_000);

test.concurrent('settings come as JSON, too', async () => {
  const { stdout, code } = await evoke(['settings', '--json']);
  const { items } = JSON.parse(stdout) as { items: { name: string; default: string | null; unit: string }[] };
  expect(code).toBe(0);
  expect(items).toContainEqual(expect.objectContaining({ name: 'EVOKE_PORT', default: '8080', unit: 'port' }));
  expect(items).toContainEqual(expect.objectContaining({ name: 'EVOKE_REDIS_URL', default: null }));
});
