// What goes into a prefetcher and comes out of it.
import type { DownloadFormat } from './download.ts';
import type { PandaRange, PandaRangeList } from './prefetch-ranges.ts';
import type { RetryPolicy } from './retries.ts';

export interface PrefetchOptions {
  /** `http://127.0.0.1:8080` */
  readonly server: string;
  readonly token?: string | undefined;
  /** Asked for the next list only when its ranges are about to be fetched: lists may be written over time. */
  readonly lists: AsyncIterable<PandaRangeList> | Iterable<PandaRangeList>;
  /** Made where it is not there; one prefetcher at a time. */
  readonly folder: string;
  readonly format?: DownloadFormat;
  /** Ranges in flight: 4 unless said. */
  readonly ahead?: number;
  /**
   * Bytes of files that may lie in the folder, 1 GiB unless said. No file is begun that would lead beyond, as far as can be
   * told from the sizes of those before it; one is always allowed.
   */
  readonly diskBytesMax?: number;
  /** How long nothing may be taken away from a full folder, six hours unless said. */
  readonly patienceMs?: number;
  /** Outcomes as they come, not in the order of the lists. */
  readonly asCompleted?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly retries?: RetryPolicy;
  /** Told before it waits to try again. */
  readonly onTrouble?: (why: string) => void;
  /** Told once, when the payload is waited for. */
  readonly onFull?: (bytes: number) => void;
}

/** What became of a range. */
export type Prefetched =
  | {
      readonly state: 'whole';
      /** As it came, but for the file it is read from: all events of it. */
      readonly range: PandaRange;
      readonly file: string;
      readonly events: number;
      readonly bytes: number;
      /** Whether an earlier run had fetched it. */
      readonly found: boolean;
    }
  /** Read in an earlier run, or listed before in this one. */
  | { readonly state: 'taken' | 'repeated'; readonly range: PandaRange }
  | { readonly state: 'failed'; readonly range: PandaRange; readonly error: Error };
