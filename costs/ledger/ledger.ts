// Gathers what a process has to say for the ledger and writes it to the store in segments. Recording costs next to
// nothing and never fails; what cannot be written is tried again, kept up to a bound, and counted when it is lost.
import { randomBytes } from 'node:crypto';
import { type Clock, pause } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { LedgerEntry, LedgerSink } from '../../core/ledger.ts';
import { type Log, Sparing } from '../../core/log.ts';
import type { Store } from '../../store/store.ts';
import { SegmentEncoder } from './encoder.ts';
import { hourMs, segmentName, startOfHour } from './names.ts';
import { isRecordable } from './schema.ts';

export interface LedgerOptions {
  readonly store: Pick<Store, 'put' | 'get'>;
  /** Who writes: letters, digits, `_` and `-`. The time and a random part are added: no other takes up its names, ever. */
  readonly process: string;
  /** For how long entries are gathered: the most that a killed process loses. */
  readonly flushMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Entries in a segment; so many are written at once (default 16,384). Eight times as many may wait to be encoded. */
  readonly rowsMax?: number;
  /** Segments that the store does not take are kept up to this size in all (default 64 MiB: some five million entries). */
  readonly waitingBytesMax?: number;
  /** For how long `close` tries to write what is left (default 5 s). */
  readonly closeMs?: number;
}

/** `recorded` = `flushed` + `lost` + those on their way. */
export interface LedgerCounters {
  /** Entries given. */
  readonly recorded: number;
  /** Entries, and segments, that are in the store. */
  readonly flushed: number;
  readonly segments: number;
  /** Entries that will never be in the store. */
  readonly lost: number;
}

interface Segment {
  readonly name: string;
  readonly file: Buffer;
  readonly rows: number;
}

const processLengthMax = 100;
/** Handing more to the encoding thread at once would keep the event loop for more than some milliseconds. */
const rowsMaxDefault = 16_384;
const segmentsInMemory = 8;
const closeMsDefault = 5000;
const waitingBytesMaxDefault = 64 * 1024 * 1024;
const retryMsMin = 500;
const retryMsMax = 30_000;
const logEveryMs = 60_000;

export class Ledger implements LedgerSink {
  readonly #options: LedgerOptions;
  readonly #process: string;
  readonly #rowsMax: number;
  readonly #encoder: SegmentEncoder;
  readonly #counters = { recorded: 0, flushed: 0, segments: 0, lost: 0 };
  readonly #sparing = { lost: new Sparing(logEveryMs), failed: new Sparing(logEveryMs) };
  #entries: LedgerEntry[] = [];
  /** Encoded, in the order in which they are put. */
  readonly #waiting: Segment[] = [];
  #waitingBytes = 0;
  #encoding: Promise<void> = Promise.resolve();
  #lastNumber = 0;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = retryMsMin;
  /** The last flush that was asked for; `#nextFlush` while it has not begun. */
  #lastFlush: Promise<void> = Promise.resolve();
  #nextFlush: Promise<void> | undefined;
  #state: 'open' | 'closing' | 'closed' = 'open';

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#process = uniqueProcess(options);
    this.#rowsMax = options.rowsMax ?? rowsMaxDefault;
    this.#encoder = new SegmentEncoder(options.log);
  }

  get counters(): LedgerCounters {
    return this.#counters;
  }

  /** Whether everything recorded is in the store, or lost. */
  get isSettled(): boolean {
    const { recorded, flushed, lost } = this.#counters;
    return recorded === flushed + lost;
  }

  record(entry: LedgerEntry): void {
    this.#counters.recorded++;
    const count = this.#entries.length;
    if (this.#state !== 'open' || count >= segmentsInMemory * this.#rowsMax || !isRecordable(entry)) {
      this.#lose(1, 'they came too late, too fast, or were no entries');
      return;
    }
    this.#entries.push(entry);
    if (count + 1 === this.#rowsMax) {
      // At once: an earlier flush may be waiting for the store.
      void this.#encode();
      void this.flush();
    } else this.#timer ??= this.#flushAfter(this.#options.flushMs);
  }

  /** Encodes what was recorded and tries once to write all that waits. Never rejects: `counters` and `isSettled` tell. */
  flush(): Promise<void> {
    if (this.#nextFlush === undefined) {
      this.#nextFlush = this.#lastFlush.then(() => {
        this.#nextFlush = undefined;
        return this.#flushOnce();
      });
      this.#lastFlush = this.#nextFlush;
    }
    return this.#nextFlush;
  }

  /** Takes no more entries, and writes what is left as long as `closeMs` allows; the rest is lost. Never rejects. */
  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    const late = AbortSignal.timeout(this.#options.closeMs ?? closeMsDefault);
    await Promise.race([this.#writeAll(late), aborted(late)]);
    this.#state = 'closed';
    clearTimeout(this.#timer);
    this.#entries = [];
    this.#waiting.length = 0;
    const { recorded, flushed, lost } = this.#counters;
    this.#lose(recorded - flushed - lost, 'the process stopped before the store took them');
    await this.#encoder.close();
  }

  async #writeAll(late: AbortSignal): Promise<void> {
    for (;;) {
      await this.flush();
      if (this.isSettled || late.aborted) return;
      await pause(retryMsMin, late).catch(() => undefined);
    }
  }

  async #flushOnce(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      await this.#encode();
      await this.#putWaiting();
      this.#retryMs = retryMsMin;
    } catch (error) {
      if (this.#isClosed) return;
      this.#sparing.failed.tell((heldBack) =>
        this.#options.log.warn(
          { error: messageOf(error), waitingBytes: this.#waitingBytes, heldBack },
          'the ledger could not be written; it is tried again',
        ),
      );
      this.#retryMs = Math.min(this.#retryMs * 2, retryMsMax);
    }
    if (this.#state !== 'open') return;
    if (this.#waiting.length > 0) this.#timer ??= this.#flushAfter(this.#retryMs);
    else if (this.#entries.length > 0) this.#timer ??= this.#flushAfter(this.#options.flushMs);
  }

  /** Makes segments of what was recorded so far; one at a time. Never rejects. */
  #encode(): Promise<void> {
    this.#encoding = this.#encoding.then(async () => {
      const entries = this.#entries;
      this.#entries = [];
      for (const [hour, group] of byHour(entries)) {
        for (let first = 0; first < group.length; first += this.#rowsMax) {
          await this.#encodeRows(hour, group.slice(first, first + this.#rowsMax));
        }
      }
    });
    return this.#encoding;
  }

  /** Then everything that was not written has been counted as lost. */
  get #isClosed(): boolean {
    return this.#state === 'closed';
  }

  async #encodeRows(hour: number, rows: readonly LedgerEntry[]): Promise<void> {
    const { waitingBytesMax = waitingBytesMaxDefault } = this.#options;
    if (this.#isClosed) return;
    if (this.#waitingBytes >= waitingBytesMax) {
      this.#lose(rows.length, 'the store has not taken any for too long');
      return;
    }
    const origin = { process: this.#process, n: ++this.#lastNumber };
    try {
      const file = await this.#encoder.encode({ entries: rows, origins: origin });
      if (this.#isClosed) return;
      this.#waiting.push({ name: segmentName({ hourMs: hour, ...origin }), file, rows: rows.length });
      this.#waitingBytes += file.length;
    } catch (error) {
      if (!this.#isClosed) this.#lose(rows.length, `they could not be encoded: ${messageOf(error)}`);
    }
  }

  /** Writes the segments that wait, up to the first that the store does not take. */
  async #putWaiting(): Promise<void> {
    for (let segment = this.#waiting[0]; segment !== undefined; segment = this.#waiting[0]) {
      const { name, file, rows } = segment;
      const isNew = await this.#options.store.put(name, [file], { ifAbsent: true });
      // A put whose answer was lost has stored these very bytes.
      const isThere = isNew || (await this.#options.store.get(name))?.equals(file) === true;
      if (this.#isClosed) return;
      this.#waiting.shift();
      this.#waitingBytes -= file.length;
      if (isThere) {
        this.#counters.flushed += rows;
        this.#counters.segments++;
      } else {
        this.#lose(rows, `${name} is taken`);
      }
    }
  }

  #flushAfter(ms: number): NodeJS.Timeout {
    // Nobody's exit waits for it: a process that stops closes its ledger.
    return setTimeout(() => void this.flush(), ms).unref();
  }

  #lose(rows: number, why: string): void {
    if (rows === 0) return;
    this.#counters.lost += rows;
    this.#sparing.lost.tell(() =>
      this.#options.log.error({ lost: this.#counters.lost }, `entries of the ledger are lost: ${why}`),
    );
  }
}

/** `<name>-<YYYYMMDDTHHMMSS>-<8 hex>` */
function uniqueProcess({ process, clock }: LedgerOptions): string {
  const name = process.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, processLengthMax);
  const since = new Date(clock.now()).toISOString().replace(/[-:]|\..*/g, '');
  return `${name}-${since}-${randomBytes(4).toString('hex')}`;
}

/** The entries of each hour, in the order in which the hours come. */
function byHour(entries: readonly LedgerEntry[]): Map<number, LedgerEntry[]> {
  const hours = new Map<number, LedgerEntry[]>();
  let hour = Number.NaN;
  let group: LedgerEntry[] = [];
  for (const entry of entries) {
    // Nearly all are of the same hour as the one before.
    if (!(entry.atMs >= hour && entry.atMs < hour + hourMs)) {
      hour = startOfHour(entry.atMs);
      group = hours.get(hour) ?? [];
      hours.set(hour, group);
    }
    group.push(entry);
  }
  return hours;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
