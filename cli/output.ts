// How commands speak: JSON as the service gave it, or aligned columns for people.
import type { JsonRecord } from '../client/http.ts';

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** On one line, and without what a terminal would obey: text of a service or a command line may be anybody's. */
export function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');
}

/** Left-aligned columns, two spaces apart, under a head. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One field a line, for one thing. */
export function fields(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${harmless(name).padEnd(width)}  ${value}`).join('\n');
}

/** The objects of what should be a list of them. */
export function records(value: unknown): JsonRecord[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item): item is JsonRecord => typeof item === 'object' && item !== null);
}

/** A JSON value as one cell. */
export function cell(record: JsonRecord, key: string): string {
  const value = record[key];
  if (value === undefined || value === null) return '';
  return harmless(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

/** `40 s`, `12 min`, `3 h 20 min`, `2 d 5 h`: two units at most, rounded up. */
export function humanSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 24 * 60) return twoUnits(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.ceil(minutes / 60);
  return twoUnits(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function twoUnits(many: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${many} ${unit}` : `${many} ${unit} ${rest} ${restUnit}`;
}

/** `1.5 MB`, of 1000. */
export function humanBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
