// Exact prices: what one would compute by hand, and accounts that lose nothing.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Account, dividedHalfUp, tariffOf } from '../../costs/tariff.ts';
import { anyPrices, plainPrices } from './report/ledgers.ts';

const costOf = (parts: bigint) => new Account().book(parts);

test('an hour of a core, of waiting, a terabyte for a year, a gigabyte and 1000 requests cost what the settings say', () => {
  const tariff = tariffOf({ ...plainPrices, waitHour: 6, replicas: 2.5, requestPer1000: 0.0054, egressGb: 0.09 });
  expect(costOf(tariff.cpuMicro * 3_600_000_000n)).toBe(12_000_000n);
  expect(costOf(tariff.waitMicro * 3_600_000_000n)).toBe(6_000_000_000n);
  expect(costOf(tariff.byteMs * 10n ** 12n * 365n * 86_400_000n)).toBe(200_000_000_000n);
  expect(costOf(tariff.byteServed * 10n ** 9n)).toBe(90_000_000n);
  expect(costOf(tariff.request * 1000n)).toBe(5_400_000n);
});

test('a price is taken to its nearest nano-unit, and every price is whole in parts of one', () => {
  expect(tariffOf({ ...plainPrices, cpuCoreHour: 0.0120000000004 })).toEqual(tariffOf(plainPrices));
  fc.assert(
    fc.property(anyPrices, (prices) => {
      const { cpuMicro, waitMicro, request, byteServed } = tariffOf(prices);
      const [one] = [tariffOf({ ...plainPrices, requestPer1000: 1000 }).request / 10n ** 9n];
      expect(cpuMicro * 3_600_000_000n).toBe(BigInt(Math.round(prices.cpuCoreHour * 1e9)) * one);
      expect(waitMicro * 3_600_000_000n).toBe(BigInt(Math.round(prices.waitHour * 1e9)) * one);
      expect(request * 1000n).toBe(BigInt(Math.round(prices.requestPer1000 * 1e9)) * one);
      expect(byteServed * 10n ** 9n).toBe(BigInt(Math.round(prices.egressGb * 1e9)) * one);
    }),
  );
});

test('what is booked in any pieces adds up to what is booked at once', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 110n }), { maxLength: 30 }), (pieces) => {
      const account = new Account();
      const booked = pieces.map((piece) => account.book(piece));
      expect(booked.reduce((sum, nano) => sum + nano, 0n)).toBe(costOf(pieces.reduce((sum, piece) => sum + piece, 0n)));
      for (const nano of booked) expect(nano >= 0n).toBe(true);
    }),
  );
});

test('a half goes up', () => {
  expect([0n, 1n, 2n, 3n, 4n, 5n, 6n].map((n) => dividedHalfUp(n, 4n))).toEqual([0n, 0n, 1n, 1n, 1n, 1n, 2n]);
});
