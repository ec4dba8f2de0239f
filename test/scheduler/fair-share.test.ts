// One chunk in ten is the batch's while others stand before it: the counting over fakes, and the measure on a real queue.
import { EventEmitter } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { chunkOf } from '../../core/dataset.ts';
import { derivationId } from '../../core/derivation.ts';
import { silentLog } from '../../core/log.ts';
import type { ChunkDone, ChunkFailed } from '../../queue/job.ts';
import { FairShare } from '../../scheduler/fair-share.ts';
import { Filling } from '../../scheduler/filling.ts';
import { Flights } from '../../scheduler/flights.ts';
import { systemTime } from '../../scheduler/time.ts';
import { Line } from '../fixtures/line.ts';
import { datasetOf } from './fakes.ts';
import { settle } from './manual-time.ts';

function setUp(keys: string[]) {
  const events = new EventEmitter<{ done: [ChunkDone]; failed: [ChunkFailed] }>();
  const own = new Map(keys.map((key, index) => [key, index]));
  const asked: string[] = [];
  const begun = new Set<string>();
  const state = { away: false };
  const promote = async (key: string) => {
    if (state.away) throw new Error('away');
    asked.push(key);
    return !begun.has(key);
  };
  const share = new FairShare({ events, queue: { promote }, own, log: silentLog });
  const stopping = new AbortController();
  share.keep(stopping.signal);
  const done = async (key: string, generated = true) => {
    events.emit('done', { key, generated, bytes: 1, cpuSeconds: 1, workMs: 1 });
    await settle();
  };
  const others = async (count: number) => {
    for (let i = 0; i < count; i++) await done(`other-${i}`);
  };
  return { share, own, asked, begun, state, done, others, events, stopping };
}

test('after nine chunks for others the first of ours that still waits is granted its turn, and after nine more the next', async () => {
  const { share, asked, begun, others } = setUp(['a', 'b', 'c']);
  begun.add('a');
  await others(8);
  expect(asked).toEqual([]);
  await others(1);
  expect([asked, share.grants]).toEqual([['a', 'b'], 1]);
  await others(8);
  expect(share.grants).toBe(1);
  await others(1);
  expect([asked.slice(2), share.grants]).toEqual([['a', 'c'], 2]);
});

test('a chunk of ours that came by itself begins the count anew; a granted one does not', async () => {
  const { share, done, others } = setUp(['a', 'b', 'c']);
  await others(8);
  await done('a');
  await others(8);
  expect(share.grants).toBe(0);
  await others(1);
  expect(share.grants).toBe(1);
  await others(5);
  await done('a');
  await others(3);
  expect(share.grants).toBe(1);
  await others(1);
  expect(share.grants).toBe(2);
});

test('chunks that were found stored took no turn; chunks that failed did', async () => {
  const { share, done, events } = setUp(['a']);
  for (let i = 0; i < 20; i++) await done('other', false);
  expect(share.grants).toBe(0);
  for (let i = 0; i < 9; i++) {
    events.emit('failed', { key: 'other', code: 'GENERATION_FAILED', detail: '', attempts: 1 });
    await settle();
  }
  expect(share.grants).toBe(1);
});

test('where nothing of ours waits, one turn is owed and no more; a queue that is away costs nothing but the turn', async () => {
  const { share, own, others, state } = setUp([]);
  await others(100);
  for (const key of ['a', 'b', 'c']) own.set(key, 1);
  state.away = true;
  await others(3);
  expect(share.grants).toBe(0);
  state.away = false;
  await others(1);
  expect(share.grants).toBe(1);
  await others(8);
  expect(share.grants).toBe(1);
});

test('when it ends, nobody is listened to any more', async () => {
  const { share, others, stopping, events } = setUp(['a']);
  stopping.abort();
  await others(20);
  expect([share.grants, events.listenerCount('done'), events.listenerCount('failed')]).toEqual([0, 0, 0]);
});

test("on a real queue with people waiting all the time, one chunk in ten is the batch's, and people hardly wait longer", async () => {
  const line = await Line.start({ onTestFinished });
  const { queue, events, chunks } = line;
  const options = { queue, events, chunks, time: systemTime, flightsMax: 1000, waitMs: 60_000 };
  const [people, scheduler] = [new Flights(options), new Flights(options)];
  const batchData = { ...datasetOf(8_000, 8, 1), batchEvents: 4 };
  const derivation = { generator: 'slow', version: '1', parameters: { batchMs: 2 }, seed: 1 };
  const dataset = { ...batchData, derivation, derivationId: derivationId(derivation) };
  const filling = new Filling({
    dataset,
    span: { first: 0, end: 1000 },
    chunks,
    flights: scheduler,
    window: () => 4,
    priority: 'batch',
    requestId: 'request',
    batch: 'b',
    sinceMs: Date.now(),
    time: systemTime,
  });
  const own = { has: (key: string) => filling.onOrder.has(key), keys: () => filling.onOrder.keys() };
  const stopping = new AbortController();
  const share = new FairShare({ events, queue, own, log: silentLog });
  share.keep(stopping.signal);
  await line.worker({ threads: 2 });
  const asking = { ...derivation, seed: 2 };
  const asked = { ...dataset, derivation: asking, derivationId: derivationId(asking) };

  // Eight people, each of whom asks for the next chunk as soon as one has come.
  let next = 0;
  const waits: number[] = [];
  const person = async () => {
    while (next < 400) {
      const chunk = chunkOf(asked, next++);
      const job = { key: chunkKey(chunk), chunk, derivation: asking, requestId: 'person', dataset: 'test:asked' };
      const begun = performance.now();
      await people.board(job);
      waits.push(performance.now() - begun);
    }
  };
  const crowd = Promise.all(Array.from({ length: 8 }, person));
  await expect.poll(() => waits.length, { interval: 5 }).toBeGreaterThan(80);
  const run = filling.run(stopping.signal);
  const before = waits.length;
  await crowd;
  const batch = filling.tally.done;
  const share10 = batch / (waits.length - before + batch);
  stopping.abort();
  await run;
  expect(share.grants).toBeGreaterThan(10);
  expect(share10).toBeGreaterThan(0.07);
  expect(share10).toBeLessThan(0.15);
  const median = (times: number[]) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
  const [alone, beside] = [median(waits.slice(30, before)), median(waits.slice(before))];
  expect(beside).toBeLessThan(alone * 2.5);
}, 30_000);
