// evoke report cost: a table for people, JSON and CSV for programs, and sentences that say what the figures mean.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CostReportShown, costReportShown } from '../../api/report-schemas.ts';
import { readable } from '../../cli/report-cost.ts';
import { amount, sentences } from '../../cli/report-words.ts';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { Ledger } from '../../costs/ledger/ledger.ts';
import { reportJson } from '../../costs/report/json.ts';
import { FsStore } from '../../store/fs-store.ts';
import { TestService } from '../api/harness.ts';
import { dayMs, report } from '../costs/report/ledgers.ts';
import { scriptedWeek } from '../costs/report/week.ts';
import { evoke } from './one-machine.ts';

const fromMs = Date.parse('2025-03-03');
const told = scriptedWeek(fromMs, 7);

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ worker: false });
  const store = new FsStore(join(service.dataDir, 'store'));
  const ledger = new Ledger({ store, process: 'test', flushMs: 60_000, clock: systemClock, log: silentLog });
  for (const entry of told) ledger.record(entry);
  await ledger.close();
});
afterAll(() => service.stop());

const cost = (...args: string[]) =>
  evoke(['report', 'cost', '--from', '2025-03-03', '--to', '2025-03-10', '--server', service.url, ...args]);

test('the table has aligned columns, a line for every row and the total, and says what was cheapest', async () => {
  const { code, stdout, stderr } = await cost('--by', 'generator');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [span, , head = '', ...lines] = stdout.split('\n');
  expect(span).toBe('2025-03-03T00:00:00.000Z to 2025-03-10T00:00:00.000Z');
  expect(head).toMatch(
    /^GENERATOR +CPU HOURS +WASTED +GB DAYS +GB SERVED +HITS +KWH +KG CO2E +COST EUR +NEVER KEPT +ALWAYS KEPT +OPTIMUM$/,
  );
  expect(lines.slice(0, 4).map((line) => line.split(' ')[0])).toEqual(['detsim', 'ee_mumu', 'minbias', 'total']);
  for (const line of lines.slice(0, 4)) expect(line).toHaveLength(head.length);
  expect(lines.join('\n')).toMatch(/would have been cheapest|What was done was cheapest/);
});

test('JSON is what the service says, and CSV is its CSV', async () => {
  const json = await cost('--json', '--by', 'day');
  const target = '/v1/reports/cost?from=2025-03-03&to=2025-03-10';
  expect(JSON.parse(json.stdout)).toEqual((await service.call(`${target}&by=day`)).json());
  const csv = await cost('--csv');
  expect(csv.stdout).toBe((await service.call(target, { headers: { accept: 'text/csv' } })).text());
});

test.each<[string[], number, string]>([
  [['--by', 'week'], 2, 'week'],
  [['--from', 'yesterday'], 2, '--from'],
  [['--dataset', 'mc'], 2, '--dataset'],
  [['--csv', '--json'], 2, '--csv'],
  [['--from', '2025-03-11'], 1, 'MALFORMED_REQUEST'],
  [['--dataset', 'mc:absent'], 1, 'DATASET_NOT_FOUND'],
  [['--server', 'http://127.0.0.1:1'], 1, 'does not answer'],
])('%j ends with exit code %i and one line that says %s', async (args, code, words) => {
  const ended = await cost(...args);
  expect(ended).toMatchObject({ code, stdout: '' });
  expect(ended.stderr).toContain(words);
});

test('the trade-off is not built yet', async () => {
  expect(await evoke(['report', 'tradeoff'])).toMatchObject({ code: 1 });
});

describe('in words', () => {
  let week: CostReportShown;
  beforeAll(async () => {
    const exact = await report(told, { fromMs, toMs: fromMs + 7 * dayMs, by: 'dataset' });
    week = costReportShown.parse(reportJson(exact));
  });
  const withCosts = (actual: number, never: number, always: number, optimum: number): CostReportShown => {
    const { total } = week;
    return {
      ...week,
      total: {
        actual: { ...total.actual, cost: actual },
        never: { ...total.never, cost: never },
        always: { ...total.always, cost: always },
        optimum: { ...total.optimum, cost: optimum },
      },
    };
  };

  test.each<[number, number, number, number, string[]]>([
    [
      2,
      6.4,
      3.6,
      1,
      [
        'What was done was cheapest, at EUR 2: keeping everything would have cost 1.8 times as much, keeping nothing would have cost 3.2 times as much.',
        'With hindsight EUR 1 would have been enough: what was done cost 2.0 times as much.',
      ],
    ],
    [
      3,
      60,
      2,
      2,
      [
        'Keeping everything would have been cheapest, at EUR 2: what was done cost 1.5 times as much, keeping nothing would have cost 30 times as much.',
        'With hindsight EUR 2 would have been enough: what was done cost 1.5 times as much.',
      ],
    ],
    [
      1,
      1,
      1.01,
      1,
      [
        'What was done was cheapest, at EUR 1: keeping nothing would have cost as much, keeping everything would have cost about as much.',
        'With hindsight EUR 1 would have been enough: what was done cost no more.',
      ],
    ],
    [
      0,
      0.004,
      0,
      0,
      [
        'What was done was cheapest, at EUR 0: keeping everything would have cost as much, keeping nothing would have cost EUR 0.004.',
        'With hindsight EUR 0 would have been enough: what was done cost no more.',
      ],
    ],
    [
      1,
      4,
      3,
      2,
      [
        'What was done was cheapest, at EUR 1: keeping everything would have cost 3.0 times as much, keeping nothing would have cost 4.0 times as much.',
        'With hindsight, but beginning with nothing stored, EUR 2 would have been needed: earlier work has paid.',
      ],
    ],
  ])('of %f, never %f, always %f, optimum %f', (actual, never, always, optimum, expected) => {
    expect(sentences(withCosts(actual, never, always, optimum))).toEqual(expected);
  });

  test('what was assumed, and what could not be read, is said', () => {
    const assumptions = { chunks: 9, workOfDerivation: 1, workUnknown: 2, bytesOfDerivation: 3, bytesUnknown: 4 };
    const words = sentences({ ...week, assumptions, unreadableSegments: 2 }).slice(2);
    expect(words.map((line) => line.split(':')[0])).toEqual(['Assumed', 'Assumed', 'Assumed', 'Assumed', 'Missing']);
    for (const part of ['1 of 9', '2 of 9', '3 of 9', '4 of 9', '2 segments']) expect(words.join('\n')).toContain(part);
    expect(sentences(week)).toHaveLength(2);
  });

  test('a time in which nothing was asked for says so', async () => {
    const empty = costReportShown.parse(reportJson(await report([], { fromMs: 0, toMs: 1, by: 'dataset' })));
    expect(sentences(empty)).toEqual(['Nothing was asked for in this time, and nothing was spent.']);
    expect(readable(empty)).toContain('total');
    const stored = told.filter(({ kind }) => kind === 'put');
    const idle = reportJson(await report(stored, { fromMs, toMs: fromMs + dayMs, by: 'dataset' }));
    expect(sentences(costReportShown.parse(idle))[0]).toMatch(
      /^Nothing was asked for in this time; what .* cost EUR 0\.\d+\.$/,
    );
  });

  test('a dataset that nobody knows any more has a line too', async () => {
    const unknown = told.map((entry) => ({ ...entry, dataset: '' }));
    const shown = reportJson(await report(unknown, { fromMs, toMs: fromMs + dayMs, by: 'dataset' }));
    expect(readable(costReportShown.parse(shown))).toMatch(/^\(unknown\) /m);
  });
});

test.each<[number, string]>([
  [0, '0'],
  [1e-9, '0.000000001'],
  [0.0123456, '0.01235'],
  [12.3456, '12.35'],
  [100, '100.00'],
  [123456789.126, '123456789.13'],
])('the amount %f reads %s', (value, text) => {
  expect(amount(value)).toBe(text);
});
