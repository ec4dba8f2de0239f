// Asks the service where the events of PanDA's ranges are, a few ranges at a time, so that it makes ahead what is about to be
// fetched and no more. What fails with one range spoils no other.
import { type DatasetName, parseDatasetName } from '../core/dataset.ts';
import { type EventRange, eventsIn, parseEventRange } from '../core/event-range.ts';
import { ServiceError, WrongAnswerError } from './errors.ts';
import type { EvokeClient, JsonRecord } from './http.ts';
import { eventsNamed, type PandaRange, type PandaRangeList } from './prefetch-ranges.ts';
import { request, strongTag } from './request.ts';
import { type RetryPolicy, retried } from './retries.ts';

/** Where a range's events are. */
export interface Place {
  readonly dataset: DatasetName;
  readonly range: EventRange;
  /** `/v1/datasets/…`, as the service gave it. */
  readonly path: string;
}

export interface AskingOptions {
  readonly client: EvokeClient;
  readonly retries: RetryPolicy;
  readonly signal: AbortSignal;
  /** Told before it waits to try again. */
  readonly onTrouble: (why: unknown) => void;
}

/** How long the question for a tag may take: nothing is made for it. */
const tagMsMax = 30_000;
const placePattern = /(\/v1\/datasets\/([^/?#]+)\/([^/?#]+)\/events\/([0-9]+-[0-9]+))(?:\.[a-z0-9]+)?$/;

export class Asking {
  readonly #options: AskingOptions;
  #answered = false;

  constructor(options: AskingOptions) {
    this.#options = options;
  }

  /**
   * Each range's place, or why it has none, in the order of the list.
   * @throws ConnectionError, ServiceError when the service cannot say anything about any range; the signal's reason
   */
  async places(list: PandaRangeList): Promise<(Place | Error)[]> {
    if (list.eventRanges.length === 0) return [];
    try {
      const { client, signal } = this.#options;
      const answers = await this.#persistently(() => client.until(signal).eventRanges(list));
      return list.eventRanges.map((range, i) => placeOf(range, answers[i]));
    } catch (error) {
      const refused = error instanceof ServiceError && [400, 413, 416, 422].includes(error.status);
      if (!refused) throw error;
      const [only, ...others] = list.eventRanges;
      if (only !== undefined && others.length === 0) return [error];
      // One of them is to blame.
      const places: (Place | Error)[] = [];
      for (const range of list.eventRanges) places.push(...(await this.places({ ...list, eventRanges: [range] })));
      return places;
    }
  }

  /** The strong tag that bytes under this path have now, without making them; undefined when there is none or nothing there. */
  async tagOf(path: string, query: string): Promise<string | undefined> {
    const { client, signal } = this.#options;
    try {
      const response = await this.#persistently(() =>
        request(`${client.server}${path}${query}`, {
          method: 'HEAD',
          headers: client.headers,
          signal: AbortSignal.any([signal, AbortSignal.timeout(tagMsMax)]),
        }),
      );
      return strongTag(response);
    } catch (error) {
      if (error instanceof ServiceError && !error.retryable) return undefined;
      throw error;
    }
  }

  /** A first call that nobody answers has the wrong address, most likely; later ones are waited for. */
  /**
   * Lets the service know that all bytes of this tag are here, though they came in parts, none of which it takes for the whole:
   * it need not hold them any longer. Only tried: it holds nothing for ever.
   */
  async received(path: string, query: string, tag: string): Promise<void> {
    const { client, signal } = this.#options;
    try {
      const response = await request(`${client.server}${path}${query}`, {
        headers: { ...client.headers, 'if-none-match': `"${tag}"` },
        signal: AbortSignal.any([signal, AbortSignal.timeout(tagMsMax)]),
      });
      await response.body?.cancel();
    } catch {
      // As a rule it answers 304, which brings nothing.
      signal.throwIfAborted();
    }
  }

  async #persistently<T>(call: () => Promise<T>): Promise<T> {
    const { retries, signal, onTrouble } = this.#options;
    const policy = this.#answered ? { ...retries, evenUnanswered: true } : retries;
    const result = await retried(call, { policy, signal, onWait: onTrouble });
    this.#answered = true;
    return result;
  }
}

function placeOf(range: PandaRange, answer: JsonRecord | undefined): Place | Error {
  if (answer?.['eventRangeID'] !== range.eventRangeID) {
    return new WrongAnswerError('The service answers for another event range than it was asked for.');
  }
  const { error, url } = answer;
  if (typeof error === 'object' && error !== null && !Array.isArray(error)) {
    return new ServiceError(typeof error['status'] === 'number' ? error['status'] : 500, error);
  }
  const [, path = '', scope = '', name = '', events = ''] = placePattern.exec(typeof url === 'string' ? url : '') ?? [];
  try {
    const place = { dataset: parseDatasetName(`${scope}:${name}`), range: parseEventRange(events), path };
    const named = eventsNamed(range);
    if (eventsIn(place.range) === named) return place;
    return new WrongAnswerError(`The service gives ${eventsIn(place.range)} events where the range names ${named}.`);
  } catch (error) {
    return new WrongAnswerError('The service gives no place of events for it.', { cause: error });
  }
}
