// What every store and every wrapper of one must do. A backend's own test is a few lines that give a fresh instance.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { type ByteSpan, listLimitMax, type Store } from '../../store/store.ts';

/** `folder`: where the suite puts its objects, ends with `/`, so that a wrapper that treats some names specially is met. */
export function storeSuite(backend: string, make: () => Promise<Store>, folder = 'suite/'): void {
  const bytes = (text: string) => Buffer.from(text);
  const names = async (store: Store, prefix = folder, options = {}) =>
    (await store.list(prefix, options)).map((info) => info.name.slice(folder.length));

  test(`${backend}: what was put comes back, whole, under its name only`, async () => {
    const store = await make();
    const content = randomBytes(3_000_000);
    expect(await store.put(`${folder}a/b`, [content.subarray(0, 7), Buffer.alloc(0), content.subarray(7)])).toBe(true);
    expect(content.equals((await store.get(`${folder}a/b`)) as Buffer)).toBe(true);
    expect(await store.get(`${folder}a/c`)).toBeUndefined();
    expect(await store.get(`${folder}a`)).toBeUndefined();
    expect(await store.get(`${folder}a/b/c`)).toBeUndefined();
  });

  test(`${backend}: an object may be empty, and made of no part at all`, async () => {
    const store = await make();
    await store.put(`${folder}empty`, []);
    expect((await store.get(`${folder}empty`))?.length).toBe(0);
    expect((await store.head(`${folder}empty`))?.bytes).toBe(0);
  });

  test(`${backend}: an object can be read again and again, each time the same`, async () => {
    const store = await make();
    await store.put(`${folder}a`, [bytes('one')]);
    expect((await store.get(`${folder}a`))?.toString()).toBe('one');
    expect((await store.get(`${folder}a`))?.toString()).toBe('one');
  });

  test(`${backend}: a second put replaces the first, longer or shorter`, async () => {
    const store = await make();
    await store.put(`${folder}a`, [bytes('first')]);
    await store.get(`${folder}a`);
    expect(await store.put(`${folder}a`, [bytes('second, longer')])).toBe(true);
    expect((await store.get(`${folder}a`))?.toString()).toBe('second, longer');
    await store.put(`${folder}a`, [bytes('3')]);
    expect((await store.get(`${folder}a`))?.toString()).toBe('3');
    expect((await store.head(`${folder}a`))?.bytes).toBe(1);
  });

  test(`${backend}: a conditional put leaves what is there`, async () => {
    const store = await make();
    expect(await store.put(`${folder}a`, [bytes('first')], { ifAbsent: true })).toBe(true);
    expect(await store.put(`${folder}a`, [bytes('second')], { ifAbsent: true })).toBe(false);
    expect((await store.get(`${folder}a`))?.toString()).toBe('first');
    expect(await names(store)).toEqual(['a']);
  });

  test(`${backend}: of conditional puts that race, one stores its bytes and says so`, async () => {
    const store = await make();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.put(`${folder}race`, [bytes(`writer ${i}`)], { ifAbsent: true })),
    );
    const winners = outcomes.flatMap((stored, i) => (stored ? [i] : []));
    expect(winners).toHaveLength(1);
    expect((await store.get(`${folder}race`))?.toString()).toBe(`writer ${winners[0]}`);
  });

  test(`${backend}: of puts that race, one wins whole, and readers see nothing else`, async () => {
    const store = await make();
    const contents = Array.from({ length: 8 }, (_, i) => Buffer.alloc(100_000 + i, i));
    await store.put(`${folder}race`, [contents[0] as Buffer]);
    const isWhole = (found: Buffer | undefined) => contents.some((content) => found?.equals(content));
    let writing = true;
    const reading = (async () => {
      while (writing) expect(isWhole(await store.get(`${folder}race`))).toBe(true);
    })();
    await Promise.all(contents.map((content) => store.put(`${folder}race`, [content])));
    writing = false;
    await reading;
    expect(isWhole(await store.get(`${folder}race`))).toBe(true);
    expect(await names(store)).toEqual(['race']);
  });

  test(`${backend}: a range of bytes is cut to the object, from its start or from its end`, async () => {
    const store = await make();
    await store.put(`${folder}a`, [bytes('01234'), bytes('56789')]);
    const text = async (range: ByteSpan) => (await store.getRange(`${folder}a`, range))?.toString();
    expect(await text({ start: 0, end: 3 })).toBe('012');
    expect(await text({ start: 4, end: 6 })).toBe('45');
    expect(await text({ start: 8, end: 99 })).toBe('89');
    expect(await text({ start: 10, end: 20 })).toBe('');
    expect(await text({ start: 99, end: 100 })).toBe('');
    expect(await text({ last: 4 })).toBe('6789');
    expect(await text({ last: 99 })).toBe('0123456789');
    await store.put(`${folder}empty`, []);
    expect((await store.getRange(`${folder}empty`, { last: 5 }))?.length).toBe(0);
    expect(await store.getRange(`${folder}absent`, { last: 5 })).toBeUndefined();
  });

  test(`${backend}: head tells the length and the time, and undefined of what is absent`, async () => {
    const store = await make();
    const before = Date.now();
    await store.put(`${folder}a/b`, [bytes('12345')]);
    const info = await store.head(`${folder}a/b`);
    expect(info).toMatchObject({ name: `${folder}a/b`, bytes: 5 });
    // Filesystems keep coarse times.
    expect(info?.modifiedAtMs).toBeGreaterThan(before - 3000);
    expect(info?.modifiedAtMs).toBeLessThan(Date.now() + 3000);
    expect(await store.head(`${folder}a`)).toBeUndefined();
    expect(await store.head(`${folder}a/c`)).toBeUndefined();
    expect(await store.head(`${folder}a/b/c`)).toBeUndefined();
  });

  test(`${backend}: what was deleted is absent, and only the first delete had something to do`, async () => {
    const store = await make();
    await store.put(`${folder}a/b`, [bytes('x')]);
    await store.get(`${folder}a/b`);
    expect(await store.delete(`${folder}a/b`)).toBe(true);
    expect(await store.delete(`${folder}a/b`)).toBe(false);
    expect(await store.delete(`${folder}a`)).toBe(false);
    expect(await store.delete(`${folder}never/there`)).toBe(false);
    expect(await store.get(`${folder}a/b`)).toBeUndefined();
    expect(await names(store)).toEqual([]);
    expect(await store.put(`${folder}a/b`, [bytes('y')], { ifAbsent: true })).toBe(true);
  });

  test(`${backend}: a listing is in the byte order of whole names, through all folders`, async () => {
    const store = await make();
    const all = ['a-b/x', 'a.b', 'a/b', 'a/c/d', 'a0', 'B', '_', 'a/b-', 'a/b.json', 'z/z/z/z'];
    for (const name of all) await store.put(folder + name, [bytes(name)]);
    expect(await names(store)).toEqual(['B', '_', 'a-b/x', 'a.b', 'a/b', 'a/b-', 'a/b.json', 'a/c/d', 'a0', 'z/z/z/z']);
    expect(await names(store, `${folder}a/`)).toEqual(['a/b', 'a/b-', 'a/b.json', 'a/c/d']);
    expect(await names(store, `${folder}absent/`)).toEqual([]);
    expect((await store.list('')).length).toBe(all.length);
    expect((await store.list(`${folder}a/c/`))[0]).toMatchObject({ name: `${folder}a/c/d`, bytes: 5 });
  });

  test(`${backend}: pages of any size, end to end, are the whole listing`, async () => {
    const store = await make();
    const all = Array.from({ length: 30 }, (_, i) => `${i % 3}/${i % 2 === 0 ? 'even/' : ''}${i}`);
    for (const name of all) await store.put(folder + name, []);
    const whole = await names(store);
    expect(whole).toEqual([...all].sort());
    for (const limit of [1, 2, 7, 29, 30, 31]) {
      const paged: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await names(store, folder, after === undefined ? { limit } : { limit, after: folder + after });
        expect(page.length).toBeLessThanOrEqual(limit);
        paged.push(...page);
        after = page.at(-1);
        if (page.length < limit) break;
      }
      expect(paged).toEqual(whole);
    }
    expect(await names(store, folder, { limit: 0 })).toEqual([]);
    expect(await names(store, folder, { after: `${folder}1/even/4` })).toEqual(
      whole.filter((name) => name > '1/even/4'),
    );
    expect(await names(store, folder, { after: `${folder}1/f` })).toEqual(whole.filter((name) => name > '1/f'));
  });

  test(`${backend}: a page holds at most ${listLimitMax}`, async () => {
    const store = await make();
    const count = listLimitMax + 5;
    for (let i = 0; i < count; i += 101) {
      await Promise.all(
        Array.from({ length: Math.min(101, count - i) }, (_, k) =>
          store.put(`${folder}${String(i + k).padStart(5, '0')}`, []),
        ),
      );
    }
    expect(await store.list(folder, { limit: 5000 })).toHaveLength(listLimitMax);
    expect(await store.list(folder)).toHaveLength(listLimitMax);
    expect(await store.list(folder, { after: `${folder}00999` })).toHaveLength(5);
  });

  test(`${backend}: a name of 255 bytes is a name`, async () => {
    const store = await make();
    const name = folder + 'n'.repeat(255);
    await store.put(name, [bytes('long')]);
    expect((await store.get(name))?.toString()).toBe('long');
    expect(await store.delete(name)).toBe(true);
  });

  const nonsense = [
    '',
    '/',
    '/etc/passwd',
    '..',
    'a/../b',
    'a//b',
    'a/',
    './a',
    '.hidden',
    'a/.part',
    'a\\b',
    'a b',
    'ä',
    'a\0b',
    'a\nb',
    'n'.repeat(256),
    `${'a/'.repeat(600)}a`,
  ];
  for (const name of nonsense) {
    test(`${backend}: ${JSON.stringify(name.slice(0, 20))} is refused as a name`, async () => {
      const store = await make();
      const refusal = expect.objectContaining({ code: 'INTERNAL' });
      await expect(store.get(name)).rejects.toEqual(refusal);
      await expect(store.head(name)).rejects.toEqual(refusal);
      await expect(store.put(name, [bytes('x')])).rejects.toEqual(refusal);
      await expect(store.put(name, [bytes('x')], { ifAbsent: true })).rejects.toEqual(refusal);
      await expect(store.delete(name)).rejects.toEqual(refusal);
      if (name !== '') await expect(store.list(`${name}/`)).rejects.toEqual(refusal);
      expect(await store.list('')).toEqual([]);
    });
  }

  test(`${backend}: a listing begins with a whole folder`, async () => {
    const store = await make();
    await store.put(`${folder}ab`, []);
    await expect(store.list(`${folder}a`)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  test(`${backend}: it says what it is, and closes`, async () => {
    const store = await make();
    expect(store.description).not.toBe('');
    await store.close();
  });
}
