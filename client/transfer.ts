// Brings a range of events whole to a target, over as many answers as it takes: every answer goes on behind the last whole
// piece of the one before, and the bytes together equal those of a single answer.
import { createHash, type Hash } from 'node:crypto';
import { pause } from '../core/clock.ts';
import type { DatasetName } from '../core/dataset.ts';
import { type EventRange, eventsIn } from '../core/event-range.ts';
import { ConnectionError, WrongAnswerError } from './errors.ts';
import { connectionError, type EventsQuery, type EvokeClient, request } from './http.ts';
import type { Whole } from './part-file.ts';
import type { PieceReader } from './pieces.ts';
import { pauseBeforeRetry, type RetryPolicy } from './retries.ts';

export interface Wanted {
  readonly client: EvokeClient;
  readonly dataset: DatasetName;
  readonly range: EventRange;
  readonly query: EventsQuery;
  /** `goesOn`: the body continues an earlier one. */
  readonly reader: (goesOn: boolean) => PieceReader;
  /** What ends a body in this format, when all events are there but the connection broke before it. */
  readonly ending: Buffer;
}

export interface Progress {
  readonly events: number;
  readonly eventsDone: number;
  /** Bytes there, those found from an earlier start included. */
  readonly bytes: number;
  /** Set while it waits to try again. */
  readonly waiting?: { readonly ms: number; readonly why: string };
}

/** Where pieces go. */
export interface Target {
  /** Whether something was begun in an earlier run that might be gone on with. */
  anyLeft(): Promise<boolean>;
  /** Called when the tag is known, before any bytes; gives what an earlier run left whole, shown to `see`. */
  begin(tag: string, see: (bytes: Buffer) => void): Promise<Whole>;
  write(bytes: Buffer): Promise<void>;
  /** Forgets what was written; throws where that cannot be. */
  startOver(): Promise<void>;
}

export interface TransferOptions {
  readonly retries: RetryPolicy;
  readonly random: () => number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export class Transfer {
  readonly #wanted: Wanted;
  readonly #target: Target;
  readonly #options: TransferOptions;
  readonly #events: number;
  #answered = false;
  #tag: string | undefined;
  #digest: string | undefined;
  #hash: Hash | undefined;
  #done = 0;
  #bytes = 0;
  #complete = false;

  constructor(wanted: Wanted, target: Target, options: TransferOptions) {
    this.#wanted = wanted;
    this.#target = target;
    this.#options = options;
    this.#events = eventsIn(wanted.range);
  }

  /** Resolves when every event is in the target and checked. */
  async run(): Promise<Progress> {
    let mayContinue = await this.#target.anyLeft();
    for (let fruitless = 0; !this.#complete; ) {
      const before = this.#done;
      try {
        if (mayContinue) await this.#agreeOnTag();
        if (!this.#complete) await this.#receive();
      } catch (error) {
        if (this.#options.signal?.aborted) throw this.#options.signal.reason;
        fruitless = this.#done > before ? 1 : fruitless + 1;
        const ms = this.#answered
          ? pauseBeforeRetry(error, fruitless, this.#options.retries, this.#options.random)
          : undefined;
        if (ms === undefined) throw error;
        this.#report({ ms, why: error instanceof Error ? error.message : String(error) });
        await pause(ms, this.#options.signal);
      }
      mayContinue = this.#tag !== undefined || mayContinue;
    }
    if (this.#hash !== undefined && this.#hash.digest('base64') !== this.#digest) {
      throw new WrongAnswerError('What arrived does not have the digest that the service gave for it.');
    }
    return this.#progress();
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
    this.#hash = this.#digest === undefined ? undefined : createHash('sha256');
    const left = await this.#target.begin(tag, (bytes) => this.#hash?.update(bytes));
    if (left.events > this.#events || (left.ended && left.events < this.#events)) {
      await this.#startOver();
      await this.#begin(tag, response);
      return;
    }
    this.#done = left.events;
    this.#bytes = left.bytes;
    this.#complete = left.ended;
    await this.#endIfAllThere();
  }

  async #startOver(): Promise<void> {
    await this.#target.startOver();
    this.#tag = undefined;
    this.#digest = undefined;
    this.#hash = undefined;
    this.#done = 0;
    this.#bytes = 0;
  }

  /** One answer, from the first event that is missing. */
  async #receive(): Promise<void> {
    const { client, dataset, range, query } = this.#wanted;
    const goesOn = this.#bytes > 0;
    const url = client.eventsUrl(dataset, { first: range.first + this.#done, end: range.end }, query);
    const response = await this.#request(url, 'GET');
    if (this.#tag === undefined) await this.#begin(strongTag(response) ?? 'untagged', response);
    const reader = this.#wanted.reader(goesOn);
    try {
      for await (const bytes of response.body ?? []) await this.#take(reader, bytes);
    } catch (error) {
      if (error instanceof BodyFault) throw error.cause;
      this.#complete = reader.ended && this.#done === this.#events;
      await this.#endIfAllThere();
      if (this.#complete) return;
      throw connectionError(error, url, this.#options.signal);
    }
    if (reader.complete && this.#done === this.#events) {
      this.#complete = true;
      return;
    }
    if (reader.ended) throw new WrongAnswerError(`The answer has ${this.#done} events, not ${this.#events}.`);
    throw new ConnectionError(`The answer ended after ${this.#done} of ${this.#events} events.`);
  }

  async #take(reader: PieceReader, bytes: Uint8Array): Promise<void> {
    try {
      for (const piece of reader.push(bytes)) {
        if (this.#done + piece.events > this.#events) {
          throw new WrongAnswerError(`The answer has more than the ${this.#events} events that were asked for.`);
        }
        this.#hash?.update(piece.bytes);
        await this.#target.write(piece.bytes);
        this.#done += piece.events;
        this.#bytes += piece.bytes.length;
      }
    } catch (error) {
      throw new BodyFault('Not the connection', { cause: error });
    }
    this.#report();
  }

  /** All events are there, and only the ending is not: it is known. */
  async #endIfAllThere(): Promise<void> {
    if (this.#complete || this.#done < this.#events) return;
    this.#hash?.update(this.#wanted.ending);
    await this.#target.write(this.#wanted.ending);
    this.#bytes += this.#wanted.ending.length;
    this.#complete = true;
  }

  async #request(url: string, method: string): Promise<Response> {
    const { signal } = this.#options;
    try {
      const response = await request(url, { method, ...(signal === undefined ? {} : { signal }) });
      this.#answered = true;
      return response;
    } catch (error) {
      // Whoever answers with an error is there, and may be asked again; a first call that nobody answers is not repeated.
      if (!(error instanceof ConnectionError)) this.#answered = true;
      throw error;
    }
  }

  #progress(): Progress {
    return { events: this.#events, eventsDone: this.#done, bytes: this.#bytes };
  }

  #report(waiting?: { ms: number; why: string }): void {
    this.#options.onProgress?.({ ...this.#progress(), ...(waiting === undefined ? {} : { waiting }) });
  }
}

/** Tells a fault of ours or of the content from a broken connection, inside the loop over the body. */
class BodyFault extends Error {}

/** The tag's value without quotes; undefined for a weak one, which promises no bytes. */
function strongTag(response: Response): string | undefined {
  return /^"([\x21\x23-\x7e]+)"$/.exec(response.headers.get('etag') ?? '')?.[1];
}

/** The base64 of `sha-256=:…:`. */
function sha256Of(header: string | null): string | undefined {
  return /(?:^|,\s*)sha-256=:([A-Za-z0-9+/=]+):/.exec(header ?? '')?.[1];
}
