import { afterAll, expect, test } from 'vitest';
import { oneAhead, type Work } from '../../formats/ahead.ts';
import { createEncoder } from '../../formats/encoder.ts';
import type { MarshalTask } from '../../formats/marshal-task.ts';
import { marshal } from '../../formats/marshal-task.ts';
import { Marshaller } from '../../formats/marshaller.ts';
import { encodeBatch } from '../../formats/record-batch.ts';
import { formats } from '../../formats/representation.ts';
import { eventually } from '../eventually.ts';
import { bodyOf, brokenWithin, chunkAt, columns, make, selectionOf, storedChunks } from './synthetic.ts';

const marshaller = new Marshaller({ threads: 2, queueMax: 8 });
afterAll(() => marshaller.close());

const chunks = storedChunks();

const task = (into: MarshalTask['into'], first = 0): MarshalTask => ({
  into,
  batch: encodeBatch(columns, make({ first, end: first + 64 })),
  columns,
  first: 3,
  end: 61,
});

test('threads give the bytes that the same work gives without them, in any order', async () => {
  const tasks = Array.from({ length: 8 }, (_, i) => task(i % 2 === 0 ? 'arrow' : 'ndjson', i * 64));
  const here = tasks.map((each) => marshal({ ...each, batch: each.batch.slice() }));
  const turn = marshaller.open();
  const there = await Promise.all(tasks.map((each) => turn.run(each)));
  expect(there).toEqual(here);
});

test('answers are the same from one thread and from two', async () => {
  const one = new Marshaller({ threads: 1, queueMax: 8 });
  for (const format of ['arrow', 'ndjson'] as const) {
    const selection = selectionOf({ first: 11, end: 989 });
    const alone = await bodyOf(format, selection, chunks, one);
    expect(alone.equals(await bodyOf(format, selection, chunks, marshaller))).toBe(true);
  }
  await one.close();
});

test('a newcomer is turned away while too many wait, an answer under way is not', async () => {
  const small = new Marshaller({ threads: 1, queueMax: 1 });
  const begun = small.open();
  const running = begun.run(task('ndjson'));
  const waiting = small.open().run(task('ndjson'));
  await expect(small.open().run(task('ndjson'))).rejects.toMatchObject({
    code: 'OVERLOADED',
    details: { retryAfterSeconds: 1 },
  });
  const further = begun.run(task('ndjson'));
  const admittedOtherwise = small.open();
  admittedOtherwise.admit();
  const results = await Promise.all([running, waiting, further, admittedOtherwise.run(task('ndjson'))]);
  expect(results.map(({ state }) => state)).toEqual(['done', 'done', 'done', 'done']);
  expect(small.tasks).toBe(0);
  await expect(small.open().run(task('arrow'))).resolves.toMatchObject({ state: 'done' });
  await small.close();
});

test('an answer that cannot begin for want of a thread fails with OVERLOADED, and nothing else is harmed', async () => {
  const none = new Marshaller({ threads: 1, queueMax: 0 });
  const running = none.open().run(task('ndjson'));
  await expect(bodyOf('ndjson', selectionOf({ first: 0, end: 300 }), chunks, none)).rejects.toMatchObject({
    code: 'OVERLOADED',
  });
  await running;
  await none.close();
});

test('an answer that began with stored bytes is not broken off at its cut edge', async () => {
  const selection = selectionOf({ first: 0, end: 100 });
  const expected = await bodyOf('arrow', selection, chunks, marshaller);
  const none = new Marshaller({ threads: 1, queueMax: 0 });
  const running = none.open().run(task('ndjson'));
  expect(expected.equals(await bodyOf('arrow', selection, chunks, none))).toBe(true);
  await running;
  await none.close();
});

test('who closes lets what was begun end, and takes nothing more', async () => {
  const closing = new Marshaller({ threads: 1, queueMax: 8 });
  const results = [closing.open().run(task('arrow')), closing.open().run(task('ndjson'))];
  const closed = closing.close();
  await expect(Promise.all(results)).resolves.toHaveLength(2);
  await closed;
  await expect(closing.open().run(task('arrow'))).rejects.toMatchObject({ code: 'OVERLOADED' });
});

test('a task that no thread can do is INTERNAL, and the threads go on', async () => {
  const wrong = { ...task('arrow'), columns: [{ ...columns[0], type: 'complex' }] } as unknown as MarshalTask;
  await expect(marshaller.open().run(wrong)).rejects.toMatchObject({ code: 'INTERNAL' });
  await expect(marshaller.open().run(task('arrow'))).resolves.toMatchObject({ state: 'done' });
});

test('one piece of work is ahead of the reader, and no more', async () => {
  const begun: number[] = [];
  const works = Array.from(
    { length: 6 },
    (_, i): Work =>
      async () => {
        begun.push(i);
        return Buffer.from([i]);
      },
  );
  const pieces = oneAhead(works.values());
  expect(begun).toEqual([]);
  expect(await pieces.next()).toEqual({ done: false, value: Buffer.from([0]) });
  expect(begun).toEqual([0, 1]);
  expect(await pieces.next()).toEqual({ done: false, value: Buffer.from([1]) });
  expect(begun).toEqual([0, 1, 2]);
  await pieces.return();
  expect(await pieces.next()).toEqual({ done: true, value: undefined });
  expect(begun).toEqual([0, 1, 2]);
});

test('a failure comes in its place, after the pieces before it, and to nobody who has left', async () => {
  const works: Work[] = [Buffer.from('a'), () => Promise.reject(new Error('b is lost')), Buffer.from('c')];
  const read: string[] = [];
  const reading = (async () => {
    for await (const piece of oneAhead(works.values())) read.push(String(piece));
  })();
  await expect(reading).rejects.toThrow('b is lost');
  expect(read).toEqual(['a']);
  const left = oneAhead(works.values());
  await left.next();
  await left.return();
});

test('a reader who leaves early leaves nothing behind', async () => {
  const broken = brokenWithin(chunks[0] as Buffer, chunkAt(0));
  for (const stored of [chunks[0] as Buffer, broken]) {
    const encoder = createEncoder(formats.ndjson, selectionOf({ first: 0, end: 256 }), marshaller);
    for await (const piece of encoder.chunk(stored, { first: 0, end: 256 })) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    await eventually(() => expect(marshaller.tasks).toBe(0));
  }
});
