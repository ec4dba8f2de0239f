// Server-sent events (the HTML standard's `text/event-stream`) as an iterator: one connection, to its end.
import { ConnectionError } from './errors.ts';
import { connectionError, request } from './request.ts';

export interface ServerEvent {
  /** `message` unless the server names it. */
  readonly type: string;
  readonly data: string;
  /** The last one that was given: what to send as Last-Event-ID. */
  readonly id: string;
}

/** Three heartbeats of the service missed: the connection is dead, whatever the system thinks of it. */
export const silenceMsMax = 45_000;
/** An event of ours is a kilobyte or so. */
const eventCharsMax = 1024 * 1024;

export interface EventSourceOptions {
  readonly lastEventId?: string | undefined;
  readonly signal?: AbortSignal;
  readonly silenceMsMax?: number;
  /** Sent besides. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * The events of one connection. Ends when the server ends it.
 * @throws ServiceError, ConnectionError (also when it falls silent), the signal's reason
 */
export async function* serverEvents(url: string, options: EventSourceOptions = {}): AsyncGenerator<ServerEvent> {
  const silence = new AbortController();
  const signal = options.signal === undefined ? silence.signal : AbortSignal.any([options.signal, silence.signal]);
  const patienceMs = options.silenceMsMax ?? silenceMsMax;
  const fallSilent = () => silence.abort(new DOMException('Nothing came for too long.', 'TimeoutError'));
  let timer = setTimeout(fallSilent, patienceMs);
  try {
    const headers = new Headers({ ...options.headers, Accept: 'text/event-stream' });
    if (options.lastEventId !== undefined) headers.set('Last-Event-ID', options.lastEventId);
    const response = await request(url, { signal, headers });
    checkIsStream(response);
    const parser = new EventParser(options.lastEventId ?? '');
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) {
      clearTimeout(timer);
      timer = setTimeout(fallSilent, patienceMs);
      yield* parser.push(decoder.decode(part, { stream: true }));
    }
  } catch (error) {
    throw isTold(error) ? error : connectionError(error, url, options.signal);
  } finally {
    clearTimeout(timer);
    // Whoever has seen enough leaves the connection.
    silence.abort();
  }
}

/** A page that a proxy answers with would otherwise look like a stream without events. */
function checkIsStream({ headers, url }: Response): void {
  const type = headers.get('content-type') ?? 'no type';
  if (/^text\/event-stream\b/i.test(type)) return;
  throw new ConnectionError(`${new URL(url).origin} answers with ${type} where a stream of events should be.`);
}

/** Said already in the client's own words. */
function isTold(error: unknown): boolean {
  return error instanceof Error && (error.name === 'ServiceError' || error.name === 'ConnectionError');
}

/** Lines to events, as the standard reads them; an event that the stream ends in is not one. */
export class EventParser {
  #rest = '';
  #data: string[] = [];
  #type = '';
  #id: string;
  #afterReturn = false;

  constructor(lastEventId = '') {
    this.#id = lastEventId;
  }

  *push(text: string): Generator<ServerEvent> {
    // A line ends with CR, LF or both: the LF of a pair that was cut in two ends no second line.
    const begun = this.#afterReturn && text.startsWith('\n') ? text.slice(1) : text;
    if (text !== '') this.#afterReturn = text.endsWith('\r');
    const lines = (this.#rest + begun).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = this.#line(line);
      if (event !== undefined) yield event;
    }
    const chars = this.#data.reduce((sum, line) => sum + line.length, this.#rest.length);
    if (chars > eventCharsMax) throw new Error('an event has no end');
  }

  #line(line: string): ServerEvent | undefined {
    if (line === '') return this.#end();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') this.#data.push(value);
    if (field === 'event') this.#type = value;
    if (field === 'id' && !value.includes('\0')) this.#id = value;
    return undefined;
  }

  #end(): ServerEvent | undefined {
    const [data, type] = [this.#data, this.#type];
    this.#data = [];
    this.#type = '';
    if (data.length === 0) return undefined;
    return { type: type === '' ? 'message' : type, data: data.join('\n'), id: this.#id };
  }
}
