// One report at a time and a few that wait; a question that is asked again is not reckoned again; and whoever goes holds
// up nobody else.
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EvokeError } from '../../../core/errors.ts';
import { type ComputeReport, ReportDesk } from '../../../costs/report/desk.ts';
import type { ReportForms } from '../../../costs/report/forms.ts';
import type { CostQuery } from '../../../costs/report/report.ts';
import { dayMs, epochMs } from './ledgers.ts';

const query: CostQuery = { fromMs: epochMs, toMs: epochMs + dayMs, by: 'dataset' };
const patient = new AbortController().signal;

/** What stands for the `n`th report that was begun. */
function formsOf(n: number): ReportForms {
  const bytes = new Uint8Array([n]);
  return { json: bytes, csv: bytes };
}

interface Begun {
  readonly signal: AbortSignal;
  readonly query: CostQuery;
  /** It was not to be given up. */
  done(): void;
  fail(error: unknown): void;
}

/** A desk whose reports are done when the test says so, at a time that it chooses. */
function desk() {
  const begun: Begun[] = [];
  const now = { ms: 0 };
  let atOnce = 0;
  let atOnceMax = 0;
  const compute: ComputeReport = async (query, signal) => {
    atOnceMax = Math.max(atOnceMax, ++atOnce);
    const { promise, resolve, reject } = Promise.withResolvers<ReportForms>();
    const forms = formsOf(begun.length);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    begun.push({ signal, query, done: () => resolve(forms), fail: reject });
    try {
      return await promise;
    } finally {
      atOnce--;
    }
  };
  const at = new ReportDesk(compute, () => now.ms);
  return {
    begun,
    now,
    atOnceMax: () => atOnceMax,
    ask: (question: string, signal = patient) => at.cost(question, query, signal),
    nth: async (n: number): Promise<Begun> => {
      await expect.poll(() => begun.length).toBeGreaterThan(n);
      return begun[n] as Begun;
    },
  };
}

test('five questions are reckoned one after the other, and a sixth is told to come later', async () => {
  const { ask, nth, atOnceMax } = desk();
  const reports = ['a', 'b', 'c', 'd', 'e'].map((question) => ask(question));
  await expect(ask('f')).rejects.toMatchObject({ code: 'OVERLOADED', details: { retryAfterSeconds: 10 } });
  for (let n = 0; n < 5; n++) {
    (await nth(n)).done();
    expect((await reports[n])?.forms).toEqual(formsOf(n));
  }
  expect(atOnceMax()).toBe(1);
  const after = ask('f');
  (await nth(5)).done();
  expect(await after).toEqual({ forms: formsOf(5), ageMs: undefined });
});

test('a hundred who ask the same while it is reckoned wait for one report, and take no place of others', async () => {
  const { ask, nth, begun } = desk();
  const same = Array.from({ length: 100 }, () => ask('a'));
  const others = ['b', 'c', 'd', 'e'].map((question) => ask(question));
  (await nth(0)).done();
  expect(new Set((await Promise.all(same)).map(({ forms }) => forms)).size).toBe(1);
  for (let n = 1; n < 5; n++) (await nth(n)).done();
  await Promise.all(others);
  expect(begun).toHaveLength(5);
});

test.each([
  [0, 2000],
  [99, 2000],
  [101, 2020],
  [30_000, 600_000],
])('what took %i ms is remembered for %i ms, with its age', async (tookMs, forMs) => {
  const { ask, nth, now, begun } = desk();
  now.ms = 5000;
  const first = ask('a');
  const report = await nth(0);
  now.ms += tookMs;
  report.done();
  await first;
  now.ms += forMs - 1;
  expect(await ask('a')).toEqual({ forms: formsOf(0), ageMs: tookMs + forMs - 1 });
  now.ms += 1;
  const again = ask('a');
  (await nth(1)).done();
  expect(await again).toEqual({ forms: formsOf(1), ageMs: undefined });
  expect(begun).toHaveLength(2);
});

test('however often a question is asked, a twentieth of the time goes into it', async () => {
  const { ask, nth, now, begun } = desk();
  const tookMs = 700;
  while (now.ms < 3_600_000) {
    const before = begun.length;
    const asked = ask('a');
    const report = await Promise.race([asked, nth(before)]);
    if ('done' in report) {
      now.ms += tookMs;
      report.done();
      await asked;
    }
    now.ms += 500;
  }
  expect((begun.length * tookMs) / now.ms).toBeLessThan(1 / 20);
  expect(begun.length).toBeGreaterThan(200);
});

test('only so many reports are remembered: the one that was not asked for the longest time is forgotten first', async () => {
  const { ask, nth, begun } = desk();
  const reckon = async (question: string) => {
    const n = begun.length;
    const asked = ask(question);
    (await nth(n)).done();
    await asked;
  };
  for (let n = 0; n < 64; n++) await reckon(`question ${n}`);
  expect((await ask('question 0')).ageMs).toBe(0);
  await reckon('one more');
  expect((await ask('question 0')).ageMs).toBe(0);
  await reckon('question 1');
  expect(begun).toHaveLength(66);
});

test('a report that fails lets the next one begin, and is tried again when it is asked for again', async () => {
  const { ask, nth } = desk();
  const [first, second] = [ask('a'), ask('b')];
  (await nth(0)).fail(new EvokeError('STORE_UNAVAILABLE', { detail: 'the store is away' }));
  await expect(first).rejects.toThrow('the store is away');
  (await nth(1)).done();
  await second;
  const again = ask('a');
  (await nth(2)).done();
  expect((await again).forms).toEqual(formsOf(2));
});

test('a report that is too much is not tried again at once: whoever asks hears when', async () => {
  const { ask, nth, now, begun } = desk();
  const first = ask('a');
  const report = await nth(0);
  now.ms = 60_000;
  report.fail(new EvokeError('OVERLOADED', { detail: 'too much', hint: 'less' }));
  await expect(first).rejects.toMatchObject({ code: 'OVERLOADED', details: { retryAfterSeconds: 1200, hint: 'less' } });
  now.ms += 1_000_000;
  await expect(ask('a')).rejects.toMatchObject({ message: 'too much', details: { retryAfterSeconds: 200 } });
  expect(begun).toHaveLength(1);
  now.ms += 200_000;
  const again = ask('a');
  (await nth(1)).done();
  await again;
});

test('one of two who wait for the same goes, and the other gets the report', async () => {
  const { ask, nth } = desk();
  const leaving = new AbortController();
  const [goes, stays] = [ask('a', leaving.signal), ask('a')];
  const report = await nth(0);
  leaving.abort(new Error('gone'));
  await expect(goes).rejects.toThrow('gone');
  expect(report.signal.aborted).toBe(false);
  report.done();
  expect((await stays).forms).toEqual(formsOf(0));
});

test('a report that nobody waits for any more ends, and whoever asks then gets a new one', async () => {
  const { ask, nth } = desk();
  const leaving = new AbortController();
  const both = [ask('a', leaving.signal), ask('a', leaving.signal)];
  const report = await nth(0);
  leaving.abort(new Error('gone'));
  for (const one of await Promise.allSettled(both)) expect(one).toMatchObject({ reason: { message: 'gone' } });
  expect(report.signal.aborted).toBe(true);
  const anew = ask('a');
  (await nth(1)).done();
  expect((await anew).forms).toEqual(formsOf(1));
});

test('a client that goes while it waits for its turn gives up its place', async () => {
  const { ask, nth, begun } = desk();
  const leaving = new AbortController();
  const first = ask('a');
  const waiting = [ask('b', leaving.signal), ...['c', 'd', 'e'].map((question) => ask(question))];
  leaving.abort(new Error('gone'));
  await expect(waiting[0]).rejects.toThrow('gone');
  const late = ask('f');
  for (let n = 0; n < 5; n++) (await nth(n)).done();
  await Promise.all([first, ...waiting.slice(1), late]);
  await expect(ask('g', AbortSignal.abort(new Error('gone before')))).rejects.toThrow('gone before');
  await setImmediate();
  expect(begun).toHaveLength(5);
});
