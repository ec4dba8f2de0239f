// The service's HTTP contract as typed calls: JSON in and out, problem documents as errors. No state but the address.
import type { DatasetName } from '../core/dataset.ts';
import { type EventRange, eventNumber, formatEventRange } from '../core/event-range.ts';
import { ConnectionError, WrongAnswerError } from './errors.ts';
import { limitedText, request } from './request.ts';

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };
export type JsonRecord = Readonly<Record<string, JsonValue | undefined>>;

/** How a dataset is declared; what is left out the service fills in. */
export interface Declaration {
  readonly generator: string;
  readonly version?: string;
  readonly parameters?: JsonRecord;
  readonly seed: number;
  readonly events: number;
  readonly chunkEvents?: number;
  /** `scope:name` */
  readonly input?: string;
  readonly files?: { readonly eventsPerFile: number; readonly lfn: string };
}

/** What a batch is to be; what is left out the service fills in. */
export interface BatchOrder {
  /** `scope:name` */
  readonly dataset: string;
  readonly startEvent?: number;
  readonly lastEvent?: number;
  readonly priority?: number;
  readonly deadline?: string;
  readonly budget?: { readonly cpuSeconds?: number; readonly cost?: number };
  readonly hold?: number;
  readonly pin?: boolean;
}

/** Event ranges in PanDA's words. */
export interface EventRangeList {
  /** `[{eventRangeID, LFN, GUID, scope, startEvent, lastEvent}]`, whatever else they say. */
  readonly eventRanges: readonly JsonRecord[];
  /** Whether the bounds are positions in the file (so unless said) or event numbers. */
  readonly inFilePosEvtNum?: boolean;
}

export interface EventsQuery {
  readonly format?: string;
  readonly columns?: readonly string[];
}

export interface ClientSettings {
  /** Sent as bearer token, to the service's own address and no other that it may lead to. */
  readonly token?: string | undefined;
  /** Ends the calls. */
  readonly signal?: AbortSignal | undefined;
}

/** How long a call that makes no events may take before the service counts as unreachable. */
const callMsMax = 30_000;
/** As long as the service takes at the most, for this report and those before it. */
export const reportMsMax = 60 * 60_000;

/** The longest lists there are, of event ranges, stay far below. */
const answerBytesMax = 256 * 1024 * 1024;
const pagesMax = 10_000;

export class EvokeClient {
  /** Without a slash at its end. */
  readonly server: string;
  readonly #settings: ClientSettings;

  /** @throws TypeError when `server` is no http or https URL, or the token none. */
  constructor(server: string, settings: ClientSettings = {}) {
    const url = new URL(server);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError(`${server} is not an http address`);
    this.server = url.href.replace(/\/+$/, '');
    // Said here, and without it: what refuses a header later would quote it.
    if (settings.token !== undefined && !/^[\x21-\x7e]+$/.test(settings.token)) {
      throw new TypeError('The token is empty, or has characters that no header can carry.');
    }
    this.#settings = settings;
  }

  /** The same client, whose calls end with the signal. */
  until(signal: AbortSignal | undefined): EvokeClient {
    return signal === undefined ? this : new EvokeClient(this.server, { ...this.#settings, signal });
  }

  /** What every request to the service carries. */
  get headers(): Readonly<Record<string, string>> {
    const { token } = this.#settings;
    return token === undefined ? {} : { Authorization: `Bearer ${token}` };
  }

  generators(): Promise<JsonRecord[]> {
    return this.#items('/v1/generators');
  }

  datasets(): Promise<JsonRecord[]> {
    return this.#items('/v1/datasets');
  }

  /** `created` is false when the same dataset was there already. */
  async declare(name: DatasetName, declaration: Declaration): Promise<{ created: boolean; dataset: JsonRecord }> {
    const response = await this.#send('PUT', datasetPath(name), declaration);
    return { created: response.status === 201, dataset: await json(response) };
  }

  dataset(name: DatasetName): Promise<JsonRecord> {
    return this.#json('GET', datasetPath(name));
  }

  retire(name: DatasetName): Promise<JsonRecord> {
    return this.#json('PUT', `${datasetPath(name)}/retired`);
  }

  /** Makes the chunks virtual again that lie wholly inside the range, or all of them. */
  async evict(name: DatasetName, range?: EventRange): Promise<void> {
    const part = range === undefined ? '' : `/${formatEventRange(range)}`;
    await discard(await this.#send('DELETE', `${datasetPath(name)}/materialization${part}`));
  }

  pin(name: DatasetName, pin: { expiresAt?: string; reason?: string }): Promise<JsonRecord> {
    return this.#json('PUT', `${datasetPath(name)}/pin`, pin);
  }

  async unpin(name: DatasetName): Promise<void> {
    await discard(await this.#send('DELETE', `${datasetPath(name)}/pin`));
  }

  plan(name: DatasetName, range: EventRange): Promise<JsonRecord> {
    return this.#json('GET', `${datasetPath(name)}/plan/${formatEventRange(range)}`);
  }

  provenance(name: DatasetName, chunk: number): Promise<JsonRecord> {
    return this.#json('GET', `${datasetPath(name)}/provenance/${chunk}`);
  }

  /** The states of the chunks that the range touches, or of all, run-length encoded. */
  materialization(name: DatasetName, range?: EventRange): Promise<JsonRecord[]> {
    const part = range === undefined ? '' : `?startEvent=${eventNumber(range.first)}&lastEvent=${range.end}`;
    return this.#items(`${datasetPath(name)}/materialization${part}`);
  }

  createBatch(order: BatchOrder): Promise<JsonRecord> {
    return this.#json('POST', '/v1/batches', order);
  }

  /** One page, the newest first: `{items, next}`. */
  batches(after?: string): Promise<JsonRecord> {
    return this.#json('GET', `/v1/batches${after === undefined ? '' : `?after=${encodeURIComponent(after)}`}`);
  }

  batch(id: string): Promise<JsonRecord> {
    return this.#json('GET', batchPath(id));
  }

  setBatch(id: string, state: 'paused' | 'running'): Promise<JsonRecord> {
    return this.#json('PATCH', batchPath(id), { state });
  }

  async cancelBatch(id: string): Promise<void> {
    await discard(await this.#send('DELETE', batchPath(id)));
  }

  /** Where the progress of a batch is streamed. */
  batchStreamUrl(id: string): string {
    return `${this.server}${batchPath(id)}/stream`;
  }

  /** Has events made without waiting for them: the request that stands for it, or undefined when all are stored already. */
  async prepareEvents(name: DatasetName, range: EventRange): Promise<JsonRecord | undefined> {
    const path = `${datasetPath(name)}/events/${formatEventRange(range)}`;
    const response = await this.#send('GET', path, undefined, { Prefer: 'respond-async' });
    if (response.status === 202) return json(response);
    await discard(response);
    return undefined;
  }

  request(id: string): Promise<JsonRecord> {
    return this.#json('GET', requestPath(id));
  }

  async cancelRequest(id: string): Promise<void> {
    await discard(await this.#send('DELETE', requestPath(id)));
  }

  /** Where the progress of a request is streamed. */
  requestStreamUrl(id: string): string {
    return `${this.server}${requestPath(id)}/stream`;
  }

  /** What a window of time cost. The service may take long for it. */
  async costReport(query: Readonly<Record<string, string>> = {}): Promise<JsonRecord> {
    const headers = { Accept: 'application/json' };
    return json(
      await this.#send('GET', `/v1/reports/cost?${new URLSearchParams(query)}`, undefined, headers, reportMsMax),
    );
  }

  /**
   * Where the events of PanDA's ranges are found, in the order of the list: every range with `url` and `state`, or with `error`,
   * a problem. The events of the good ones are made ahead, and held until they are fetched or a while has passed.
   */
  async eventRanges(list: EventRangeList): Promise<JsonRecord[]> {
    const answers: unknown = await this.#json('POST', '/v1/event-ranges', list);
    if (Array.isArray(answers) && answers.length === list.eventRanges.length) return answers as JsonRecord[];
    throw new WrongAnswerError(`The service does not answer for each of the ${list.eventRanges.length} event ranges.`);
  }

  /** Where a range of events is found. */
  eventsUrl(name: DatasetName, range: EventRange, query: EventsQuery = {}): string {
    const parameters = [
      ...(query.format === undefined ? [] : [`format=${query.format}`]),
      ...(query.columns === undefined ? [] : [`columns=${query.columns.map(encodeURIComponent).join(',')}`]),
    ];
    const search = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
    return `${this.server}${datasetPath(name)}/events/${formatEventRange(range)}${search}`;
  }

  async #json(method: string, path: string, body?: unknown): Promise<JsonRecord> {
    return json(await this.#send(method, path, body));
  }

  #send(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
    msMax = callMsMax,
  ): Promise<Response> {
    const { signal } = this.#settings;
    const timeout = AbortSignal.timeout(msMax);
    return request(`${this.server}${path}`, {
      method,
      headers: { ...this.headers, ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** All pages of a list. */
  async #items(path: string): Promise<JsonRecord[]> {
    const items: JsonRecord[] = [];
    const separator = path.includes('?') ? '&' : '?';
    let page = await this.#json('GET', path);
    for (let pages = 1; pages < pagesMax; pages++) {
      for (const item of Array.isArray(page['items']) ? page['items'] : []) {
        if (typeof item !== 'object' || item === null) throw new WrongAnswerError(`The list under ${path} is none.`);
        items.push(item as JsonRecord);
      }
      const next = page['next'];
      if (typeof next !== 'string') return items;
      page = await this.#json('GET', `${path}${separator}after=${encodeURIComponent(next)}`);
    }
    throw new WrongAnswerError(`The list under ${path} has no end.`);
  }
}

function requestPath(id: string): string {
  return `/v1/requests/${encodeURIComponent(id)}`;
}

function batchPath(id: string): string {
  return `/v1/batches/${encodeURIComponent(id)}`;
}

function datasetPath(name: DatasetName): string {
  return `/v1/datasets/${name.scope}/${name.name}`;
}

async function json(response: Response): Promise<JsonRecord> {
  const { origin } = new URL(response.url);
  let value: unknown;
  try {
    value = JSON.parse(await limitedText(response, answerBytesMax));
  } catch (error) {
    throw new ConnectionError(`The answer of ${origin} is not JSON, or broke off.`, { cause: error });
  }
  if (typeof value === 'object' && value !== null) return value as JsonRecord;
  throw new WrongAnswerError(`The answer of ${origin} is no JSON object.`);
}

async function discard(response: Response): Promise<void> {
  await response.body?.cancel();
}
