// How numbers, sizes, times and money read. The page is in English, so its numbers are too, wherever the browser is.

const locale = 'en';
const space = '\u00a0';
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
const share = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: 'medium', hourCycle: 'h23' });
const moment = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' });

/** @param {number} n */
export const count = (n) => whole.format(n);

/** Nothing and all are said only of nothing and all. @param {number} ratio 0 to 1 */
export function percent(ratio) {
  if (ratio > 0 && ratio < 0.001) return `<${share.format(0.001)}`;
  return ratio > 0.999 && ratio < 1 ? `>${share.format(0.999)}` : share.format(ratio);
}

/** `one(1, 'chunk')` is `1 chunk`, `one(2, 'chunk')` is `2 chunks`. @param {number} n @param {string} noun */
export const plural = (n, noun) => `${count(n)}${space}${noun}${n === 1 ? '' : 's'}`;

/**
 * @param {number} value
 * @param {readonly (readonly [size: number, unit: string])[]} units falling sizes; the last takes what is smaller
 */
function scaled(value, units) {
  const [size, unit] = units.find(([least]) => Math.abs(value) >= least) ?? units.at(-1) ?? [1, ''];
  return `${three.format(value / size)}${space}${unit}`;
}

/** @param {number} n */
export const bytes = (n) =>
  scaled(n, [
    [1e15, 'PB'],
    [1e12, 'TB'],
    [1e9, 'GB'],
    [1e6, 'MB'],
    [1e3, 'kB'],
    [1, 'B'],
  ]);

/** @param {number} n byte seconds, what storage costs by */
export const storage = (n) =>
  scaled(n / 86_400, [
    [1e12, 'TB·d'],
    [1e9, 'GB·d'],
    [1e6, 'MB·d'],
    [1e3, 'kB·d'],
    [1, 'B·d'],
  ]);

/** @param {number} s seconds */
export function duration(s) {
  if (s >= 172_800) return `${three.format(s / 86_400)}${space}d`;
  if (s >= 7200) return `${three.format(s / 3600)}${space}h`;
  if (s >= 120) return `${three.format(s / 60)}${space}min`;
  return `${three.format(s)}${space}s`;
}

/** @param {number} kwh */
export const energy = (kwh) =>
  scaled(kwh * 1000, [
    [1e6, 'MWh'],
    [1e3, 'kWh'],
    [1, 'Wh'],
  ]);

/** @param {number} grams */
export const mass = (grams) =>
  scaled(grams, [
    [1e6, 't'],
    [1e3, 'kg'],
    [1, 'g'],
  ]);

/**
 * Cents for what a person pays, and as many digits as it takes for what a chunk costs.
 * @param {number} amount
 * @param {string} currency a code, `EUR`
 * @param {number} [scale] the largest of the amounts that it is to be compared with
 */
export function money(amount, currency, scale = amount) {
  const digits = { minimumFractionDigits: digitsOf(scale), maximumFractionDigits: digitsOf(scale) };
  try {
    return new Intl.NumberFormat(locale, { style: 'currency', currency, ...digits }).format(amount);
  } catch {
    // No code of ISO 4217: an operator may count in anything.
    return `${new Intl.NumberFormat(locale, digits).format(amount)}${space}${currency}`;
  }
}

/** Fraction digits that show the first three digits of a small amount; nine is a nano-unit. @param {number} amount */
function digitsOf(amount) {
  if (amount === 0 || Math.abs(amount) >= 1) return 2;
  return Math.min(9, Math.max(2, 2 - Math.floor(Math.log10(Math.abs(amount)))));
}

/** @param {number} ms since 1970 */
export const timeOfDay = (ms) => clock.format(ms);

/** @param {string} time RFC 3339 */
export function dateAndTime(time) {
  const ms = Date.parse(time);
  return Number.isNaN(ms) ? '–' : moment.format(ms);
}
