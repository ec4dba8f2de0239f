// What every book of holds must do, whoever keeps it.
import { expect, test } from 'vitest';
import type { Grid } from '../../core/chunk.ts';
import {
  type HeldRange,
  type HoldBook,
  type HoldLimits,
  heldChunksOfRangeMax,
  keysToHold,
} from '../../core/hold-book.ts';

export interface HoldBookUnderTest {
  readonly book: HoldBook;
  /** Makes holds as old as if this time had passed. */
  age(ms: number): Promise<void>;
}

export function holdBookSuite(name: string, make: () => Promise<HoldBookUnderTest>): void {
  const derivation = 'd'.repeat(64);
  const grid: Grid = { events: 1000, chunkEvents: 64, batchEvents: 32 };
  const ample: HoldLimits = { bytesMax: 1e9, chunksMax: 1e6, rangesMax: 1e6 };
  const hourMs = 3600_000;

  /** By event numbers, both included. */
  const held = (startEvent: number, lastEvent: number, fields: Partial<HeldRange> = {}): HeldRange => ({
    derivation,
    range: { first: startEvent - 1, end: lastEvent },
    grid,
    chunkBytes: 100,
    ...fields,
  });
  const keys = (range: HeldRange) => keysToHold(range);
  const areHeld = (book: HoldBook, range: HeldRange) => Promise.all(keys(range).map((key) => book.isHeld(key)));
  const none = { ranges: 0, chunks: 0, bytes: 0 };

  test(`${name}: nothing is held at first`, async () => {
    const { book } = await make();
    expect(await book.held()).toEqual(none);
    expect(await areHeld(book, held(1, 1000))).not.toContain(true);
    expect(await book.delivered(derivation, { first: 0, end: 1000 })).toBe(0);
    expect(await book.hold([], hourMs, ample)).toEqual([]);
  });

  test(`${name}: the chunks of a range are held, and no others, by the names that they are stored under`, async () => {
    const { book } = await make();
    expect(await book.hold([held(65, 129)], hourMs, ample)).toEqual([true]);
    expect(await book.held()).toEqual({ ranges: 1, chunks: 2, bytes: 200 });
    expect((await areHeld(book, held(1, 1000))).flatMap((is, i) => (is ? [i] : []))).toEqual([1, 2]);
    expect(await book.isHeld(keys(held(65, 128, { grid: { ...grid, batchEvents: 16 } }))[0] ?? '')).toBe(false);
    expect(await book.isHeld(keys(held(65, 128, { derivation: 'e'.repeat(64) }))[0] ?? '')).toBe(false);
  });

  test(`${name}: the last chunk of a dataset is held under its own, shorter name`, async () => {
    const { book } = await make();
    await book.hold([held(1000, 1000)], hourMs, ample);
    expect(await book.isHeld(`${derivation}/32/${'961'.padStart(16, '0')}-${'1000'.padStart(16, '0')}`)).toBe(true);
  });

  test(`${name}: event numbers up to the largest are written out in full`, async () => {
    const { book } = await make();
    const events = Number.MAX_SAFE_INTEGER;
    const far = held(events - 1, events, { grid: { events, chunkEvents: 64, batchEvents: 32 } });
    expect(await book.hold([far], hourMs, ample)).toEqual([true]);
    expect(await areHeld(book, far)).toEqual([true]);
    expect(await book.delivered(derivation, far.range)).toBe(1);
    expect(await book.held()).toEqual(none);
  });

  test(`${name}: a range is held until exactly its events were delivered`, async () => {
    const { book } = await make();
    const range = held(10, 20);
    await book.hold([range], hourMs, ample);
    for (const [first, end] of [
      [9, 19],
      [10, 20],
      [0, 9],
      [20, 64],
      [12, 14],
    ] as const) {
      expect(await book.delivered(derivation, { first, end })).toBe(0);
    }
    expect(await book.delivered('e'.repeat(64), range.range)).toBe(0);
    expect(await areHeld(book, range)).toEqual([true]);
    expect(await book.delivered(derivation, range.range)).toBe(1);
    expect(await areHeld(book, range)).toEqual([false]);
    expect(await book.held()).toEqual(none);
  });

  test(`${name}: a covering delivery lets go of all that lie within it, and of nothing else`, async () => {
    const { book } = await make();
    const ranges = [held(1, 10), held(11, 20), held(15, 70), held(60, 300), held(300, 300)];
    expect(await book.hold(ranges, hourMs, ample)).toEqual([true, true, true, true, true]);
    expect(await book.delivered(derivation, { first: 10, end: 299 })).toBe(2);
    expect(await book.held()).toMatchObject({ ranges: 3, chunks: 5 });
    expect(await book.delivered(derivation, { first: 0, end: 1000 })).toBe(3);
    expect(await book.held()).toEqual(none);
  });

  test(`${name}: a chunk that several ranges share is held until the last of them was delivered`, async () => {
    const { book } = await make();
    await book.hold([held(1, 10), held(11, 20), held(21, 30)], hourMs, ample);
    expect(await book.held()).toEqual({ ranges: 3, chunks: 1, bytes: 100 });
    const isHeld = () => book.isHeld(keys(held(1, 1))[0] ?? '');
    await book.delivered(derivation, { first: 0, end: 10 });
    await book.delivered(derivation, { first: 20, end: 30 });
    expect(await isHeld()).toBe(true);
    await book.delivered(derivation, { first: 10, end: 20 });
    expect(await isHeld()).toBe(false);
    expect(await book.held()).toEqual(none);
  });

  test(`${name}: the same range again is the same hold, for the longer of the two times`, async () => {
    const { book, age } = await make();
    await book.hold([held(1, 10), held(1, 10)], hourMs, ample);
    expect(await book.held()).toEqual({ ranges: 1, chunks: 1, bytes: 100 });
    await age(hourMs / 2);
    await book.hold([held(1, 10)], hourMs, ample);
    await book.hold([held(1, 10)], 1, ample);
    await age((hourMs * 3) / 4);
    expect(await book.held()).toMatchObject({ ranges: 1 });
    await age(hourMs / 2);
    expect(await book.held()).toEqual(none);
  });

  test(`${name}: what was never delivered is let go when its time is up, each at its own`, async () => {
    const { book, age } = await make();
    await book.hold([held(1, 10)], hourMs, ample);
    await book.hold([held(5, 100)], 3 * hourMs, ample);
    await age(hourMs + 60_000);
    expect(await book.held()).toMatchObject({ ranges: 1, chunks: 2 });
    expect(await areHeld(book, held(1, 128))).toEqual([true, true]);
    await age(3 * hourMs);
    expect(await areHeld(book, held(1, 128))).toEqual([false, false]);
    expect(await book.held()).toEqual(none);
    expect(await book.hold([held(1, 10)], hourMs, ample)).toEqual([true]);
  });

  test(`${name}: over a limit a range is not held, and smaller ones after it are`, async () => {
    const { book } = await make();
    const bytes = { ...ample, bytesMax: 500 };
    expect(await book.hold([held(1, 256), held(257, 384), held(257, 300), held(1, 64)], hourMs, bytes)).toEqual([
      true,
      false,
      true,
      true,
    ]);
    expect(await book.hold([held(900, 900)], hourMs, bytes)).toEqual([false]);
    await book.delivered(derivation, { first: 0, end: 300 });
    expect(await book.hold([held(900, 900), held(901, 1000)], hourMs, { ...ample, chunksMax: 2 })).toEqual([
      true,
      true,
    ]);
    expect(await book.hold([held(1, 1)], hourMs, { ...ample, chunksMax: 2 })).toEqual([false]);
    expect(await book.hold([held(901, 999)], hourMs, { ...ample, rangesMax: 2 })).toEqual([false]);
  });

  test(`${name}: a range of very many chunks is not held`, async () => {
    const { book } = await make();
    const events = Number.MAX_SAFE_INTEGER;
    const one: Grid = { events, chunkEvents: 1, batchEvents: 1 };
    const ranges = [held(1, events, { grid: one }), held(1, heldChunksOfRangeMax + 1, { grid: one })];
    expect(await book.hold([...ranges, held(1, heldChunksOfRangeMax, { grid: one })], hourMs, ample)).toEqual([
      false,
      false,
      true,
    ]);
    expect(await book.held()).toMatchObject({ ranges: 1, chunks: heldChunksOfRangeMax });
  });

  test(`${name}: ten thousand ranges are held, looked for and let go`, async () => {
    const { book, age } = await make();
    const large: Grid = { events: 1e6, chunkEvents: 64, batchEvents: 32 };
    const ranges = Array.from({ length: 10_000 }, (_, i) => held(10 * i + 1, 10 * i + 10, { grid: large }));
    expect(await book.hold(ranges, hourMs, ample)).not.toContain(false);
    expect(await book.held()).toMatchObject({ ranges: 10_000, chunks: Math.ceil(100_000 / 64) });
    expect(await book.delivered(derivation, { first: 0, end: 50_000 })).toBe(5_000);
    await age(2 * hourMs);
    // A call lets go of some thousands at a time.
    for (let i = 0; i < 100 && (await book.held()).ranges > 0; i++);
    expect(await book.held()).toEqual(none);
  });
}
