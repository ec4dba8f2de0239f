// The bytes that answers under way may hold, all together. Whoever needs a chunk now waits in line for its bytes, for a
// bounded time; what is read ahead takes only what is free, and gives it back when somebody stands in line.
import { EvokeError } from '../core/errors.ts';
import type { Time } from './time.ts';

interface Waiting {
  readonly bytes: number;
  readonly grant: () => void;
}

export class ByteBudget {
  readonly bytesMax: number;
  readonly #time: Time;
  #usedBytes = 0;
  /** First come, first served. */
  readonly #line = new Set<Waiting>();
  /** Asked for bytes that could be given back, when somebody has to wait. */
  #reclaim: () => void = () => undefined;

  constructor(bytesMax: number, time: Time) {
    this.bytesMax = bytesMax;
    this.#time = time;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** How many wait in line. */
  get waiting(): number {
    return this.#line.size;
  }

  onShortage(reclaim: () => void): void {
    this.#reclaim = reclaim;
  }

  /** Takes bytes that are free, unless somebody waits for them. What is larger than the whole budget counts as all of it. */
  tryTake(bytes: number): boolean {
    if (this.#line.size > 0 || !this.#fits(bytes)) return false;
    this.#usedBytes += this.#counted(bytes);
    return true;
  }

  /**
   * Takes bytes, waiting in line for them.
   * @throws EvokeError OVERLOADED after `waitMs`, or the signal's reason
   */
  async take(bytes: number, { waitMs, signal }: { waitMs: number; signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted();
    if (this.tryTake(bytes)) return;
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        cancelTimer();
        signal.removeEventListener('abort', aborted);
        this.#line.delete(waiting);
      };
      const refuse = (reason: unknown) => {
        leave();
        reject(reason);
        // The next in line may need less.
        this.#serve();
      };
      const aborted = () => refuse(signal.reason);
      const waiting: Waiting = {
        bytes,
        grant: () => {
          leave();
          resolve();
        },
      };
      const cancelTimer = this.#time.after(waitMs, () => refuse(noRoom(bytes, this.bytesMax, waitMs)));
      signal.addEventListener('abort', aborted, { once: true });
      this.#line.add(waiting);
      this.#reclaim();
    });
  }

  /** Gives back what was taken, in the same measure. */
  give(bytes: number): void {
    this.#usedBytes -= this.#counted(bytes);
    this.#serve();
  }

  /** What was taken turned out to have another size. It is in memory already, so a larger one is counted, not refused. */
  adjust(fromBytes: number, toBytes: number): void {
    this.#usedBytes += this.#counted(toBytes) - this.#counted(fromBytes);
    this.#serve();
  }

  #serve(): void {
    for (const waiting of this.#line) {
      if (!this.#fits(waiting.bytes)) return;
      this.#usedBytes += this.#counted(waiting.bytes);
      waiting.grant();
    }
  }

  #fits(bytes: number): boolean {
    return this.#usedBytes + this.#counted(bytes) <= this.bytesMax;
  }

  #counted(bytes: number): number {
    return Math.min(bytes, this.bytesMax);
  }
}

function noRoom(bytes: number, bytesMax: number, waitMs: number): EvokeError {
  return new EvokeError('OVERLOADED', {
    detail: `${bytes} of the ${bytesMax} bytes for answers under way did not become free within ${waitMs / 1000} s.`,
    retryAfterSeconds: 5,
  });
}
