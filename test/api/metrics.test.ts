// What an operator asks of /metrics, on a working service.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiMetrics } from '../../api/metrics.ts';
import { SharedMetrics, type SharedSources } from '../../api/shared-metrics.ts';
import { EvokeError } from '../../core/errors.ts';
import { TestService } from './harness.ts';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ env: { EVOKE_CAPACITY_BYTES: '1000000000' } });
});
afterAll(() => service.stop());

/** Values by what stands before them in the text; every line is held against the exposition format on the way. */
function read(text: string): Map<string, number> {
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
  const sample = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{${label}(?:,${label})*\\})? (\\S+)$`);
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.split('\n').filter((part) => part !== '' && !part.startsWith('# HELP '))) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type !== null) {
      expect(types.has(type[1] as string), line).toBe(false);
      types.set(type[1] as string, type[2] as string);
      continue;
    }
    const [, name = '', labels = '', value] = sample.exec(line) ?? [];
    expect(name, line).not.toBe('');
    expect(types.has(name) || types.has(name.replace(/_(bucket|sum|count)$/, '')), line).toBe(true);
    expect(values.has(name + labels), line).toBe(false);
    values.set(name + labels, Number(value));
  }
  return values;
}

async function look(): Promise<Map<string, number>> {
  return read((await service.call('/metrics')).text());
}

/** The sum over all label values. */
function total(values: Map<string, number>, name: string): number {
  return [...values].filter(([key]) => key.split('{')[0] === name).reduce((sum, [, value]) => sum + value, 0);
}

test('hits, misses, work, room and evictions show', async () => {
  const path = await service.declare('m', { generator: 'minbias', events: 200, chunkEvents: 100 });
  await service.call(`${path}/events/1-200`);
  await service.call(`${path}/events/1-200`);
  await expect.poll(async () => total(await look(), 'evoke_worker_chunks_generated_total')).toBe(2);
  const values = await look();
  expect(values.get('evoke_chunks_requested_total{means="hit"}')).toBe(2);
  expect(values.get('evoke_chunks_requested_total{means="generated"}')).toBe(2);
  expect(values.get('evoke_queue_chunks{state="queued"}')).toBe(0);
  expect(values.get('evoke_workers')).toBe(1);
  expect(values.get('evoke_worker_threads{state="idle"}')).toBe(1);
  expect(total(values, 'evoke_worker_cpu_seconds_total')).toBeGreaterThan(0);
  expect(values.get('evoke_store_capacity_bytes')).toBe(1e9);
  expect(values.get('evoke_chunks_evicted_total')).toBe(0);
  await service.call(`${path}/materialization`, { method: 'DELETE' });
  expect((await look()).get('evoke_chunks_evicted_total')).toBe(2);
});

test('damaged chunks show', async () => {
  const path = await service.declare('damaged', { generator: 'minbias', seed: 3, events: 10 });
  await service.call(`${path}/events/1-10`);
  const { derivationId, batchEvents, lastEvent } = (await service.call(`${path}/provenance/0`)).json();
  const name = [1, lastEvent].map((event) => String(event).padStart(16, '0')).join('-');
  const file = join(service.dataDir, 'store', 'chunks', derivationId, String(batchEvents), `${name}.arrows`);
  await writeFile(file, 'rubbish');
  await service.call(`${path}/provenance/0`);
  await expect.poll(async () => (await look()).get('evoke_chunks_damaged_total')).toBe(1);
});

test('what nobody can tell is left out, and comes back', async () => {
  let away = false;
  const tell = async <T>(value: T): Promise<T> => {
    if (away) throw new EvokeError('QUEUE_UNAVAILABLE');
    return value;
  };
  const worker = { id: 'w', role: 'worker', threads: 4, busy: 3, generated: 7 };
  const leader = { id: 's', role: 'scheduler', leading: 1, batchesActive: 2, batchChunksDone: 11 };
  const sources = {
    queue: { depth: () => tell({ queued: 5, generating: 3 }) },
    processes: { list: () => tell([worker, leader]) },
    book: { usage: () => tell({ usedBytes: 10, reservedBytes: 2 }) },
    holds: { held: () => tell({ ranges: 3, chunks: 2, bytes: 1 }) },
    capacityBytes: () => tell(100),
  } as unknown as SharedSources;
  const { registry } = new ApiMetrics();
  const shared = new SharedMetrics(registry, sources);
  const names = ['evoke_queue_chunks', 'evoke_workers', 'evoke_worker_threads', 'evoke_store_bytes', 'evoke_held'];
  const others = [
    'evoke_store_capacity_bytes',
    'evoke_worker_chunks_generated_total',
    'evoke_batches_active',
    'evoke_batch_chunks_done_total',
  ];
  const ask = async () => {
    await shared.look();
    const values = read(await registry.metrics());
    return [...names, ...others].map((name) =>
      [...values.keys()].some((key) => key.split('{')[0] === name) ? total(values, name) : undefined,
    );
  };
  expect(await ask()).toEqual([8, 1, 4, 12, 6, 100, 7, 2, 11]);
  away = true;
  expect(await ask()).toEqual(names.concat(others).map(() => undefined));
  away = false;
  expect(await ask()).toEqual([8, 1, 4, 12, 6, 100, 7, 2, 11]);
});
