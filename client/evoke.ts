// The service as a typed object: what a program calls. Every call tries again where that may help, for as long as its policy
// says and the service asks, and ends with its signal. Datasets are `scope:name`, events are event numbers from 1.
import type { Writable } from 'node:stream';
import { parseDatasetName } from '../core/dataset.ts';
import { type EventRange, parseEventRange } from '../core/event-range.ts';
import { type DownloadFormat, download } from './download.ts';
import { ServiceError } from './errors.ts';
import type { EventBatch } from './event-batch.ts';
import { eventBatches } from './events.ts';
import { type BatchOrder, type Declaration, type EventRangeList, EvokeClient, type JsonRecord } from './http.ts';
import { defaultRetries, type RetryPolicy, retried } from './retries.ts';
import type * as shapes from './shapes.ts';
import type { Progress } from './transfer.ts';
import { watch } from './watch.ts';

export interface EvokeOptions {
  /** Sent as bearer token, to the service's own address only. */
  readonly token?: string | undefined;
  /** What differs from the default: ten tries in a row without gain, the first pause 250 ms, the longest 10 s. */
  readonly retries?: Partial<RetryPolicy>;
}

export interface CallOptions {
  /** Ends the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface EventsOptions<Name extends string = string> extends CallOptions, shapes.EventSpan {
  /** All of the dataset's, unless said. */
  readonly columns?: readonly Name[] | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface DownloadOptions extends EventsOptions {
  /** A path, which has the file only when it is whole; or a stream, which is not ended. */
  readonly to: string | Writable;
  readonly format?: DownloadFormat;
}

export class Evoke {
  readonly #client: EvokeClient;
  readonly #token: string | undefined;
  readonly #retries: RetryPolicy;

  /**
   * @param server `http://127.0.0.1:8080`
   * @throws TypeError when it is no http or https URL
   */
  constructor(server: string, { token, retries }: EvokeOptions = {}) {
    this.#client = new EvokeClient(server, { token });
    this.#token = token;
    this.#retries = { ...defaultRetries, evenUnanswered: true, ...retries };
  }

  /**
   * The events of a range, one record batch after the other, in order, each as it arrives. Nothing is fetched much ahead of the
   * loop; leaving it leaves the connection. It ends when all events have come and have been checked, and in no other way.
   * @throws EvokeError for a malformed name or range; in the loop ServiceError (`code`), ConnectionError, WrongAnswerError
   */
  events<const Name extends string = string>(
    dataset: string,
    options: EventsOptions<Name>,
  ): AsyncGenerator<EventBatch<Name>, void, undefined> {
    const { columns, signal, onProgress } = options;
    return eventBatches<Name>({
      client: this.#client,
      dataset: parseDatasetName(dataset),
      range: rangeOf(options),
      columns,
      retries: this.#retries,
      signal,
      onProgress,
    });
  }

  /** The events of a range into a file or a stream. A download that was broken off goes on where it stopped. */
  async download(dataset: string, options: DownloadOptions): Promise<Progress> {
    const { to, format = 'arrow', columns, signal, onProgress } = options;
    return download({
      server: this.#client.server,
      token: this.#token,
      dataset: parseDatasetName(dataset),
      range: rangeOf(options),
      format,
      columns,
      to,
      signal,
      onProgress,
      retries: this.#retries,
    });
  }

  generators(options?: CallOptions): Promise<shapes.GeneratorInfo[]> {
    return this.#call((client) => client.generators(), options);
  }

  datasets(options?: CallOptions): Promise<shapes.DatasetSummary[]> {
    return this.#call((client) => client.datasets(), options);
  }

  async dataset(dataset: string, options?: CallOptions): Promise<shapes.DatasetInfo> {
    const name = parseDatasetName(dataset);
    return this.#call((client) => client.dataset(name), options);
  }

  /** `created` is false when the same dataset was there already. @throws ServiceError DATASET_CONFLICT, INVALID_DECLARATION */
  async declare(
    dataset: string,
    declaration: Declaration,
    options?: CallOptions,
  ): Promise<{ created: boolean; dataset: shapes.DatasetInfo }> {
    const name = parseDatasetName(dataset);
    return this.#call((client) => client.declare(name, declaration), options);
  }

  /** A wrong dataset: its events are refused from now on, and the name stays taken. */
  async retire(dataset: string, options?: CallOptions): Promise<void> {
    const name = parseDatasetName(dataset);
    await this.#call((client) => client.retire(name), options);
  }

  /** What the events of a range would take; nothing is made. */
  async plan(dataset: string, span: shapes.EventSpan, options?: CallOptions): Promise<shapes.Plan> {
    const [name, range] = [parseDatasetName(dataset), rangeOf(span)];
    return this.#call((client) => client.plan(name, range), options);
  }

  /** @param chunk its index, from 0 */
  async provenance(dataset: string, chunk: number, options?: CallOptions): Promise<shapes.ProvenanceInfo> {
    const name = parseDatasetName(dataset);
    return this.#call((client) => client.provenance(name, chunk), options);
  }

  /** Of all chunks, or of those that the events touch. */
  async materialization(dataset: string, span?: shapes.EventSpan, options?: CallOptions): Promise<shapes.StateRun[]> {
    const [name, range] = [parseDatasetName(dataset), span && rangeOf(span)];
    return this.#call((client) => client.materialization(name, range), options);
  }

  /** Makes virtual again the chunks that lie wholly within the events, or all. */
  async evict(dataset: string, span?: shapes.EventSpan, options?: CallOptions): Promise<void> {
    const [name, range] = [parseDatasetName(dataset), span && rangeOf(span)];
    return this.#call((client) => client.evict(name, range), options);
  }

  async pin(
    dataset: string,
    pin: { expiresAt?: string; reason?: string } = {},
    options?: CallOptions,
  ): Promise<shapes.PinInfo> {
    const name = parseDatasetName(dataset);
    return this.#call((client) => client.pin(name, pin), options);
  }

  async unpin(dataset: string, options?: CallOptions): Promise<void> {
    const name = parseDatasetName(dataset);
    return this.#call((client) => client.unpin(name), options);
  }

  /** PanDA's event ranges, in the same order, each with where its events are, or why there are none. */
  async eventRanges<Asked extends shapes.EventRangeAsked>(
    eventRanges: readonly Asked[],
    { inFilePosEvtNum, signal }: CallOptions & { inFilePosEvtNum?: boolean } = {},
  ): Promise<shapes.EventRangeAnswer<Asked>[]> {
    const bounds = inFilePosEvtNum === undefined ? {} : { inFilePosEvtNum };
    const list = { eventRanges, ...bounds } as unknown as EventRangeList;
    return this.#call((client) => client.eventRanges(list), { signal });
  }

  /** Has a range made before anybody asks for it. */
  createBatch(order: BatchOrder, options?: CallOptions): Promise<shapes.BatchInfo> {
    return this.#call((client) => client.createBatch(order), options, wasRefused);
  }

  /** All batches, the newest first, a page at a time. */
  async *batches(options?: CallOptions): AsyncGenerator<shapes.BatchInfo, void, undefined> {
    let after: string | undefined;
    do {
      const page: { items: shapes.BatchInfo[]; next: string | null } = await this.#call(
        (client) => client.batches(after),
        options,
      );
      yield* page.items;
      after = page.next ?? undefined;
    } while (after !== undefined);
  }

  batch(id: string, options?: CallOptions): Promise<shapes.BatchInfo> {
    return this.#call((client) => client.batch(id), options);
  }

  pauseBatch(id: string, options?: CallOptions): Promise<shapes.BatchInfo> {
    return this.#call((client) => client.setBatch(id, 'paused'), options);
  }

  resumeBatch(id: string, options?: CallOptions): Promise<shapes.BatchInfo> {
    return this.#call((client) => client.setBatch(id, 'running'), options);
  }

  cancelBatch(id: string, options?: CallOptions): Promise<void> {
    return this.#call((client) => client.cancelBatch(id), options);
  }

  /** How far a batch has come, whenever that changes; the last one is its end. */
  watchBatch(id: string, options?: CallOptions): AsyncGenerator<shapes.BatchInfo, void, undefined> {
    return this.#watch(this.#client.batchStreamUrl(id), options);
  }

  /** Has events made without waiting: the request that stands for it, or undefined when all are stored already. */
  async prepare(
    dataset: string,
    span: shapes.EventSpan,
    options?: CallOptions,
  ): Promise<shapes.RequestInfo | undefined> {
    const [name, range] = [parseDatasetName(dataset), rangeOf(span)];
    return this.#call((client) => client.prepareEvents(name, range), options);
  }

  request(id: string, options?: CallOptions): Promise<shapes.RequestInfo> {
    return this.#call((client) => client.request(id), options);
  }

  cancelRequest(id: string, options?: CallOptions): Promise<void> {
    return this.#call((client) => client.cancelRequest(id), options);
  }

  /** How far a request has come, whenever that changes; the last one is its end. */
  watchRequest(id: string, options?: CallOptions): AsyncGenerator<shapes.RequestInfo, void, undefined> {
    return this.#watch(this.#client.requestStreamUrl(id), options);
  }

  /** What a window of time cost: the last 30 days, unless said. */
  costReport(query: shapes.CostQuery = {}, options?: CallOptions): Promise<shapes.CostReport> {
    return this.#call((client) => client.costReport({ ...query }), options);
  }

  /** @typeParam Answer what the service documents for this call: its word is taken for it */
  async #call<Answer>(
    run: (client: EvokeClient) => Promise<unknown>,
    { signal }: CallOptions = {},
    mayRepeat: (error: unknown) => boolean = () => true,
  ): Promise<Answer> {
    const client = this.#client.until(signal);
    return (await retried(() => run(client), { policy: this.#retries, signal, mayRepeat })) as Answer;
  }

  #watch<Answer>(url: string, { signal }: CallOptions = {}): AsyncGenerator<Answer, void, undefined> {
    const states: AsyncGenerator<JsonRecord> = watch(url, {
      headers: this.#client.headers,
      ...(signal === undefined ? {} : { signal }),
    });
    return states as AsyncGenerator<unknown> as AsyncGenerator<Answer, void, undefined>;
  }
}

/** What may have been done although no answer came must not be asked for twice. */
function wasRefused(error: unknown): boolean {
  return error instanceof ServiceError && error.code !== undefined;
}

/** @throws EvokeError MALFORMED_RANGE */
function rangeOf({ startEvent, lastEvent }: shapes.EventSpan): EventRange {
  return parseEventRange(`${startEvent}-${lastEvent}`);
}
