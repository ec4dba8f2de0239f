import { expect, test, vi } from 'vitest';
import { Sparing, silentLog } from '../../core/log.ts';

test('of many the first is told at once, and later one per interval, with the number held back', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(0);
  const told: number[] = [];
  const sparing = new Sparing(1000);
  for (const ms of [0, 1, 500, 999, 1000, 1500, 5000]) {
    now.mockReturnValue(ms);
    sparing.tell((heldBack) => told.push(heldBack));
  }
  now.mockRestore();
  expect(told).toEqual([0, 3, 1]);
});

test('the silent log is silent, and so are its children', () => {
  expect(silentLog.child({ a: 1 })).toBe(silentLog);
  silentLog.error({}, 'nobody hears this');
});
