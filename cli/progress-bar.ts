// The progress of a download on a terminal.
import type { Progress } from '../client/transfer.ts';
import { humanBytes } from './output.ts';
import { bar, percent, StatusLine } from './status-line.ts';

const redrawMs = 100;

export class ProgressBar {
  readonly #line: StatusLine;
  readonly #startedAt = performance.now();
  #drawnAt = -redrawMs;
  #bytesAtStart: number | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#line = new StatusLine(stream);
  }

  show(progress: Progress): void {
    const now = performance.now();
    this.#bytesAtStart ??= progress.bytes;
    if (progress.waiting === undefined && now - this.#drawnAt < redrawMs) return;
    this.#drawnAt = now;
    this.#line.show(barLine(progress, this.#rate(progress, now)));
  }

  wipe(): void {
    this.#line.wipe();
  }

  #rate(progress: Progress, now: number): number {
    return ((progress.bytes - (this.#bytesAtStart ?? 0)) * 1000) / Math.max(1, now - this.#startedAt);
  }
}

/** The line without what moves the cursor. */
export function barLine(progress: Progress, bytesPerSecond: number): string {
  const { events, eventsDone, bytes, waiting } = progress;
  const share = eventsDone / events;
  if (waiting !== undefined)
    return `${percent(share)}  trying again in ${(waiting.ms / 1000).toFixed(1)} s: ${waiting.why}`;
  return `${percent(share)} ${bar(share)} ${eventsDone} of ${events} events  ${humanBytes(bytes)}  ${humanBytes(bytesPerSecond)}/s`;
}
