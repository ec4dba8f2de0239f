// Brings a range of events whole to a target, over as many answers as it takes: every answer goes on behind the last whole
// piece of the one before, and the bytes together equal those of a single answer.
import { createHash, type Hash } from 'node:crypto';
import { pause } from '../core/clock.ts';
import type { DatasetName } from '../core/dataset.ts';
import { messageOf } from '../core/errors.ts';
import { type EventRange, eventsIn } from '../core/event-range.ts';
import { ConnectionError, WrongAnswerError } from './errors.ts';
import type { EventsQuery, EvokeClient } from './http.ts';
import type { Whole } from './part-file.ts';
import type { Piece, PieceReader } from './pieces.ts';
import { connectionError, request, strongTag } from './request.ts';
import { pauseBeforeRetry, type RetryPolicy } from './retries.ts';

/** Stands for the tag of bytes that have none. */
const untagged = 'untagged';
/** What is said where other bytes come after some have been given out. */
export const otherBytes = 'The events have other bytes than before the interruption: start again.';

/** How long the question for a digest may take. */
const digestMsMax = 10_000;

export interface Wanted {
  readonly client: EvokeClient;
  readonly dataset: DatasetName;
  readonly range: EventRange;
  readonly query: EventsQuery;
  /** For the answer that has the events of `asked`; `goesOn`: its body continues an earlier one. */
  readonly reader: (goesOn: boolean, asked: EventRange) => PieceReader;
  /** What ends a body in this format, when all events are there but the connection broke before it. */
  readonly ending: Buffer;
}

export interface Progress {
  readonly events: number;
  readonly eventsDone: number;
  /** Bytes there, those found from an earlier start included. */
  readonly bytes: number;
  /** The strong tag of the bytes, without quotes, once it is known; never where the service promises none. */
  readonly tag?: string;
  /** Set while it waits to try again. */
  readonly waiting?: { readonly ms: number; readonly why: string };
}

/** What an earlier run left of the same events, and a later one goes on behind. */
export interface Leftover {
  /** Whether something was begun in an earlier run that might be gone on with. */
  anyLeft(): Promise<boolean>;
  /** Called when the tag is known, before any bytes; gives what an earlier run left whole, shown to `see`. */
  begin(tag: string, see: (bytes: Buffer) => void): Promise<Whole>;
  /** Forgets what came; throws where that cannot be. */
  startOver(): Promise<void>;
}

/** Where pieces go. */
export interface Target extends Leftover {
  write(bytes: Buffer): Promise<void>;
}

export interface TransferOptions {
  readonly retries: RetryPolicy;
  readonly random: () => number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Where no answer came with a digest, asks the service in the end whether it remembers one. */
  readonly asksForDigest?: boolean;
}

/** Brings everything to the target; resolves when every event is in it and checked. */
export async function transfer(wanted: Wanted, target: Target, options: TransferOptions): Promise<Progress> {
  const pieces = new Pieces(wanted, target, options);
  for await (const piece of pieces.all()) await target.write(piece.bytes);
  return pieces.progress;
}

/** The pieces of one range, each made when it is asked for: whoever takes them slowly slows the connection. */
export class Pieces {
  readonly #wanted: Wanted;
  readonly #leftover: Leftover;
  readonly #options: TransferOptions;
  readonly #events: number;
  #answered = false;
  #tag: string | undefined;
  #digest: string | undefined;
  #hash: Hash | undefined;
  #done = 0;
  #bytes = 0;
  /** All events have come. */
  #complete = false;
  /** And what ends the format. */
  #ended = false;

  constructor(wanted: Wanted, leftover: Leftover, options: TransferOptions) {
    this.#wanted = wanted;
    this.#leftover = leftover;
    this.#options = options;
    this.#events = eventsIn(wanted.range);
  }

  /**
   * All that is missing, in order; ends when every event has come and is checked. Leaving the loop leaves the connection.
   * @throws ServiceError, ConnectionError, WrongAnswerError, the signal's reason
   */
  async *all(): AsyncGenerator<Piece> {
    let mayContinue = await this.#leftover.anyLeft();
    for (let fruitless = 0; !this.#complete; ) {
      const before = this.#done;
      try {
        if (mayContinue) await this.#agreeOnTag();
        if (!this.#complete) yield* this.#receive();
      } catch (error) {
        if (this.#options.signal?.aborted) throw this.#options.signal.reason;
        fruitless = this.#done > before ? 1 : fruitless + 1;
        const { retries, random, signal } = this.#options;
        const mayRepeat = this.#answered || retries.evenUnanswered === true;
        const ms = mayRepeat ? pauseBeforeRetry(error, fruitless, retries, random) : undefined;
        if (ms === undefined) throw error;
        this.#report({ ms, why: messageOf(error) });
        await pause(ms, signal);
      }
      mayContinue = this.#tag !== undefined || mayContinue;
    }
    yield* this.#end();
    await this.#checkDigest();
  }

  /** Asks for the tag of the whole range, so that only bytes of one and the same answer are ever put together. */
  async #agreeOnTag(): Promise<void> {
    const { client, dataset, range, query } = this.#wanted;
    const response = await this.#request(client.eventsUrl(dataset, range, query), 'HEAD');
    const tag = strongTag(response);
    if (tag !== undefined && tag === this.#tag) return;
    if (this.#tag !== undefined || tag === undefined) await this.#startOver();
    if (tag === undefined) return;
    await this.#begin(tag, response);
  }

  async #begin(tag: string, response: Response): Promise<void> {
    this.#tag = tag;
    this.#digest = sha256Of(response.headers.get('repr-digest'));
    this.#hash = this.#digest === undefined && !this.#options.asksForDigest ? undefined : createHash('sha256');
    const left = await this.#leftover.begin(tag, (bytes) => this.#hash?.update(bytes));
    if (left.events > this.#events || (left.ended && left.events < this.#events)) {
      await this.#startOver();
      await this.#begin(tag, response);
      return;
    }
    this.#done = left.events;
    this.#bytes = left.bytes;
    this.#ended = left.ended;
    this.#complete = left.ended || left.events === this.#events;
  }

  async #startOver(): Promise<void> {
    await this.#leftover.startOver();
    this.#tag = undefined;
    this.#digest = undefined;
    this.#hash = undefined;
    this.#done = 0;
    this.#bytes = 0;
  }

  /** One answer, from the first event that is missing. */
  async *#receive(): AsyncGenerator<Piece> {
    const { client, dataset, range, query } = this.#wanted;
    const goesOn = this.#bytes > 0;
    const asked = { first: range.first + this.#done, end: range.end };
    const url = client.eventsUrl(dataset, asked, query);
    const response = await this.#request(url, 'GET');
    if (this.#tag === undefined) await this.#begin(strongTag(response) ?? untagged, response);
    const reader = this.#wanted.reader(goesOn, asked);
    try {
      for await (const bytes of this.#body(response, url)) yield* this.#take(reader, bytes);
    } catch (error) {
      this.#ended = reader.ended;
      this.#complete = this.#done === this.#events;
      // The end of it is known.
      if (!(error instanceof ConnectionError && this.#complete)) throw error;
      return;
    }
    if (this.#done === this.#events) {
      this.#complete = true;
      this.#ended = reader.ended;
      return;
    }
    if (reader.ended) throw new WrongAnswerError(`The answer has ${this.#done} events, not ${this.#events}.`);
    throw new ConnectionError(`The answer ended after ${this.#done} of ${this.#events} events.`);
  }

  /** The answer's bytes. @throws ConnectionError when it breaks off, the signal's reason */
  async *#body(response: Response, url: string): AsyncGenerator<Uint8Array> {
    try {
      yield* response.body ?? [];
    } catch (error) {
      throw connectionError(error, url, this.#options.signal);
    }
  }

  *#take(reader: PieceReader, bytes: Uint8Array): Generator<Piece> {
    for (const piece of reader.push(bytes)) {
      if (this.#done + piece.events > this.#events) {
        throw new WrongAnswerError(`The answer has more than the ${this.#events} events that were asked for.`);
      }
      this.#options.signal?.throwIfAborted();
      yield this.#count(piece);
    }
    this.#report();
  }

  #count(piece: Piece): Piece {
    this.#hash?.update(piece.bytes);
    this.#done += piece.events;
    this.#bytes += piece.bytes.length;
    return piece;
  }

  /** When only the ending is not there, it is known. */
  *#end(): Generator<Piece> {
    const { ending } = this.#wanted;
    if (!this.#ended && ending.length > 0) yield this.#count({ bytes: ending, events: 0 });
  }

  async #checkDigest(): Promise<void> {
    if (this.#hash === undefined) return;
    this.#digest ??= await this.#rememberedDigest();
    if (this.#digest !== undefined && this.#hash.digest('base64') !== this.#digest) {
      throw new WrongAnswerError('What arrived does not have the digest that the service gave for it.');
    }
  }

  /** Undefined where the service remembers none, or cannot say: the events have been counted all the same. */
  async #rememberedDigest(): Promise<string | undefined> {
    const { client, dataset, range, query } = this.#wanted;
    try {
      const response = await this.#request(client.eventsUrl(dataset, range, query), 'HEAD', digestMsMax);
      return strongTag(response) === this.#tag ? sha256Of(response.headers.get('repr-digest')) : undefined;
    } catch {
      this.#options.signal?.throwIfAborted();
      return undefined;
    }
  }

  async #request(url: string, method: string, msMax?: number): Promise<Response> {
    const { signal } = this.#options;
    const signals = [signal, msMax === undefined ? undefined : AbortSignal.timeout(msMax)].filter(isSignal);
    const { headers } = this.#wanted.client;
    try {
      const response = await request(url, { method, headers, signal: AbortSignal.any(signals) });
      this.#answered = true;
      return response;
    } catch (error) {
      // Whoever answers with an error is there, and may be asked again; a first call that nobody answers is not repeated.
      if (!(error instanceof ConnectionError)) this.#answered = true;
      throw error;
    }
  }

  get progress(): Progress {
    const tag = this.#tag === undefined || this.#tag === untagged ? {} : { tag: this.#tag };
    return { events: this.#events, eventsDone: this.#done, bytes: this.#bytes, ...tag };
  }

  #report(waiting?: { ms: number; why: string }): void {
    this.#options.onProgress?.({ ...this.progress, ...(waiting === undefined ? {} : { waiting }) });
  }
}

function isSignal(signal: AbortSignal | undefined): signal is AbortSignal {
  return signal !== undefined;
}

/** The base64 of `sha-256=:…:`. */
function sha256Of(header: string | null): string | undefined {
  return /(?:^|,\s*)sha-256=:([A-Za-z0-9+/=]+):/.exec(header ?? '')?.[1];
}
