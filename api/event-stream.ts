// Progress as server-sent events (the HTML standard's `text/event-stream`): the same JSON as the resource itself, whenever it
// has changed, until it is final. Many streams on one thing look at it once. A reader who is slow is told the latest state
// when it is ready for more: nothing is queued for it.
import { createHash } from 'node:crypto';
import { EvokeError } from '../core/errors.ts';
import type { Time } from '../scheduler/time.ts';
import type { Answer, HeaderList, Input } from './answer.ts';

/** What a thing looks like at a moment. */
export interface Shown {
  readonly value: object;
  /** It will not change any more: the stream ends with it. */
  readonly isFinal: boolean;
}

/** Looks at the thing; undefined when there is no such thing any more. A look that fails is made again. */
export type Look = () => Promise<Shown | undefined>;

export interface EventStreamOptions {
  /** How many may be open (setting STREAMS). */
  readonly streamsMax: number;
  readonly time: Time;
}

/** At most so often is a thing looked at, and so is a stream told. */
const lookMs = 500;
/** Shorter than what proxies take for a dead connection. */
const heartbeatMs = 15_000;
/** What a client waits before it connects again. */
const reconnectMs = 2_000;

export const eventStreamType = 'text/event-stream';

const headers: HeaderList = [
  'Content-Type',
  eventStreamType,
  'Cache-Control',
  'no-cache',
  // nginx would gather events until they fill a buffer.
  'X-Accel-Buffering',
  'no',
];

const opening = Buffer.from(`retry: ${reconnectMs}\n\n`);
const heartbeat = Buffer.from(':\n\n');

export class EventStreams {
  readonly #streamsMax: number;
  readonly #time: Time;
  readonly #watches = new Map<string, Watch>();
  #open = 0;
  #ending = false;

  constructor(options: EventStreamOptions) {
    this.#streamsMax = options.streamsMax;
    this.#time = options.time;
  }

  /** Open streams. */
  get size(): number {
    return this.#open;
  }

  /**
   * The stream of what is called `key`, which has just been looked at. 204 for a client that has seen its final state: that
   * is how the standard tells it not to connect again. @throws EvokeError OVERLOADED
   */
  answer(input: Pick<Input, 'method' | 'header' | 'signal'>, key: string, first: Shown, look: Look): Answer {
    if (input.method === 'HEAD') return { status: 200, headers };
    const seen = input.header('last-event-id');
    if (first.isFinal && seen === frameOf(first).id) return { status: 204, headers: ['Cache-Control', 'no-cache'] };
    if (this.#open >= this.#streamsMax) {
      throw new EvokeError('OVERLOADED', {
        detail: `${this.#open} progress streams are open already; this process has ${this.#streamsMax} at a time.`,
        hint: 'Ask for the resource itself from time to time; EVOKE_STREAMS sets the bound.',
        retryAfterSeconds: 5,
      });
    }
    this.#open++;
    return {
      status: 200,
      headers,
      body: { kind: 'stream', lasting: true, pieces: this.#pieces(input, key, first, look) },
    };
  }

  /** Whatever is watched under this key has just changed: it is looked at now and not only when it is time. */
  changed(key: string): void {
    this.#watches.get(key)?.hurry();
  }

  /** Ends all streams, and from now on each after its first event: their clients connect again, to somebody else. */
  end(): void {
    this.#ending = true;
    for (const watch of this.#watches.values()) watch.wake();
  }

  async *#pieces(
    { header, signal }: Pick<Input, 'header' | 'signal'>,
    key: string,
    first: Shown,
    look: Look,
  ): AsyncGenerator<Buffer> {
    const watch = this.#watches.get(key) ?? new Watch(look, this.#time);
    this.#watches.set(key, watch);
    watch.join(first);
    try {
      yield opening;
      let sent = header('last-event-id');
      while (!signal.aborted) {
        if (watch.frame.id !== sent) {
          sent = watch.frame.id;
          yield watch.frame.bytes;
        } else if (watch.isOver || this.#ending) return;
        else if (await watch.quietFor(heartbeatMs, signal)) yield heartbeat;
      }
    } finally {
      this.#open--;
      if (watch.leave() && this.#watches.get(key) === watch) this.#watches.delete(key);
    }
  }
}

/** One thing, looked at for all who have a stream on it. */
class Watch {
  readonly #look: Look;
  readonly #time: Time;
  readonly #sleepers = new Set<() => void>();
  #frame: Frame | undefined;
  #readers = 0;
  #isOver = false;
  #looking = false;
  #cancelTimer: () => void = () => undefined;

  constructor(look: Look, time: Time) {
    this.#look = look;
    this.#time = time;
  }

  get frame(): Frame {
    if (this.#frame === undefined) throw new TypeError('A watch is joined before it is read.');
    return this.#frame;
  }

  /** Its state is final, or it is gone. */
  get isOver(): boolean {
    return this.#isOver;
  }

  join(seen: Shown): void {
    this.#readers++;
    // What this reader has seen may be older than the end that was shown meanwhile.
    if (!this.#isOver) this.#show(seen);
    if (this.#readers === 1) this.#lookLater();
  }

  /** True for the last reader: then nobody looks any more. */
  leave(): boolean {
    this.#readers--;
    if (this.#readers === 0) this.#cancelTimer();
    return this.#readers === 0;
  }

  wake(): void {
    for (const sleeper of [...this.#sleepers]) sleeper();
  }

  hurry(): void {
    this.#cancelTimer();
    void this.#lookNow();
  }

  /** Whether nothing happened for so long; false as soon as something did, or the signal was aborted. */
  quietFor(ms: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (quiet: boolean) => {
        cancel();
        signal.removeEventListener('abort', woken);
        this.#sleepers.delete(woken);
        resolve(quiet);
      };
      const woken = () => end(false);
      const cancel = this.#time.after(ms, () => end(true));
      signal.addEventListener('abort', woken, { once: true });
      this.#sleepers.add(woken);
    });
  }

  #lookLater(): void {
    this.#cancelTimer();
    if (this.#readers > 0 && !this.#isOver) this.#cancelTimer = this.#time.after(lookMs, () => void this.#lookNow());
  }

  async #lookNow(): Promise<void> {
    if (this.#looking || this.#isOver) return;
    this.#looking = true;
    try {
      const seen = await this.#look();
      if (seen !== undefined) this.#show(seen);
      else {
        this.#isOver = true;
        this.wake();
      }
    } catch {
      // The store is away: there is nothing new to tell until it is back.
    } finally {
      this.#looking = false;
      this.#lookLater();
    }
  }

  #show(seen: Shown): void {
    const frame = frameOf(seen);
    if (frame.id === this.#frame?.id) return;
    this.#frame = frame;
    this.#isOver = seen.isFinal;
    this.wake();
  }
}

interface Frame {
  /** Of the state itself: whichever process tells it. */
  readonly id: string;
  readonly bytes: Buffer;
}

function frameOf({ value }: Shown): Frame {
  const data = JSON.stringify(value);
  const id = createHash('sha256').update(data).digest('base64url').slice(0, 16);
  return { id, bytes: Buffer.from(`id: ${id}\nevent: progress\ndata: ${data}\n\n`) };
}
