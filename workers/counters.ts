// What a worker has done since it started. A worker serves no HTTP: its heartbeat carries these, and the api shows them.
import { cpuMicrosOf } from '../core/provenance.ts';
import type { Spent } from './task.ts';

export class WorkerCounters {
  /** Chunks made and stored. */
  generated = 0;
  /** Orders for chunks that were stored already. */
  found = 0;
  /** Tries that failed and are made again. */
  retried = 0;
  /** Chunks given up. */
  failed = 0;
  /** Jobs given back because the worker stops. */
  putBack = 0;
  /** Jobs of other workers that this one found without a worker. */
  stalled = 0;
  /** CPU of the threads, in all. */
  cpuSeconds = 0;
  /** Of that, what came to nothing. */
  wastedCpuSeconds = 0;
  /** Of `cpuSeconds`, what remaking inputs took. */
  remakingCpuSeconds = 0;
  /** Events of inputs that were read from stored chunks, and that were made again. */
  inputEventsRead = 0;
  inputEventsRemade = 0;
  /** Stored. */
  bytes = 0;
  /** Chunks made virtual again to make room. */
  evicted = 0;
  /** Stored chunks found damaged, and quarantined. */
  damaged = 0;
  /** Chunks made again with another digest than before: always a reason to look. */
  digestsDiffering = 0;

  /** A task ended, in whatever way. */
  spent(task: Spent): void {
    this.cpuSeconds += cpuMicrosOf(task) / 1e6;
    for (const { cpuSeconds, readEvents, remadeEvents } of task.inputs ?? []) {
      this.remakingCpuSeconds += cpuSeconds;
      this.inputEventsRead += readEvents;
      this.inputEventsRemade += remadeEvents;
    }
  }

  /** It came to nothing. */
  wasted(task: Spent): void {
    this.wastedCpuSeconds += cpuMicrosOf(task) / 1e6;
  }

  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(Object.entries(this));
  }
}
