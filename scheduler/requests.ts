// Asynchronous requests: run by the api process that accepted them, shown by any. Whoever runs one says so on the board every
// second; a request whose runner has fallen silent is taken up by whoever is next asked about it. Two at once do no harm: the
// queue joins their orders, and the first end counts.
import { z } from 'zod';
import { type Dataset, type DatasetName, parseDatasetName } from '../core/dataset.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import type { EventsRequest, EventsRequestEnd, EventsRequestWord } from '../core/events-request.ts';
import { emptyTally } from '../core/work-state.ts';
import type { Board } from '../queue/board.ts';
import type { Requests } from '../store/requests.ts';
import { RequestRun, type RunOptions, type RunParts } from './request-run.ts';

export interface AsyncRequestsParts extends Omit<RunParts, 'window'> {
  readonly records: Pick<Requests, 'accept' | 'find' | 'end' | 'endOf'>;
  readonly board: Pick<Board, 'publish' | 'read'>;
  readonly catalog: {
    get(name: DatasetName): Promise<Dataset>;
    isRetired(name: DatasetName): Promise<boolean>;
  };
  /** Generating threads of all living workers. */
  readonly threads: () => Promise<number>;
  /** How many may be under way here, and of one client (settings ASYNC_REQUESTS, CLIENT_REQUESTS). */
  readonly requestsMax: number;
  readonly clientRequestsMax: number;
}

/** A request and where it stands. */
export interface RequestStanding {
  readonly request: EventsRequest;
  readonly standing: EventsRequestEnd | EventsRequestWord | typeof notBegun;
}

export const notBegun = { state: 'pending', ...emptyTally } as const;

/** Every one accepted or taken up ends in exactly one of completed, failed, cancelled and left. */
export interface RequestStats {
  accepted: number;
  /** Taken up from a process that had fallen silent. */
  takenUp: number;
  completed: number;
  failed: number;
  cancelled: number;
  /** To another process: this one stopped. */
  left: number;
}

const beatMs = 1_000;
/** A runner that has said nothing for so long is gone. */
const silenceMsMax = 10_000;
/** As long as a request can be looked up. */
const wordSeconds = 24 * 3600;
/** Chunks on order for each generating thread, of all requests here together. */
const ordersPerThread = 2;
const threadsUnlessKnown = 2;
/** Between looks at how many threads there are, and whether a request was cancelled elsewhere: in beats. */
const looksEveryBeats = 2;

const count = z.int().min(0);
const word: z.ZodType<EventsRequestWord> = z.looseObject({
  state: z.literal('running'),
  done: count,
  skipped: count,
  failed: count,
  cpuMicros: count,
  estimatedSecondsLeft: z.exactOptional(z.number().min(0)),
  at: z.iso.datetime(),
  left: z.exactOptional(z.boolean()),
});

/** Of a failure as it is kept: last words may be long. */
const failureCharsMax = 8_192;

export class AsyncRequests {
  readonly stats: RequestStats = { accepted: 0, takenUp: 0, completed: 0, failed: 0, cancelled: 0, left: 0 };
  readonly #parts: AsyncRequestsParts;
  readonly #runs = new Map<string, RequestRun>();
  /** Those that can be looked up; the others may yet be answered by who began them. */
  readonly #kept = new Set<RequestRun>();
  /** Those of them about which the store is being asked. */
  readonly #asking = new Set<RequestRun>();
  #threads = threadsUnlessKnown;
  #beats = 0;
  #cancelBeat: () => void = () => undefined;
  #closed = false;

  constructor(parts: AsyncRequestsParts) {
    this.#parts = parts;
    this.#beatLater();
  }

  /** Under way in this process. */
  get size(): number {
    return this.#runs.size;
  }

  /**
   * Begins the work; nobody can look it up before it is kept. Whoever begins one keeps it or discards it.
   * @throws EvokeError TOO_MANY_REQUESTS, OVERLOADED
   */
  begin(options: RunOptions & { readonly client: string }): RequestRun {
    const { requestsMax, clientRequestsMax } = this.#parts;
    const own = [...this.#runs.values()].filter(({ client }) => client === options.client).length;
    if (own >= clientRequestsMax) {
      throw new EvokeError('TOO_MANY_REQUESTS', {
        detail: `${own} asynchronous requests of this client are under way already.`,
        hint: 'Wait for some to end, or cancel them; EVOKE_CLIENT_REQUESTS sets the bound.',
        retryAfterSeconds: 10,
      });
    }
    if (this.#closed || this.#runs.size >= requestsMax) {
      throw new EvokeError('OVERLOADED', {
        detail: `${this.#runs.size} asynchronous requests are under way already; this process has ${requestsMax} at a time.`,
        hint: 'Wait for some to end; EVOKE_ASYNC_REQUESTS sets the bound.',
        retryAfterSeconds: 10,
      });
    }
    return this.#start(options);
  }

  /** From now on it can be looked up, and outlives this process. @throws EvokeError STORE_UNAVAILABLE; it is then discarded */
  async keep(run: RequestRun): Promise<void> {
    try {
      await this.#parts.records.accept(run.request);
    } catch (error) {
      this.discard(run);
      throw error;
    }
    this.stats.accepted++;
    this.#answerFor(run);
  }

  /** Nobody wants it any more, and nobody has heard of it. */
  discard(run: RequestRun): void {
    run.cancel();
  }

  /** At most two seconds behind. Undefined when there is none. @throws EvokeError STORE_UNAVAILABLE */
  async find(id: string): Promise<RequestStanding | undefined> {
    const run = this.#runs.get(id);
    const own = run !== undefined && this.#kept.has(run) ? { request: run.request, standing: run.standing } : undefined;
    if (own?.standing.state === 'running') return own;
    const found = await this.#parts.records.find(id);
    if (found === undefined) return own;
    const { request, end } = found;
    if (end !== undefined) return { request, standing: end };
    // Its end is being written.
    if (own !== undefined) return own;
    const said = await this.#said(id);
    if (said === 'unknown') return { request, standing: notBegun };
    if (this.#isSilent(request, said)) void this.#takeUp(request);
    return { request, standing: said ?? notBegun };
  }

  /** Ends a request, wherever it runs; returns whether there is one. @throws EvokeError STORE_UNAVAILABLE */
  async cancel(id: string): Promise<boolean> {
    const found = await this.find(id);
    if (found === undefined) return false;
    const { done, skipped, failed, cpuMicros, state } = found.standing;
    if (state !== 'running' && state !== 'pending') return true;
    const endedAt = new Date(this.#parts.time.now()).toISOString();
    const end: EventsRequestEnd = { state: 'cancelled', done, skipped, failed, cpuMicros, endedAt };
    if (await this.#parts.records.end(id, end)) this.#runs.get(id)?.endsAs(end);
    return true;
  }

  /** Leaves what is under way to others. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelBeat();
    const runs = [...this.#runs.values()];
    // Before they end: it is the last word that counts.
    await Promise.allSettled(runs.filter((run) => this.#kept.has(run)).map((run) => this.#publish(run, true)));
    for (const run of runs) run.leave();
    await Promise.all(runs.map(({ over }) => over));
  }

  #start(options: RunOptions): RequestRun {
    const run = new RequestRun({ ...this.#parts, window: () => this.#window() }, options);
    const { id } = run.request;
    this.#runs.set(id, run);
    void run.over.then(() => {
      this.#runs.delete(id);
      this.#kept.delete(run);
    });
    return run;
  }

  /** From now on this process says how it stands, and writes down its end. */
  #answerFor(run: RequestRun): void {
    this.#kept.add(run);
    void this.#publish(run);
    void run.ended.then((end) => this.#ended(run, end));
  }

  #window(): number {
    return Math.max(1, Math.ceil((ordersPerThread * this.#threads) / Math.max(1, this.#runs.size)));
  }

  async #ended(run: RequestRun, end: EventsRequestEnd | undefined): Promise<void> {
    if (end === undefined) {
      this.stats.left++;
      return;
    }
    this.stats[end.state]++;
    try {
      await this.#parts.records.end(run.request.id, shortened(end));
    } catch (error) {
      // Whoever looks next finds it silent, and goes through it again.
      this.#parts.log.warn(
        { requestId: run.request.id, error: messageOf(error) },
        'the end of a request could not be written',
      );
    }
  }

  #beatLater(): void {
    this.#cancelBeat = this.#parts.time.after(beatMs, () => {
      this.#beat();
      this.#beatLater();
    });
  }

  #beat(): void {
    this.#beats++;
    for (const run of this.#runs.values()) run.check();
    for (const run of this.#kept) void this.#publish(run);
    if (this.#runs.size === 0 || this.#beats % looksEveryBeats !== 0) return;
    this.#parts.threads().then(
      (found) => {
        this.#threads = found;
      },
      () => undefined,
    );
    for (const run of this.#kept) {
      // A store that is silent is not asked again and again beside all who wait for it.
      if (this.#asking.has(run)) continue;
      this.#asking.add(run);
      this.#askAbout(run)
        .catch(() => undefined)
        .finally(() => this.#asking.delete(run));
    }
  }

  /** Whether it was cancelled elsewhere, or its dataset was found wrong. @throws EvokeError STORE_UNAVAILABLE */
  async #askAbout(run: RequestRun): Promise<void> {
    const { catalog, records } = this.#parts;
    const { id, dataset } = run.request;
    const end = await records.endOf(id);
    if (end !== undefined) run.endsAs(end);
    else if (await catalog.isRetired(parseDatasetName(dataset))) {
      run.refuse(new EvokeError('RETIRED', { detail: `${dataset} was found wrong and is retired.` }));
    }
  }

  /** With the board away nobody hears of it, and nobody loses by it. */
  async #publish(run: RequestRun, left = false): Promise<void> {
    const { standing, request } = run;
    if (standing.state !== 'running') return;
    const said: EventsRequestWord = left ? { ...standing, left } : standing;
    await this.#parts.board.publish('request', request.id, said, wordSeconds).catch(() => undefined);
  }

  /** The word on the board; 'unknown' while nobody can read it. */
  async #said(id: string): Promise<EventsRequestWord | 'unknown' | undefined> {
    try {
      return word.safeParse(await this.#parts.board.read('request', id)).data;
    } catch {
      return 'unknown';
    }
  }

  #isSilent({ acceptedAt }: EventsRequest, said: EventsRequestWord | undefined): boolean {
    if (said?.left) return true;
    return this.#parts.time.now() - Date.parse(said?.at ?? acceptedAt) > silenceMsMax;
  }

  async #takeUp(request: EventsRequest): Promise<void> {
    const { catalog, requestsMax, log } = this.#parts;
    try {
      const dataset = await catalog.get(parseDatasetName(request.dataset));
      if (this.#closed || this.#runs.has(request.id) || this.#runs.size >= requestsMax) return;
      const run = this.#start({ request, dataset });
      this.stats.takenUp++;
      log.info({ requestId: request.id }, 'a request is taken up whose process has fallen silent');
      this.#answerFor(run);
    } catch (error) {
      log.warn({ requestId: request.id, error: messageOf(error) }, 'a request could not be taken up');
    }
  }
}

function shortened(end: EventsRequestEnd): EventsRequestEnd {
  if (end.failure === undefined || JSON.stringify(end.failure).length <= failureCharsMax) return end;
  const { code, details } = end.failure;
  const detail = details.detail?.slice(0, failureCharsMax / 4);
  return { ...end, failure: { code, details: detail === undefined ? {} : { detail } } };
}
