// Where the ledger lies in a store: `ledger/<YYYY-MM-DD>/<HH>-<process>-<n>.parquet`. The hour (UTC) is that of the
// entries; process and number make the name unique for ever, so that it fixes what is in the segment.

export const ledgerPrefix = 'ledger/';
export const hourMs = 3_600_000;

/** Beyond the year 9999 a date has another shape. */
export const timeMaxMs = Date.UTC(10_000, 0) - 1;

/** Where an entry was first written: names a segment within its hour. */
export interface Origin {
  readonly process: string;
  /** The segment's number in its process. */
  readonly n: number;
}

export interface SegmentId extends Origin {
  /** The beginning of the hour, milliseconds since the epoch. */
  readonly hourMs: number;
}

/** What stands for the process in the names of merged segments begins so; no process has a dot in its name. */
const mergedPrefix = 'merged.';

export function mergedProcess(digest: string): string {
  return mergedPrefix + digest;
}

export function isMerged({ process }: Origin): boolean {
  return process.startsWith(mergedPrefix);
}

const digits = 8;
const pattern = /^ledger\/(\d{4}-\d{2}-\d{2})\/([01]\d|2[0-3])-([A-Za-z0-9_.-]+)-(\d{8})\.parquet$/;

export function startOfHour(atMs: number): number {
  return Math.floor(atMs / hourMs) * hourMs;
}

/** `ledger/<YYYY-MM-DD>/<HH>`: what the names of all segments of an hour begin with; sorts as hours do. */
export function hourPrefix(atMs: number): string {
  const [date = '', time = ''] = new Date(atMs).toISOString().split('T');
  return `${ledgerPrefix}${date}/${time.slice(0, 2)}`;
}

export function segmentName({ hourMs, process, n }: SegmentId): string {
  return `${hourPrefix(hourMs)}-${process}-${String(n).padStart(digits, '0')}.parquet`;
}

/** Undefined when the object is no segment. */
export function segmentOfName(name: string): SegmentId | undefined {
  const [, date, hour, process = '', n] = pattern.exec(name) ?? [];
  const startMs = Date.parse(`${date}T${hour}:00:00Z`);
  return Number.isNaN(startMs) ? undefined : { hourMs: startMs, process, n: Number(n) };
}
