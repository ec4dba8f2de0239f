// The service's HTTP contract as typed calls: JSON in and out, problem documents as errors. No state but the address.
import type { DatasetName } from '../core/dataset.ts';
import { systemCode } from '../core/errors.ts';
import { type EventRange, formatEventRange } from '../core/event-range.ts';
import { ConnectionError, ServiceError } from './errors.ts';

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
  readonly input?: string;
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

export interface EventsQuery {
  readonly format?: string;
  readonly columns?: readonly string[];
}

/** How long a call that makes no events may take before the service counts as unreachable. */
const callMsMax = 30_000;
/** A problem document is small; an answer that is not one is not read to its end. */
const problemBytesMax = 64 * 1024;

export class EvokeClient {
  /** Without a slash at its end. */
  readonly server: string;

  /** @throws TypeError when `server` is no http or https URL. */
  constructor(server: string) {
    const url = new URL(server);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError(`${server} is not an http address`);
    this.server = url.href.replace(/\/+$/, '');
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

  #send(method: string, path: string, body?: unknown): Promise<Response> {
    const content =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } };
    return request(`${this.server}${path}`, { method, signal: AbortSignal.timeout(callMsMax), ...content });
  }

  /** All pages of a list. */
  async #items(path: string): Promise<JsonRecord[]> {
    const items: JsonRecord[] = [];
    let after = '';
    for (;;) {
      const page = await this.#json('GET', `${path}${after}`);
      if (Array.isArray(page['items'])) items.push(...(page['items'] as JsonRecord[]));
      const next = page['next'];
      if (typeof next !== 'string') return items;
      after = `?after=${encodeURIComponent(next)}`;
    }
  }
}

function batchPath(id: string): string {
  return `/v1/batches/${encodeURIComponent(id)}`;
}

function datasetPath(name: DatasetName): string {
  return `/v1/datasets/${name.scope}/${name.name}`;
}

/**
 * One request; resolves when the headers of a good answer are there.
 * @throws ServiceError for any other answer, ConnectionError when there is none; the signal's own reason when it was aborted.
 */
export async function request(url: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    throw connectionError(error, url, options.signal ?? undefined);
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  throw new ServiceError(response.status, problem, retryAfterMs(response.headers.get('retry-after')));
}

/** What a failed fetch or a broken body means. */
export function connectionError(error: unknown, url: string, signal?: AbortSignal): unknown {
  if (signal?.aborted && !(signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'))
    return signal.reason;
  const { origin } = new URL(url);
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = systemCode(cause);
  const refused = code === 'ECONNREFUSED';
  const what = refused ? 'nobody listens there' : (code ?? (cause instanceof Error ? cause.message : String(cause)));
  const hint = refused ? ' Is the service running? Start it with: npm start' : '';
  return new ConnectionError(`${origin} does not answer: ${what}.${hint}`, { cause: error });
}

async function readProblem(response: Response): Promise<JsonRecord> {
  try {
    const text = await limitedText(response);
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonRecord) : {};
  } catch {
    return {};
  }
}

async function limitedText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    bytes += part.length;
    if (bytes > problemBytesMax) break;
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Seconds or a date; undefined when absent or nonsense. */
export function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

async function json(response: Response): Promise<JsonRecord> {
  try {
    return (await response.json()) as JsonRecord;
  } catch (error) {
    throw new ConnectionError(`The answer of ${new URL(response.url).origin} is not JSON, or broke off.`, {
      cause: error,
    });
  }
}

async function discard(response: Response): Promise<void> {
  await response.body?.cancel();
}
