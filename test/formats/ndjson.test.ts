import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import type { Column, EventColumns } from '../../core/columns.ts';
import type { EventRange } from '../../core/event-range.ts';
import { Marshaller } from '../../formats/marshaller.ts';
import { ndjsonLines } from '../../formats/ndjson.ts';
import { plain } from './reader.ts';
import { bodyOf, columns, grid, make, selectionOf, storedChunks } from './synthetic.ts';

const marshaller = new Marshaller({ threads: 2, queueMax: 16 });
afterAll(() => marshaller.close());

const chunks = storedChunks();
const answer = (range: EventRange, chosen?: string[], on = grid, from = chunks) =>
  bodyOf('ndjson', selectionOf(range, chosen, on), from, marshaller);

const column = (name: string, type: Column['type']): Column => ({ name, type, unit: '1', description: '' });
const text = (of: readonly Column[], data: EventColumns) =>
  Buffer.from(ndjsonLines(of, data, 0, data.events)).toString('utf8');

test('every event is a line of JSON with the columns in order, jagged ones as arrays', async () => {
  const range = { first: 50, end: 300 };
  const lines = (await answer(range)).toString('utf8').split('\n');
  expect(lines.pop()).toBe('');
  expect(lines).toHaveLength(250);
  const made = make(range);
  const expected = Object.fromEntries(columns.map((each) => [each.name, plain(each, made)]));
  lines.forEach((line, event) => {
    const parsed = JSON.parse(line);
    expect(Object.keys(parsed)).toEqual(columns.map(({ name }) => name));
    for (const { name, type } of columns) {
      const value = expected[name]?.[event];
      expect(parsed[name], name).toEqual(type === 'uint64' ? Number(value) : value);
    }
  });
});

test('numbers are printed with the fewest digits, float32 widened, −0 as 0, uint64 in full', () => {
  const of = [column('a', 'float32'), column('b', 'float64'), column('c', 'uint64'), column('d', 'int32')];
  const values = {
    a: new Float32Array([0.1, -0, 1e-45, 3]),
    b: new Float64Array([0.1, -0, 1e21, 5e-324]),
    c: new BigUint64Array([18446744073709551615n, 0n, 9007199254740993n, 1n]),
    d: new Int32Array([-1, 0, 2147483647, -2147483648]),
  };
  expect(text(of, { events: 4, values, offsets: {} })).toBe(
    '{"a":0.10000000149011612,"b":0.1,"c":18446744073709551615,"d":-1}\n' +
      '{"a":0,"b":0,"c":0,"d":0}\n' +
      '{"a":1.401298464324817e-45,"b":1e+21,"c":9007199254740993,"d":2147483647}\n' +
      '{"a":3,"b":5e-324,"c":1,"d":-2147483648}\n',
  );
});

test('−0 in an array prints as 0, and an empty array as []', () => {
  const of: Column[] = [{ ...column('x', 'float32'), countedBy: 'n' }];
  const data = { events: 2, values: { x: new Float32Array([-0, 1.5]) }, offsets: { n: new Int32Array([0, 2, 2]) } };
  expect(text(of, data)).toBe('{"x":[0,1.5]}\n{"x":[]}\n');
});

test('any double is read back as the same', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }), (doubles) => {
      const data = { events: doubles.length, values: { x: Float64Array.from(doubles) }, offsets: {} };
      const read = text([column('x', 'float64')], data)
        .trimEnd()
        .split('\n');
      expect(read.map((line) => JSON.parse(line).x)).toEqual(doubles.map((x) => x + 0));
    }),
  );
});

test('a column of any name is a valid member', () => {
  const of = [column('pT "µ" \n→ 𝛼', 'int32')];
  const line = text(of, { events: 1, values: { [of[0]?.name as string]: new Int32Array([7]) }, offsets: {} });
  expect(JSON.parse(line)).toEqual({ [of[0]?.name as string]: 7 });
});

test('events 1-200 are byte for byte 1-100 followed by 101-200', async () => {
  const parts = [await answer({ first: 0, end: 100 }), await answer({ first: 100, end: 200 })];
  expect(Buffer.concat(parts).equals(await answer({ first: 0, end: 200 }))).toBe(true);
});

test('any cut of a range, in any columns and on any grid, gives the same bytes end to end', async () => {
  const grids = [
    grid,
    { events: 1000, chunkEvents: 100, batchEvents: 32 },
    { events: 1000, chunkEvents: 7, batchEvents: 4 },
  ];
  const stored = [chunks, ...grids.slice(1).map((on) => storedChunks(on))];
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat({ max: 400 }), { minLength: 2, maxLength: 5 }),
      fc.subarray(
        columns.map(({ name }) => name),
        { minLength: 1 },
      ),
      fc.nat({ max: 2 }),
      async (cuts, chosen, which) => {
        const bounds = cuts.sort((a, b) => a - b);
        const whole = await answer({ first: bounds[0] as number, end: bounds.at(-1) as number }, chosen);
        const parts: Buffer[] = [];
        for (let i = 1; i < bounds.length; i++) {
          const range = { first: bounds[i - 1] as number, end: bounds[i] as number };
          parts.push(await answer(range, chosen, grids[which], stored[which]));
        }
        expect(Buffer.concat(parts).equals(whole)).toBe(true);
      },
    ),
    { numRuns: 25 },
  );
});
