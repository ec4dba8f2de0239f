// What a scheduler has done for batches since it started: its heartbeat carries it, and the api shows it.
import type { Tally } from '../core/work-state.ts';

export class BatchCounters {
  /** Batches that are not over. */
  batchesActive = 0;
  batchChunksDone = 0;
  batchChunksSkipped = 0;
  batchChunksFailed = 0;

  add({ done, skipped, failed }: Tally): void {
    this.batchChunksDone += done;
    this.batchChunksSkipped += skipped;
    this.batchChunksFailed += failed;
  }
}
