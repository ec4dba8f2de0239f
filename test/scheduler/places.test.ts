// The places of a span, each once and in order, with what a listing says that is not too old.
import { expect, test } from 'vitest';
import { chunkKey } from '../../core/chunk.ts';
import { EvokeError } from '../../core/errors.ts';
import { type Place, Places } from '../../scheduler/places.ts';
import { aBench, otherGrid } from './shelf.ts';

async function take(places: Places, count = Number.POSITIVE_INFINITY): Promise<Place[]> {
  const taken: Place[] = [];
  while (taken.length < count) {
    const place = await places.next();
    if (place === undefined) break;
    taken.push(place);
  }
  return taken;
}

const stored = (places: readonly Place[]) =>
  places.flatMap(({ index, storedAtMs }) => (storedAtMs === undefined ? [] : [index]));

test('every place of the span comes once, in order, with one listing', async () => {
  const { shelf, key, dataset, time } = aBench(12);
  for (const index of [0, 2, 3, 7, 11]) shelf.put(key(index), {}, 1_000 + index);
  const places = new Places(dataset, { first: 2, end: 9 }, shelf, time);
  expect(await take(places)).toEqual(
    [2, 3, 4, 5, 6, 7, 8].map((index) => ({
      index,
      storedAtMs: [2, 3, 7].includes(index) ? 1_000 + index : undefined,
    })),
  );
  expect(await places.next()).toBeUndefined();
  expect(shelf.calls.list).toBe(1);
});

test('other grids of the derivation are passed over', async () => {
  const { shelf, dataset, time } = aBench(3);
  shelf.put(chunkKey(otherGrid(dataset, 1)), {});
  expect(stored(await take(new Places(dataset, { first: 0, end: 3 }, shelf, time)))).toEqual([]);
});

test('after a minute the store is listed again, from where it stands', async () => {
  const { shelf, key, dataset, time } = aBench(10);
  shelf.put(key(5), {});
  const places = new Places(dataset, { first: 0, end: 10 }, shelf, time);
  await take(places, 3);
  shelf.put(key(4), {});
  shelf.stored.delete(key(5));
  await time.pass(60_001);
  expect(stored(await take(places))).toEqual([4]);
  expect(shelf.calls.list).toBe(2);
});

test('a listing that fails is told, and taken up again at the same place', async () => {
  const { shelf, key, dataset, time } = aBench(6);
  for (const index of [1, 3]) shelf.put(key(index), {});
  const places = new Places(dataset, { first: 0, end: 6 }, shelf, time);
  await take(places, 2);
  shelf.away = true;
  await expect(take(places)).rejects.toBeInstanceOf(EvokeError);
  shelf.away = false;
  const rest = await take(places);
  expect(stored(rest)).toEqual([3]);
  expect(rest.at(-1)?.index).toBe(5);
});

test('closed early, it leaves no listing open', async () => {
  const { dataset, shelf, time } = aBench(6);
  let closed = false;
  shelf.list = async function* (derivation, batchEvents) {
    try {
      yield { chunk: { derivation, batchEvents, range: { first: 20, end: 30 } }, modifiedAtMs: 0 };
    } finally {
      closed = true;
    }
  };
  const places = new Places(dataset, { first: 0, end: 6 }, shelf, time);
  await take(places, 1);
  expect(closed).toBe(false);
  await places.close();
  expect(closed).toBe(true);
});
