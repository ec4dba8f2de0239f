// How numbers read: exact where they are small, never nothing or all where it is not so.
import { expect, test } from 'vitest';
import {
  bytes,
  count,
  dateAndTime,
  duration,
  energy,
  mass,
  money,
  percent,
  plural,
  storage,
} from '../../dashboard/format.js';

/** With plain spaces: the page parts numbers from units with spaces that do not break. */
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

test('counts are grouped, up to the largest number of chunks there can be', () => {
  expect(count(0)).toBe('0');
  expect(count(Number.MAX_SAFE_INTEGER)).toBe('9,007,199,254,740,991');
  expect(plain(plural(1, 'chunk'))).toBe('1 chunk');
  expect(plain(plural(0, 'chunk'))).toBe('0 chunks');
});

test.each([
  [0, '0%'],
  [1e-12, '<0.1%'],
  [0.0316, '3.2%'],
  [0.99999, '>99.9%'],
  [1, '100%'],
])('the share %d reads %s: nothing and all are said only of nothing and all', (ratio, text) => {
  expect(percent(ratio)).toBe(text);
});

test.each([
  [bytes(0), '0 B'],
  [bytes(999), '999 B'],
  [bytes(1234), '1.23 kB'],
  [bytes(5e15), '5 PB'],
  [storage(86_400 * 3e9), '3 GB·d'],
  [duration(0), '0 s'],
  [duration(0.0421), '0.0421 s'],
  [duration(119), '119 s'],
  [duration(120), '2 min'],
  [duration(7200), '2 h'],
  [duration(372_000), '4.31 d'],
  [energy(0.0005), '0.5 Wh'],
  [energy(2.5), '2.5 kWh'],
  [mass(133), '133 g'],
  [mass(4.2e6), '4.2 t'],
])('%s', (text, wanted) => {
  expect(plain(text)).toBe(wanted);
});

test.each([
  [0, 'EUR', '€0.00'],
  [1234.5, 'EUR', '€1,234.50'],
  [0.01234, 'EUR', '€0.0123'],
  [0.0000000042, 'EUR', '€0.000000004'],
  [3, 'credits', '3.00 credits'],
  [3, '<b>', '3.00 <b>'],
])('%d %s reads %s', (amount, currency, text) => {
  expect(plain(money(amount, currency))).toBe(text);
});

test('amounts that stand below each other have the digits of the largest', () => {
  expect(money(0.000000123, 'EUR', 0.0123)).toBe('€0.0000');
  expect(money(0.1, 'EUR', 12)).toBe('€0.10');
});

test('a time that is none is not shown as one', () => {
  expect(dateAndTime('soon')).toBe('–');
  expect(dateAndTime('2026-03-01T12:00:00Z')).toMatch(/Mar 1, 2026|Feb 28, 2026|Mar 2, 2026/);
});
