// What crosses the boundary to the marshalling threads, plain types, and the work done there: a pure function.
import type { Column } from '../core/columns.ts';
import { cut } from './cut.ts';
import { NotArrow } from './ipc.ts';
import { ndjsonLines } from './ndjson.ts';
import { decodeBatchFrame, encodeBatch } from './record-batch.ts';

export interface MarshalTask {
  /** `arrow`: a framed record batch comes back; `ndjson`: lines. */
  readonly into: 'arrow' | 'ndjson';
  /** A framed record batch with exactly `columns`; moved. */
  readonly batch: Uint8Array<ArrayBuffer>;
  readonly columns: readonly Column[];
  /** Rows [first, end) of the batch are wanted. */
  readonly first: number;
  readonly end: number;
}

export type MarshalResult =
  | { readonly state: 'done'; readonly bytes: Uint8Array<ArrayBuffer> }
  /** The batch is not what was once written. */
  | { readonly state: 'damaged'; readonly detail: string };

export function marshal({ into, batch, columns, first, end }: MarshalTask): MarshalResult {
  try {
    const data = decodeBatchFrame(batch, columns);
    const bytes =
      into === 'ndjson' ? ndjsonLines(columns, data, first, end) : encodeBatch(columns, cut(columns, data, first, end));
    return { state: 'done', bytes };
  } catch (error) {
    if (error instanceof NotArrow) return { state: 'damaged', detail: error.message };
    throw error;
  }
}
