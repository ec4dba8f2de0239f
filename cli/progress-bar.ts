// One line on a terminal's standard error that is written over as a download grows, and wiped at its end.
import type { Progress } from '../client/transfer.ts';
import { humanBytes } from './output.ts';

const redrawMs = 100;
const barCells = 30;

export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  readonly #startedAt = performance.now();
  #drawnAt = -redrawMs;
  #bytesAtStart: number | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(progress: Progress): void {
    const now = performance.now();
    this.#bytesAtStart ??= progress.bytes;
    if (progress.waiting === undefined && now - this.#drawnAt < redrawMs) return;
    this.#drawnAt = now;
    this.#draw(barLine(progress, this.#rate(progress, now)));
  }

  wipe(): void {
    this.#draw('');
  }

  #rate(progress: Progress, now: number): number {
    return ((progress.bytes - (this.#bytesAtStart ?? 0)) * 1000) / Math.max(1, now - this.#startedAt);
  }

  #draw(line: string): void {
    this.#stream.write(`\r\x1b[K${line.slice(0, Math.max(20, this.#stream.columns ?? 80) - 1)}`);
  }
}

/** The line without what moves the cursor. */
export function barLine(progress: Progress, bytesPerSecond: number): string {
  const { events, eventsDone, bytes, waiting } = progress;
  const share = eventsDone / events;
  if (waiting !== undefined)
    return `${percent(share)}  trying again in ${(waiting.ms / 1000).toFixed(1)} s: ${waiting.why}`;
  const full = Math.floor(share * barCells);
  const bar = '#'.repeat(full) + '.'.repeat(barCells - full);
  return `${percent(share)} [${bar}] ${eventsDone} of ${events} events  ${humanBytes(bytes)}  ${humanBytes(bytesPerSecond)}/s`;
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`.padStart(5);
}
