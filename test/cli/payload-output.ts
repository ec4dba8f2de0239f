// What a payload leaves of a range: its output is there if and only if the range was read to its end.
import { createHash } from 'node:crypto';
import { join } from 'node:path';

export interface PayloadOutput {
  readonly eventRangeID: string;
  /** Event numbers, in the order of the file. */
  readonly events: readonly number[];
  /** Of the file, SHA-256. */
  readonly digest: string;
}

export function outputOf(folder: string, eventRangeID: string): string {
  return join(folder, `HITS.${createHash('sha256').update(eventRangeID).digest('hex').slice(0, 16)}.json`);
}
