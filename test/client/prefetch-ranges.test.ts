import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fileName } from '../../client/prefetch-folder.ts';
import { eventsNamed, localRange, type PandaRange, rangeKey, readRangeLists } from '../../client/prefetch-ranges.ts';
import { pandaRanges } from './range-service.ts';

async function read(text: string | Buffer, cuts: readonly number[] = []) {
  const bytes = Buffer.from(text);
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  const pieces = ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
  const lists = [];
  for await (const list of readRangeLists(
    (async function* () {
      yield* pieces;
    })(),
  ))
    lists.push(list);
  return lists;
}

const anyRange = fc
  .record({
    eventRangeID: fc.string({ unit: 'grapheme' }),
    LFN: fc.string(),
    startEvent: fc.nat(),
    more: fc.jsonValue({ maxDepth: 4 }),
  })
  .map((range) => JSON.parse(JSON.stringify(range)) as PandaRange);
const anyDocument = fc.oneof(
  fc.array(anyRange).map((eventRanges) => ({ document: eventRanges as unknown, list: { eventRanges } as object })),
  fc
    .record({ eventRanges: fc.array(anyRange), inFilePosEvtNum: fc.boolean() })
    .map((list) => ({ document: list as unknown, list: list as object })),
  anyRange.map((range) => ({ document: range as unknown, list: { eventRanges: [range] } as object })),
);

test('lists are read alike, however they are written, set apart and cut on their way', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(anyDocument, fc.constantFrom(0, 2), fc.constantFrom('', '\n', ' \r\n\t'))),
      fc.array(fc.nat()),
      async (documents, cuts) => {
        const text = documents.map(([{ document }, indent, gap]) => JSON.stringify(document, null, indent) + gap);
        expect(await read(text.join(''), cuts)).toEqual(documents.map(([{ list }]) => list));
      },
    ),
    { numRuns: 100 },
  );
});

test.each([
  ['5', /begins with/],
  ['"text"', /begins with/],
  ['[1]', /no JSON object/],
  ['[[]]', /no JSON object/],
  ['[null]', /no JSON object/],
  ['{}', /neither eventRanges nor eventRangeID/],
  ['{"eventRanges": {}}', /neither/],
  ['{"eventRanges": [], "inFilePosEvtNum": "yes"}', /neither true nor false/],
  ['[{"startEvent": 1}]', /has no eventRangeID/],
  ['[{"eventRangeID": 7}]', /has no eventRangeID/],
  ['{"eventRangeID": 7}', /has no eventRangeID/],
  ['[{"eventRangeID": "a"}', /end in the middle/],
  ['[{"eventRangeID": "a]', /end in the middle/],
  ['[}', /not JSON/],
  ['[]]', /begins with/],
  ['[],[]', /begins with/],
  [`${'['.repeat(33)}${']'.repeat(33)}`, /too deep/],
  ['\0', /begins with/],
])('%s is no list, and said to be none', async (text, said) => {
  await expect(read(text)).rejects.toThrow(said);
});

test('a list without end is not read to its end', async () => {
  let given = 0;
  async function* endless() {
    yield Buffer.from('[');
    for (;;) {
      given++;
      yield Buffer.alloc(1024 * 1024, ' ');
    }
  }
  await expect(readRangeLists(endless()).next()).rejects.toThrow(/more than 67108864 bytes/);
  expect(given).toBeLessThanOrEqual(64);
});

test('lists before a broken one are read', async () => {
  const lists = readRangeLists(
    (async function* () {
      yield Buffer.from('[{"eventRangeID": "a"}] nonsense');
    })(),
  );
  expect(await lists.next()).toMatchObject({ value: { eventRanges: [{ eventRangeID: 'a' }] } });
  await expect(lists.next()).rejects.toThrow(/begins with/);
});

test('what tells ranges apart is which events they are of, and who asks for them; nothing else', () => {
  const [range] = pandaRanges(1) as [PandaRange];
  const key = rangeKey(range, undefined, 'arrow');
  expect(rangeKey({ ...range, other: 1 }, true, 'arrow')).toBe(key);
  const others = [
    rangeKey(range, false, 'arrow'),
    rangeKey(range, true, 'ndjson'),
    ...(['eventRangeID', 'LFN', 'GUID', 'scope', 'startEvent', 'lastEvent'] as const).map((field) =>
      rangeKey({ ...range, [field]: `${range[field]}` === range[field] ? `${range[field]}x` : 7 }, true, 'arrow'),
    ),
  ];
  expect(new Set([key, ...others]).size).toBe(others.length + 1);
});

test('whatever an id is, its file name is a plain name, and never a hidden one', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ unit: 'grapheme' })), (id) => {
      const name = fileName(id, '0123456789abcdef0123456789abcdef', 'arrows');
      expect(name).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\.[0-9a-f]{32}\.arrows$/);
    }),
  );
});

test('a range is told with everything it had', () => {
  const [range] = pandaRanges(1) as [PandaRange];
  expect(localRange({ ...range, PFN: 'old', x: null }, '/d/f', 7)).toEqual({
    ...range,
    LFN: '/d/f',
    PFN: '/d/f',
    startEvent: 1,
    lastEvent: 7,
    x: null,
  });
  expect(eventsNamed(range)).toBe(10);
});
