// Requests that failed while somebody waited for the answer: for a day they can be looked up by their Request-Id, in this
// process for certain while it remembers them, in the others as far as the board carries the word. A storm of failures is
// remembered in part: nothing may make a bad hour worse.
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { type EvokeError, errorCatalogue } from '../core/errors.ts';
import { type Board, wordBytesMax } from '../queue/board.ts';
import { problemDocument } from './problem.ts';
import { problemShown } from './schemas.ts';

export interface FailedRequest {
  readonly id: string;
  readonly state: 'failed';
  /** Path and query that were asked for. */
  readonly target: string;
  /** The problem document. */
  readonly error: object;
  readonly startedAt: string;
  readonly endedAt: string;
}

const keptSeconds = 24 * 3600;
const rememberedMax = 2_000;
/** Words to the board: so many a second, and so many on the way. */
const wordsPerSecond = 20;
const onTheWayMax = 4;
/** A target or a failure's own fields may be long. */
const targetCharsMax = 2_000;

const failed: z.ZodType<FailedRequest> = z.object({
  id: z.string(),
  state: z.literal('failed'),
  target: z.string(),
  error: problemShown,
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
});

export class FailedRequests {
  readonly #board: Pick<Board, 'publish' | 'read'>;
  readonly #clock: Clock;
  readonly #remembered: LRUCache<string, FailedRequest>;
  #secondBegunMs = 0;
  #wordsInSecond = 0;
  #onTheWay = 0;

  constructor(options: { board: Pick<Board, 'publish' | 'read'>; clock: Clock }) {
    this.#board = options.board;
    this.#clock = options.clock;
    this.#remembered = new LRUCache({ max: rememberedMax, ttl: keptSeconds * 1000 });
  }

  /** Remembers what a client was told, or was to be told when its connection was reset. Never throws, never waits. */
  record(id: string, target: string, error: EvokeError, tookMs: number): void {
    const nowMs = this.#clock.now();
    const request: FailedRequest = {
      id,
      state: 'failed',
      target: target.slice(0, targetCharsMax),
      error: boundedProblem(error, id),
      startedAt: new Date(nowMs - tookMs).toISOString(),
      endedAt: new Date(nowMs).toISOString(),
    };
    this.#remembered.set(id, request);
    if (!this.#maySpeak(nowMs)) return;
    this.#onTheWay++;
    this.#board
      .publish('failure', id, request, keptSeconds)
      .catch(() => undefined)
      .finally(() => {
        this.#onTheWay--;
      });
  }

  /** Undefined when nobody knows of it. */
  async find(id: string): Promise<FailedRequest | undefined> {
    const remembered = this.#remembered.get(id);
    if (remembered !== undefined) return remembered;
    const word = await this.#board.read('failure', id).catch(() => undefined);
    return failed.safeParse(word).data;
  }

  #maySpeak(nowMs: number): boolean {
    if (Math.abs(nowMs - this.#secondBegunMs) >= 1000) {
      this.#secondBegunMs = nowMs;
      this.#wordsInSecond = 0;
    }
    return this.#onTheWay < onTheWayMax && this.#wordsInSecond++ < wordsPerSecond;
  }
}

/** The problem as the client was given it, or, where that is very long, its main part. */
function boundedProblem(error: EvokeError, id: string): object {
  const whole = problemDocument(error, id);
  if (JSON.stringify(whole).length < wordBytesMax / 8) return whole;
  const { type, title, status, detail, code, requestId } = whole;
  return { type, title, status, detail: detail.slice(0, targetCharsMax), code, requestId };
}

/** Whether a failure is worth remembering: ours, and not the client's. */
export function isOurs(error: EvokeError): boolean {
  return errorCatalogue[error.code].status >= 500;
}
