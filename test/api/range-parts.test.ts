// The parts of event ranges, each by itself.
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodyRoom } from '../../api/body-room.ts';
import { Deliveries } from '../../api/deliveries.ts';
import { answered, askedRange, readRangeList } from '../../api/event-range-list.ts';
import { FileLookup } from '../../api/file-lookup.ts';
import { parseJson, readJson } from '../../api/json-body.ts';
import { RangeHolds } from '../../api/range-holds.ts';
import type { Dataset } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import type { HeldRange, HoldLimits } from '../../core/hold-book.ts';
import { silentLog } from '../../core/log.ts';
import { aDataset } from '../store/a-chunk.ts';

const json = fc.jsonValue({ maxDepth: 4 });

test('whatever JSON comes as a list: it is one, or it is refused as the body that it is', () => {
  fc.assert(
    fc.property(fc.oneof(json, fc.array(json), fc.record({ eventRanges: fc.array(json) })), (body) => {
      try {
        expect(Array.isArray(readRangeList(body, 3).ranges)).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(INVALID_BODY|BODY_TOO_LARGE)$/) });
      }
    }),
  );
});

test('whatever an object says: it asks for a range, or is refused for it, and is given back as it came', () => {
  const value = fc.oneof(json, fc.string(), fc.integer(), fc.constantFrom('test', 'a.1.root', 1, 2 ** 53, -0, 1e300));
  const fields = ['eventRangeID', 'LFN', 'GUID', 'scope', 'startEvent', 'lastEvent', '__proto__', 'constructor', 'x'];
  const object = fc.uniqueArray(fc.tuple(fc.constantFrom(...fields), value), { selector: ([name]) => name });
  fc.assert(
    fc.property(object, (entries) => {
      const text = `{${entries.map(([name, each]) => `${JSON.stringify(name)}:${JSON.stringify(each)}`).join(',')}}`;
      const [range] = readRangeList(parseJson(Buffer.from(`[${text}]`), true), 1).ranges;
      if (range === undefined) throw new Error('The list has one range.');
      try {
        const { startEvent, lastEvent } = askedRange(range);
        expect(Math.min(startEvent, lastEvent)).toBeGreaterThanOrEqual(1);
      } catch (error) {
        expect(error).toMatchObject({
          code: expect.stringMatching(/^(INVALID_BODY|MALFORMED_NAME|MALFORMED_RANGE)$/),
        });
      }
      expect(JSON.stringify(answered(range, {}))).toBe(JSON.stringify(JSON.parse(text)));
      expect(Object.getPrototypeOf(answered(range, {}))).toBe(Object.prototype);
    }),
  );
});

test('a prototype as a key is refused where it is not expected', () => {
  expect(() => parseJson(Buffer.from('{"a": {"__proto__": 1}}'))).toThrow('__proto__');
  expect(JSON.stringify(parseJson(Buffer.from('{"a": {"__proto__": 1}}'), true))).toBe('{"a":{"__proto__":1}}');
});

test('large bodies share a room, and one that finds none is told to come again', async () => {
  const room = new BodyRoom(100);
  const headers = {
    contentType: 'application/json',
    contentEncoding: undefined,
    contentLength: undefined,
    transferEncoding: undefined,
  };
  const read = (bytes: number) =>
    readJson(Readable.from([Buffer.from(`"${'x'.repeat(bytes - 2)}"`)]), headers, {
      bytesMax: 1000,
      take: (taken) => room.take(taken),
    });
  await read(60);
  await expect(read(41)).rejects.toMatchObject({ code: 'OVERLOADED' });
  expect(room.usedBytes).toBe(60);
  room.give(60);
  await read(100);
});

const delivered = (first: number) => ({ derivationId: 'd', range: { first, end: first + 1 } });

test('deliveries are told in one go, each once, and only while something is held', async () => {
  let ranges = 0;
  let away = false;
  const told: number[] = [];
  const book = {
    held: async () => {
      if (away) throw new EvokeError('QUEUE_UNAVAILABLE');
      return { ranges, chunks: 0, bytes: 0 };
    },
    delivered: async (_: string, { first }: { first: number }) => {
      told.push(first);
      return 2;
    },
  };
  const deliveries = new Deliveries(book, silentLog);
  await deliveries.tell();
  const [one, two] = [delivered(1), delivered(2)];
  deliveries.add(one);
  await deliveries.tell();
  expect(told).toEqual([]);
  ranges = 5;
  for (const each of [one, two, one]) deliveries.add(each);
  await deliveries.tell();
  await deliveries.tell();
  expect(told).toEqual([1, 2]);
  expect(deliveries.released).toBe(4);
  away = true;
  deliveries.add(one);
  await deliveries.tell();
  away = false;
  for (let i = 0; i < 20_000; i++) deliveries.add(delivered(i));
  await deliveries.tell();
  expect(told).toHaveLength(10_002);
});

function rangeHolds(options: { holdMs?: number; fails?: EvokeError } = {}) {
  const calls: { ranges: readonly HeldRange[]; limits: HoldLimits }[] = [];
  const order: string[] = [];
  const holds = new RangeHolds({
    book: {
      hold: async (ranges, _holdMs, limits) => {
        order.push('hold');
        if (options.fails !== undefined) throw options.fails;
        calls.push({ ranges, limits });
        return ranges.map((_, i) => i % 2 === 0);
      },
    },
    deliveries: {
      tell: async () => {
        order.push('tell');
      },
    },
    registry: {
      costOf: ({ derivation }) => (derivation.seed === 9 ? undefined : { rawBytes: 7.5, cpuSeconds: 1, links: [1] }),
    },
    capacityBytes: async () => 1001,
    holdMs: options.holdMs ?? 1000,
    log: silentLog,
  });
  return { holds, calls, order };
}

const range = { first: 0, end: 10 };
const made = { dataset: aDataset(), range };
const fossil = { dataset: aDataset({ name: 'fossil', derivation: { ...aDataset().derivation, seed: 9 } }), range };

test('ranges are held within half of the capacity, by what their chunks take at most; fossils need no holding', async () => {
  const { holds, calls, order } = rangeHolds();
  expect(await holds.hold([fossil, made, fossil, made, made])).toEqual([false, true, false, false, true]);
  expect(calls).toMatchObject([{ limits: { bytesMax: 500 }, ranges: Array(3).fill({ chunkBytes: 480, range }) }]);
  // What was delivered before does not end what is held from now on.
  expect(order).toEqual(['tell', 'hold']);
});

test('nothing is held for no time, or while Redis is away, and both are no errors', async () => {
  const never = rangeHolds({ holdMs: 0 });
  expect(await never.holds.hold([made])).toEqual([false]);
  expect(never.order).toEqual([]);
  expect(await never.holds.hold([])).toEqual([]);
  const away = rangeHolds({ fails: new EvokeError('QUEUE_UNAVAILABLE') });
  expect(await away.holds.hold([made, made])).toEqual([false, false]);
});

test('each scope and each file of a list is looked up once, and a list of very many scopes is not one list', async () => {
  const asked: string[] = [];
  const dataset = aDataset({ name: 'd' });
  const lookup = new FileLookup({
    filesOf: async (scope) => {
      asked.push(scope);
      return { datasetsWith: (lfn) => (lfn === 'd' ? ['d'] : []) };
    },
    find: async (name) => ({ ...dataset, ...name }) as Dataset,
    isRetired: async () => false,
  });
  for (let i = 0; i < 3; i++) {
    expect((await lookup.find('a', 'd')).events).toEqual({ first: 0, end: 1000 });
    await expect(lookup.find('a', 'x')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  }
  expect(asked).toEqual(['a']);
  for (let i = 0; i < 63; i++) await lookup.find(`s${i}`, 'd');
  await expect(lookup.find('one-more', 'd')).rejects.toMatchObject({ code: 'INVALID_BODY' });
  await lookup.find('a', 'd');
  expect(asked).toHaveLength(64);
});
