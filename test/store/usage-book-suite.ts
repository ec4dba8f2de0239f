// What every usage book must do, whoever keeps it.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { reservationMs, type UsageBook, type UsageEntry } from '../../core/usage-book.ts';

export interface BookUnderTest {
  readonly book: UsageBook;
  /** Makes reservations as old as if this time had passed. */
  age(ms: number): Promise<void>;
}

export function usageBookSuite(name: string, make: () => Promise<BookUnderTest>): void {
  const key = (n: number) => `${'0'.repeat(64)}/32/${String(n).padStart(16, '0')}-${String(n).padStart(16, '0')}`;
  const longAgo = Date.now() - 24 * 3600_000;

  async function* listing(entries: readonly UsageEntry[]): AsyncGenerator<UsageEntry> {
    yield* entries;
  }

  /** Chunks 1, 2, 3, … of these sizes, used one second after the other. */
  const entries = (...sizes: number[]): UsageEntry[] =>
    sizes.map((bytes, i) => ({ key: key(i + 1), bytes, usedAtMs: longAgo + i * 1000 }));

  async function known(...sizes: number[]) {
    const made = await make();
    await made.book.rebuild(listing(entries(...sizes)));
    return made;
  }

  const oldest = async (book: UsageBook, count = 10) => (await book.oldest(count)).map((entry) => entry.key);

  test(`${name}: a new book knows nothing and promises nothing`, async () => {
    const { book } = await make();
    expect(await book.reserve('a', 1, 100)).toBe('unknown');
    expect(await book.usage()).toBeUndefined();
    expect(await oldest(book)).toEqual([]);
  });

  test(`${name}: a rebuild from an empty store makes it known`, async () => {
    const { book } = await known();
    expect(await book.usage()).toEqual({ usedBytes: 0, reservedBytes: 0 });
    expect(await book.reserve('a', 100, 100)).toBe('reserved');
  });

  test(`${name}: room is promised up to the capacity and not a byte further`, async () => {
    const { book } = await known(30, 20);
    expect(await book.reserve('a', 51, 100)).toBe('full');
    expect(await book.reserve('a', 40, 100)).toBe('reserved');
    expect(await book.reserve('b', 11, 100)).toBe('full');
    expect(await book.reserve('b', 10, 100)).toBe('reserved');
    expect(await book.reserve('c', 1, 100)).toBe('full');
    expect(await book.usage()).toEqual({ usedBytes: 50, reservedBytes: 50 });
  });

  test(`${name}: a hundred that reserve at once are promised what there is, once`, async () => {
    const { book } = await known();
    const answers = await Promise.all(Array.from({ length: 100 }, () => book.reserve(randomUUID(), 10, 500)));
    expect(answers.filter((answer) => answer === 'reserved')).toHaveLength(50);
    expect(await book.usage()).toEqual({ usedBytes: 0, reservedBytes: 500 });
  });

  test(`${name}: the same reservation again counts once`, async () => {
    const { book } = await known();
    await book.reserve('a', 60, 100);
    expect(await book.reserve('a', 80, 100)).toBe('reserved');
    expect(await book.usage()).toEqual({ usedBytes: 0, reservedBytes: 80 });
  });

  test(`${name}: a settled reservation is a chunk, with the bytes that it really took, and the youngest`, async () => {
    const { book } = await known(10, 10);
    await book.reserve('a', 50, 100);
    await book.settle('a', key(9), 45);
    expect(await book.usage()).toEqual({ usedBytes: 65, reservedBytes: 0 });
    expect(await oldest(book)).toEqual([key(1), key(2), key(9)]);
  });

  test(`${name}: a chunk stored again counts once`, async () => {
    const { book } = await known(10, 10);
    await book.settle('a', key(1), 15);
    expect(await book.usage()).toEqual({ usedBytes: 25, reservedBytes: 0 });
    expect(await oldest(book)).toEqual([key(2), key(1)]);
  });

  test(`${name}: a released reservation gives its room back, once`, async () => {
    const { book } = await known();
    await book.reserve('a', 100, 100);
    await book.release('a');
    await book.release('a');
    await book.release('never there');
    expect(await book.usage()).toEqual({ usedBytes: 0, reservedBytes: 0 });
    expect(await book.reserve('b', 100, 100)).toBe('reserved');
  });

  test(`${name}: the reservation of a process that died lapses, and its late chunk counts all the same`, async () => {
    const { book, age } = await known();
    await book.reserve('a', 100, 100);
    await age(0.9 * reservationMs);
    expect(await book.reserve('b', 100, 100)).toBe('full');
    await age(0.2 * reservationMs);
    expect(await book.reserve('b', 100, 100)).toBe('reserved');
    await book.settle('a', key(1), 90);
    expect(await book.usage()).toEqual({ usedBytes: 90, reservedBytes: 100 });
  });

  test(`${name}: a reservation that is renewed holds, and what has lapsed or ended is not renewed to life`, async () => {
    const { book, age } = await known();
    for (const id of ['kept', 'lapsed', 'ended']) await book.reserve(id, 10, 100);
    for (let i = 0; i < 4; i++) {
      await age(0.6 * reservationMs);
      await book.renew(['kept', 'never made']);
    }
    await book.release('ended');
    // Lapsed ones are swept when the next one reserves.
    expect(await book.reserve('next', 1, 100)).toBe('reserved');
    await book.renew(['lapsed', 'ended']);
    await book.renew([]);
    expect(await book.usage()).toEqual({ usedBytes: 0, reservedBytes: 11 });
  });

  test(`${name}: a chunk that was stored again since it was looked at is not forgotten`, async () => {
    const { book } = await known();
    await book.settle('first', key(1), 100);
    const mark = await book.mark(key(1));
    expect(mark).toBeDefined();
    await book.settle('again', key(1), 90);
    expect(await book.mark(key(1))).not.toBe(mark);
    await book.forget(key(1), mark ?? '');
    expect(await book.usage()).toEqual({ usedBytes: 90, reservedBytes: 0 });
    await book.forget(key(1), (await book.mark(key(1))) ?? '');
    expect(await book.usage()).toEqual({ usedBytes: 0, reservedBytes: 0 });
    expect(await book.mark(key(1))).toBeUndefined();
  });

  test(`${name}: a forgotten chunk takes no room, and forgetting it again changes nothing`, async () => {
    const { book } = await known(10, 20);
    const mark = (await book.mark(key(1))) ?? '';
    await book.forget(key(1), mark);
    await book.forget(key(1), mark);
    expect(await book.usage()).toEqual({ usedBytes: 20, reservedBytes: 0 });
    expect(await oldest(book)).toEqual([key(2)]);
  });

  test(`${name}: the oldest come first, as many as asked for`, async () => {
    const { book } = await known(1, 1, 1, 1);
    expect(await oldest(book, 2)).toEqual([key(1), key(2)]);
    expect(await oldest(book, 100)).toEqual([key(1), key(2), key(3), key(4)]);
  });

  test(`${name}: a use makes a chunk younger, never older, and unknown chunks stay unknown`, async () => {
    const { book } = await known(1, 1, 1);
    await book.touch([
      { key: key(1), usedAtMs: longAgo + 60_000 },
      { key: key(3), usedAtMs: longAgo - 60_000 },
      { key: key(8), usedAtMs: longAgo },
    ]);
    await book.touch([]);
    expect(await oldest(book)).toEqual([key(2), key(3), key(1)]);
    expect(await book.usage()).toEqual({ usedBytes: 3, reservedBytes: 0 });
  });

  test(`${name}: what settles during a rebuild counts once, whether or not the listing had it`, async () => {
    const { book } = await make();
    await book.rebuild(
      (async function* () {
        yield* entries(10);
        await book.settle('a', key(2), 25);
        await book.settle('b', key(3), 30);
        yield { key: key(2), bytes: 20, usedAtMs: longAgo };
      })(),
    );
    expect(await book.usage()).toEqual({ usedBytes: 65, reservedBytes: 0 });
    expect((await oldest(book))[0]).toBe(key(1));
  });

  test(`${name}: a second rebuild adds what was missing and changes nothing else`, async () => {
    const { book } = await known(10, 20);
    await book.reserve('a', 5, 1000);
    await book.rebuild(listing(entries(10, 20, 30)));
    expect(await book.usage()).toEqual({ usedBytes: 60, reservedBytes: 5 });
  });

  test(`${name}: a listing that fails leaves the book unknown`, async () => {
    const { book } = await make();
    const broken = (async function* () {
      yield* entries(10);
      throw new Error('the listing broke');
    })();
    await expect(book.rebuild(broken)).rejects.toThrow('the listing broke');
    expect(await book.reserve('a', 1, 100)).toBe('unknown');
    await book.rebuild(listing(entries(10, 20)));
    expect(await book.usage()).toEqual({ usedBytes: 30, reservedBytes: 0 });
  });

  test(`${name}: a listing of two thousand chunks is taken in whole`, async () => {
    const { book } = await known(...Array.from({ length: 2000 }, () => 7));
    expect(await book.usage()).toEqual({ usedBytes: 14_000, reservedBytes: 0 });
    expect(await oldest(book, 5000)).toHaveLength(2000);
  });
}
