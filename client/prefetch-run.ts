// One run over a folder: asks where ranges are, fetches so many at a time while there is room, and keeps their outcomes until their
// turn has come. Everything that waits looks again when the bell rings.
import { join } from 'node:path';
import { Bell } from '../core/bell.ts';
import { eventsIn } from '../core/event-range.ts';
import { type DownloadFormat, download } from './download.ts';
import { ServiceError, WrongAnswerError } from './errors.ts';
import { EvokeClient } from './http.ts';
import { Asking, type Place } from './prefetch-asking.ts';
import { fileName, type PrefetchFolder } from './prefetch-folder.ts';
import { rangesMax } from './prefetch-journal.ts';
import {
  eventsNamed,
  localRange,
  MalformedRangesError,
  type PandaRange,
  type PandaRangeList,
  rangeKey,
} from './prefetch-ranges.ts';
import type { Prefetched, PrefetchOptions } from './prefetch-words.ts';
import { patientRetries } from './retries.ts';

const defaults = { ahead: 4, diskBytesMax: 1024 ** 3, patienceMs: 6 * 60 * 60_000 };
const extensions: Readonly<Record<DownloadFormat, string>> = { arrow: 'arrows', ndjson: 'ndjson' };
/** Ranges that are done and wait for one before them. */
const windowMax = 1000;
/** Where the system does not tell of changes. */
const lookMs = 1000;

/** A range that its turn has come for. */
interface Turn {
  readonly range: PandaRange;
  readonly key: string;
  readonly file: string;
  /** Where to fetch it from, or what has become of it without that. */
  readonly next: Place | Prefetched;
}

interface Slot {
  readonly turn: Turn;
  outcome: Prefetched | undefined;
}

export class PrefetchRun {
  readonly #options: PrefetchOptions & Required<Pick<PrefetchOptions, keyof typeof defaults | 'format' | 'retries'>>;
  readonly #folder: PrefetchFolder;
  readonly #asking: Asking;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #bell = new Bell();
  readonly #seen = new Set<string>();
  /** Begun or done, and not yet yielded, in the order of the lists. */
  #slots: Slot[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #eventsInFlight = 0;
  /** The most that any file had. */
  #bytesPerEvent = 0;
  #listsEnded = false;
  #failure: { readonly error: unknown } | undefined;
  #fullTold = false;

  constructor(options: PrefetchOptions, folder: PrefetchFolder) {
    this.#options = { format: 'arrow', retries: patientRetries, ...defaults, ...definedOnly(options) };
    this.#folder = folder;
    this.#signal = AbortSignal.any([this.#stop.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    this.#signal.addEventListener('abort', () => this.#fail(this.#signal.reason), { once: true });
    this.#asking = new Asking({
      client: new EvokeClient(options.server, { token: options.token }),
      retries: this.#options.retries,
      signal: this.#signal,
      onTrouble: (why) => this.#trouble(why),
    });
  }

  async *outcomes(): AsyncGenerator<Prefetched> {
    this.#signal.throwIfAborted();
    void this.#begin();
    for (;;) {
      const rung = this.#bell.rung;
      const done = this.#take();
      if (done !== undefined) {
        yield await this.#told(done);
        this.#bell.ring();
      } else if (this.#failure !== undefined && this.#inFlight.size === 0) {
        throw this.#failure.error;
      } else if (this.#listsEnded && this.#slots.length === 0) {
        return;
      } else {
        await this.#bell.after(rung);
      }
    }
  }

  /** Ends what is in flight. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('The prefetcher stops.'));
    await Promise.all(this.#inFlight);
  }

  #take(): { turn: Turn; outcome: Prefetched } | undefined {
    const at = this.#options.asCompleted ? this.#slots.findIndex((slot) => slot.outcome !== undefined) : 0;
    const slot = this.#slots[at];
    if (slot?.outcome === undefined) return undefined;
    this.#slots.splice(at, 1);
    return { turn: slot.turn, outcome: slot.outcome };
  }

  /** On the record before anybody hears of it. */
  async #told({ turn, outcome }: { turn: Turn; outcome: Prefetched }): Promise<Prefetched> {
    if (outcome.state !== 'whole') return outcome;
    const { range, key, file } = turn;
    const state = await this.#folder.stateOf(key, file);
    // A payload that outlived an earlier run may have taken meanwhile what that run had told it of.
    if (state === 'taken') return { state, range };
    if (state === 'absent') {
      return { state: 'failed', range, error: new Error(`${file} vanished before anybody was told of it.`) };
    }
    await this.#folder.tell(key, file);
    return outcome;
  }

  /** Begins one range after the other, as there is room. */
  async #begin(): Promise<void> {
    try {
      for await (const turns of oneAhead(this.#turns())) {
        for (const turn of turns) {
          await this.#until(() => this.#slots.length < windowMax);
          if ('state' in turn.next) this.#slots.push({ turn, outcome: turn.next });
          else await this.#fetchWhenRoom(turn, turn.next);
          this.#bell.ring();
        }
      }
      this.#listsEnded = true;
    } catch (error) {
      this.#fail(error);
    }
    this.#bell.ring();
  }

  /** A few at a time: the next few are asked for while these are fetched, and no more. */
  async *#turns(): AsyncGenerator<Turn[]> {
    const { ahead } = this.#options;
    for await (const list of this.#options.lists) {
      for (let at = 0; at < list.eventRanges.length; at += ahead) {
        this.#signal.throwIfAborted();
        yield await this.#turnsOf({ ...list, eventRanges: list.eventRanges.slice(at, at + ahead) });
      }
    }
  }

  async #turnsOf(list: PandaRangeList): Promise<Turn[]> {
    const { format } = this.#options;
    const named = list.eventRanges.map((range) => {
      const key = rangeKey(range, list.inFilePosEvtNum, format);
      return { range, key, file: fileName(range.eventRangeID, key, extensions[format]) };
    });
    const known: (Prefetched | undefined)[] = [];
    for (const one of named) known.push(await this.#withoutFetching(one));
    const asked = named.filter((_, i) => known[i] === undefined);
    const places = await this.#asking.places({ ...list, eventRanges: asked.map(({ range }) => range) });
    return named.map((one, i) => {
      const next = known[i] ?? places[asked.indexOf(one)];
      if (next === undefined) throw new WrongAnswerError('The service does not answer for every range.');
      return { ...one, next: next instanceof Error ? { state: 'failed', range: one.range, error: next } : next };
    });
  }

  /** What becomes of a range that is not to be fetched; undefined when it is. */
  async #withoutFetching({ range, key, file }: Omit<Turn, 'next'>): Promise<Prefetched | undefined> {
    if (this.#seen.has(key)) return { state: 'repeated', range };
    if (this.#seen.size >= rangesMax) throw new MalformedRangesError(`There are more than ${rangesMax} event ranges.`);
    this.#seen.add(key);
    const events = eventsNamed(range);
    if (events === undefined) {
      const error = new MalformedRangesError('startEvent and lastEvent are not event numbers, the first from 1.');
      return { state: 'failed', range, error };
    }
    const state = await this.#folder.stateOf(key, file);
    if (state === 'taken') return { state, range };
    const whole = this.#folder.wholeFile(key);
    if (state === 'absent' || whole === undefined) return undefined;
    const tag = await this.#asking.tagOf(whole.path, `?format=${this.#options.format}`);
    return tag === whole.tag ? this.#whole({ range, file }, events, this.#folder.sizeOf(file), true) : undefined;
  }

  #whole({ range, file }: Pick<Turn, 'range' | 'file'>, events: number, bytes: number, found: boolean): Prefetched {
    const path = join(this.#folder.path, file);
    return { state: 'whole', range: localRange(range, path, events), file: path, events, bytes, found };
  }

  async #fetchWhenRoom(turn: Turn, place: Place): Promise<void> {
    await this.#until(() => this.#inFlight.size < this.#options.ahead);
    const events = eventsIn(place.range);
    await this.#room(events);
    const slot: Slot = { turn, outcome: undefined };
    this.#slots.push(slot);
    this.#eventsInFlight += events;
    const fetching = this.#fetch(turn, place).then(
      (outcome) => {
        slot.outcome = outcome;
      },
      (error) => {
        this.#fail(error);
        // The others would fare no better.
        this.#stop.abort(error);
      },
    );
    const settled = fetching.finally(() => {
      this.#inFlight.delete(settled);
      this.#eventsInFlight -= events;
      this.#bell.ring();
    });
    this.#inFlight.add(settled);
  }

  async #fetch(turn: Turn, { dataset, range, path }: Place): Promise<Prefetched> {
    const { server, token, format, retries } = this.#options;
    let interrupted = false;
    try {
      const { bytes, events, tag } = await download({
        server,
        token,
        dataset,
        range,
        format,
        to: join(this.#folder.path, turn.file),
        signal: this.#signal,
        // The service has answered before: it was there.
        retries: { ...retries, evenUnanswered: true },
        onProgress: ({ waiting }) => {
          if (waiting === undefined) return;
          interrupted = true;
          this.#trouble(waiting.why);
        },
      });
      await this.#folder.keep(turn.key, turn.file, bytes, { path, tag });
      this.#bytesPerEvent = Math.max(this.#bytesPerEvent, bytes / events);
      if (interrupted && tag !== undefined) await this.#asking.received(path, `?format=${format}`, tag);
      return this.#whole(turn, events, bytes, false);
    } catch (error) {
      this.#signal.throwIfAborted();
      const ofThisRange = error instanceof ServiceError || error instanceof WrongAnswerError;
      if (!ofThisRange) throw error;
      return { state: 'failed', range: turn.range, error };
    }
  }

  /** Waits until the payload has made room for so many more events. */
  async #room(events: number): Promise<void> {
    if (this.#hasRoom(events)) return;
    const { diskBytesMax, patienceMs, onFull } = this.#options;
    const watching = this.#folder.watch(() => this.#bell.ring());
    const looking = setInterval(() => this.#bell.ring(), lookMs);
    try {
      for (let sinceMs = performance.now(); ; ) {
        const rung = this.#bell.rung;
        const taken = await this.#folder.look();
        this.#signal.throwIfAborted();
        if (taken || this.#inFlight.size > 0) sinceMs = performance.now();
        if (this.#hasRoom(events)) return;
        if (!this.#fullTold) onFull?.(this.#folder.bytes);
        this.#fullTold = true;
        if (performance.now() - sinceMs >= patienceMs) {
          throw new Error(
            `Nothing was taken from ${this.#folder.path} for ${Math.round(patienceMs / 1000)} s, and it has its ${diskBytesMax} bytes.`,
          );
        }
        await this.#bell.after(rung);
      }
    } finally {
      clearInterval(looking);
      watching.close();
    }
  }

  #hasRoom(events: number): boolean {
    const expected = this.#folder.bytes + (this.#eventsInFlight + events) * this.#bytesPerEvent;
    if (expected <= this.#options.diskBytesMax) return true;
    // Nobody is there to make room: what lies there belongs to ranges that come later, or to nobody.
    return this.#inFlight.size === 0 && this.#slots.length === 0 && !this.#folder.waitsForPayload;
  }

  async #until(condition: () => boolean): Promise<void> {
    for (;;) {
      const rung = this.#bell.rung;
      this.#signal.throwIfAborted();
      if (condition()) return;
      await this.#bell.after(rung);
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#bell.ring();
  }

  #trouble(why: unknown): void {
    this.#options.onTrouble?.(why instanceof Error ? why.message : String(why));
  }
}

/** The same, with the next one under way while one is looked at. */
async function* oneAhead<T>(source: AsyncIterator<T>): AsyncGenerator<T> {
  const begin = () => {
    const next = source.next();
    // Seen when its turn comes.
    next.catch(() => undefined);
    return next;
  };
  for (let next = begin(); ; ) {
    const { value, done } = await next;
    if (done) return;
    next = begin();
    yield value;
  }
}

function definedOnly<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
