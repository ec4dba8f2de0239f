// A report as it is shown: JSON numbers and CSV digits of the exact figures.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { costReportShown } from '../../../api/report-schemas.ts';
import type { LedgerEntry } from '../../../core/ledger.ts';
import { emptyBill } from '../../../costs/report/bill.ts';
import { reportCsv } from '../../../costs/report/csv.ts';
import { decimal, figuresOf } from '../../../costs/report/figures.ts';
import { reportJson } from '../../../costs/report/json.ts';
import { worlds } from '../../../costs/report/report.ts';
import { anyLedger, anyPrices, anyWindow, dayMs, epochMs, plainPrices, report } from './ledgers.ts';

/** RFC 4180, read letter by letter. */
function readCsv(text: string): string[][] {
  const lines: string[][] = [];
  let [fields, field, isQuoted]: [string[], string, boolean] = [[], '', false];
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (isQuoted && c === '"' && text[i + 1] === '"') {
      field += '"';
      i++;
    } else if (c === '"') isQuoted = !isQuoted;
    else if (isQuoted || (c !== ',' && c !== '\r')) field += c;
    else if (c === ',') {
      fields.push(field);
      field = '';
    } else {
      lines.push([...fields, field]);
      [fields, field] = [[], ''];
      i++;
    }
  }
  return lines;
}

test('JSON is what the document of the api says, with the nearest number of every exact figure', async () => {
  await fc.assert(
    fc.asyncProperty(anyLedger, anyWindow, anyPrices, async (entries, window, prices) => {
      const exact = await report(entries, { ...window, by: 'dataset' }, prices);
      const shown = costReportShown.parse(JSON.parse(JSON.stringify(reportJson(exact))));
      expect(shown).toMatchObject({
        from: new Date(window.fromMs).toISOString(),
        to: new Date(window.toMs).toISOString(),
        currency: 'EUR',
      });
      for (const world of worlds) {
        const { quantities, cost } = exact.total[world];
        expect(shown.total[world].cost).toBe(Number(`${cost}e-9`));
        expect(shown.total[world].cpuSeconds).toBe(Number(`${quantities.cpuMicros}e-6`));
        expect(shown.total[world].byteSeconds).toBe(Number(`${quantities.byteMs}e-3`));
        const { cpuSeconds, energyKwh, gramsCo2e } = shown.total[world];
        expect(energyKwh).toBeCloseTo((cpuSeconds * prices.wattsPerCore) / 3600 / 1000, 8);
        expect(gramsCo2e).toBeCloseTo((cpuSeconds * prices.wattsPerCore * prices.gramsCo2PerKwh) / 3600 / 1000, 8);
      }
      const { waste } = shown.total.actual;
      expect(Object.values(waste.byCause).reduce((sum, cpu) => sum + cpu, 0)).toBeCloseTo(waste.cpuSeconds, 5);
    }),
    { numRuns: 60 },
  );
});

test('CSV has a header and a line for every row and world, and says the same as JSON', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyLedger,
      anyWindow,
      fc.constantFrom('dataset', 'day', 'generator'),
      anyPrices,
      async (entries, window, by, prices) => {
        const exact = await report(entries, { ...window, by }, prices);
        const shown = costReportShown.parse(reportJson(exact));
        const [header = [], ...lines] = readCsv(reportCsv(exact));
        expect(header.slice(0, 2)).toEqual([by, 'world']);
        expect(lines).toHaveLength(4 * exact.rows.length);
        lines.forEach((line, i) => {
          const told = Object.fromEntries(header.map((name, column) => [name, line[column]]));
          const row = shown.rows[Math.floor(i / 4)];
          const world = worlds[i % 4] as (typeof worlds)[number];
          expect(told).toMatchObject({ [by]: row?.key, world, currency: 'EUR' });
          for (const name of [
            'cpuSeconds',
            'byteSeconds',
            'bytesServed',
            'hitRatio',
            'energyKwh',
            'gramsCo2e',
            'cost',
          ] as const) {
            expect(told[name]).toMatch(/^\d+(\.\d+)?$/);
            expect(Number(told[name])).toBe(row?.[world][name]);
          }
        });
      },
    ),
    { numRuns: 60 },
  );
});

test('a key with commas, quotes and line breaks comes back as it was', async () => {
  const generator = 'a,"b"\r\nc';
  const entry: LedgerEntry = {
    kind: 'put',
    dataset: 'a:one',
    generator,
    derivation: 'd',
    batchEvents: 1,
    range: { first: 0, end: 1 },
    atMs: epochMs,
    bytes: 1,
  };
  const text = reportCsv(await report([entry], { fromMs: epochMs, toMs: epochMs + dayMs, by: 'generator' }));
  expect(text).toContain('"a,""b""\r\nc",actual,');
  expect(readCsv(text)[1]?.[0]).toBe(generator);
});

test('a report of nothing is a header', async () => {
  const text = reportCsv(await report([], { fromMs: epochMs, toMs: epochMs + dayMs, by: 'day' }));
  expect(text).toMatch(/^day,world,cpuSeconds,.*,currency\r\n$/);
});

test.each<[bigint, number, string]>([
  [0n, 9, '0'],
  [1n, 9, '0.000000001'],
  [1_500_000_000n, 9, '1.5'],
  [10n ** 30n, 9, '1000000000000000000000'],
  [12n, 0, '12'],
  [100n, 3, '0.1'],
])('%i steps with %i places are %s', (steps, places, text) => {
  expect(decimal(steps, places)).toBe(text);
});

test('an hour of a core at ten watts is 0.01 kWh, and 2.5 g at 250 g per kWh; no demand has the hit ratio 0', () => {
  const bill = { ...emptyBill, quantities: { ...emptyBill.quantities, cpuMicros: 3_600_000_000n } };
  expect(figuresOf(bill, plainPrices)).toMatchObject({
    energyKwh: '0.01',
    gramsCo2e: '2.5',
    cpuSeconds: '3600',
    hitRatio: '0',
  });
});
