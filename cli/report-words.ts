// What a cost report says in words: which way would have been cheapest and by how much, and what the figures rest on.
import type { CostReportShown } from '../api/report-schemas.ts';

const digits = new Intl.NumberFormat('en', { maximumSignificantDigits: 4, useGrouping: false });
const cents = new Intl.NumberFormat('en', { maximumFractionDigits: 2, minimumFractionDigits: 2, useGrouping: false });

/** Four digits, or two places from a hundred on; never with an exponent. */
export function amount(value: number): string {
  return value >= 100 ? cents.format(value) : digits.format(value);
}

export function sentences(report: CostReportShown): string[] {
  return [...verdict(report), ...hindsight(report), ...caveats(report)];
}

function verdict({ total, currency }: CostReportShown): string[] {
  const { actual, never, always } = total;
  if (actual.accesses === 0) {
    if (actual.cost === 0) return ['Nothing was asked for in this time, and nothing was spent.'];
    return [`Nothing was asked for in this time; what was made and kept cost ${currency} ${amount(actual.cost)}.`];
  }
  const ways = [
    { words: 'what was done', cost: actual.cost, would: 'cost' },
    { words: 'keeping everything', cost: always.cost, would: 'would have cost' },
    { words: 'keeping nothing', cost: never.cost, would: 'would have cost' },
  ];
  // Of equal ones, what was done.
  const [cheapest, ...others] = ways.toSorted((a, b) => a.cost - b.cost) as [Way, ...Way[]];
  const comparisons = others.map(
    ({ words, cost, would }) => `${words} ${would} ${compared(cost, cheapest.cost, currency)}`,
  );
  const was = cheapest.words === 'what was done' ? 'was' : 'would have been';
  const head = `${capital(cheapest.words)} ${was} cheapest, at ${currency} ${amount(cheapest.cost)}`;
  return [`${head}: ${comparisons.join(', ')}.`];
}

interface Way {
  readonly words: string;
  readonly cost: number;
  readonly would: string;
}

function hindsight({ total, currency }: CostReportShown): string[] {
  const { actual, optimum } = total;
  if (actual.accesses === 0) return [];
  const least = `${currency} ${amount(optimum.cost)}`;
  if (actual.cost < optimum.cost) {
    return [
      `With hindsight, but beginning with nothing stored, ${least} would have been needed: earlier work has paid.`,
    ];
  }
  const rest = actual.cost === optimum.cost ? 'no more' : compared(actual.cost, optimum.cost, currency);
  return [`With hindsight ${least} would have been enough: what was done cost ${rest}.`];
}

/** `1.8 times as much` */
function compared(cost: number, than: number, currency: string): string {
  if (cost === than) return 'as much';
  if (than === 0) return `${currency} ${amount(cost)}`;
  const times = cost / than;
  if (times < 1.05) return 'about as much';
  return `${times < 10 ? times.toFixed(1) : Math.round(times)} times as much`;
}

function caveats({ assumptions, unreadableSegments }: CostReportShown): string[] {
  const { chunks, workOfDerivation, workUnknown, bytesOfDerivation, bytesUnknown } = assumptions;
  const of = (count: number) => `${count} of ${chunks} chunks`;
  const lines: string[] = [];
  if (workOfDerivation > 0)
    lines.push(`Assumed: the CPU of ${of(workOfDerivation)}, never measured, is the mean of their derivation.`);
  if (workUnknown > 0)
    lines.push(`Assumed: ${of(workUnknown)} are made for nothing, as nothing is known of their derivation's CPU.`);
  if (bytesOfDerivation > 0)
    lines.push(`Assumed: the size of ${of(bytesOfDerivation)}, never stored, is the mean of their derivation.`);
  if (bytesUnknown > 0)
    lines.push(`Assumed: ${of(bytesUnknown)} are kept for nothing, as nothing is known of their derivation's size.`);
  if (unreadableSegments > 0) {
    const segments = unreadableSegments === 1 ? 'segment' : 'segments';
    lines.push(`Missing: ${unreadableSegments} ${segments} of the ledger could not be read.`);
  }
  return lines;
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
