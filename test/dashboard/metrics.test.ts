// Reading /metrics: the service's own text, and text that is not it.
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { ApiMetrics } from '../../api/metrics.ts';
import { SharedMetrics } from '../../api/shared-metrics.ts';
import { countsOf, growth, metric } from '../../dashboard/metrics.js';

const worker = { id: 'w', role: 'worker', pid: 1, host: 'h', startedAt: '', storeId: '', registry: '', version: '' };

test('what the service counts is what the page shows', async () => {
  const metrics = new ApiMetrics();
  metrics.served({ hit: 5, joined: 2, generated: 3 });
  const shared = new SharedMetrics(metrics.registry, {
    queue: { depth: async () => ({ queued: 7, generating: 2 }) },
    processes: { list: async () => [{ ...worker, role: 'worker', threads: 4, busy: 3 }] },
    book: { usage: async () => ({ usedBytes: 1000, reservedBytes: 5 }) },
    holds: { held: async () => ({ ranges: 3, chunks: 2, bytes: 1 }) },
    capacityBytes: async () => 4000,
  });
  await shared.look();
  expect(countsOf(await metrics.registry.metrics())).toEqual({
    hit: 5,
    joined: 2,
    generated: 3,
    queued: 7,
    generating: 2,
    workers: 1,
    busy: 3,
    threads: 4,
    storedBytes: 1000,
    capacityBytes: 4000,
  });
});

test('what nobody can tell is unknown, and not nought', async () => {
  const away = () => Promise.reject(new Error('away'));
  const registry = new Registry();
  const shared = new SharedMetrics(registry, {
    queue: { depth: away },
    processes: { list: away },
    book: { usage: away },
    holds: { held: away },
    capacityBytes: away,
  });
  await shared.look();
  const counts = countsOf(await registry.metrics());
  for (const name of ['queued', 'generating', 'workers', 'busy', 'threads', 'storedBytes', 'capacityBytes'] as const) {
    expect(counts[name], name).toBeUndefined();
  }
});

test('labels of any order and text are read, and lines that are none are passed over', () => {
  const text = 'a{x="1",y="b,c"} 2\na{y="b,c",x="2"} 3\na NaN\na{\nab 7\n# a 9\n\u0000';
  expect(metric(text, 'a', 'y')).toEqual(new Map([['b,c', 5]]));
  expect(metric(text, 'a', 'x')).toEqual(
    new Map([
      ['1', 2],
      ['2', 3],
    ]),
  );
  expect(metric('<html>', 'a')).toBeUndefined();
  expect(countsOf('<html>').hit).toBe(0);
});

test('a counter that was begun anew counts from nothing', () => {
  expect(growth(5, 8)).toBe(3);
  expect(growth(8, 2)).toBe(2);
});
