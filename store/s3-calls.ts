// Calls to an S3 server: so many at once, each attempt within its time, tried again while that makes sense and for a few
// seconds in all. The library's own retries are off: they end where an answer's body begins, and they save up attempts, so
// that after an outage one lost connection would fail a request.
import { S3Client } from '@aws-sdk/client-s3';
import { pause } from '../core/clock.ts';
import type { StoreLocation } from '../core/store-location.ts';
import { type Doing, isRetryable, NoTurn, s3Unavailable, TookTooLong } from './s3-errors.ts';
import { type SlotLimits, Slots } from './slots.ts';

export interface S3Limits extends SlotLimits {
  /** To be connected. */
  readonly connectMs: number;
  /** Without a byte to or from the server. */
  readonly idleMs: number;
  /** One attempt, however busy: a server that trickles must not hold it for ever. */
  readonly attemptMs: number;
  readonly attemptsMax: number;
  /** After this since the call's beginning no further attempt begins. */
  readonly retryMs: number;
  /** The pause before another attempt is a random part of this, doubled each time. */
  readonly pauseMs: number;
}

const s3Limits: S3Limits = {
  atOnce: 64,
  waitingMax: 1024,
  waitMsMax: 10_000,
  connectMs: 2_000,
  idleMs: 5_000,
  attemptMs: 30_000,
  attemptsMax: 6,
  retryMs: 5_000,
  pauseMs: 100,
};

export interface Attempt {
  readonly client: S3Client;
  /** Given to every call of the client. */
  readonly options: { readonly abortSignal: AbortSignal };
  /** Whether an earlier attempt may have done the work, and its answer was lost. */
  readonly again: boolean;
}

export class S3Calls {
  readonly #client: S3Client;
  readonly #limits: S3Limits;
  readonly #slots: Slots;

  constructor({ endpoint, region }: Extract<StoreLocation, { kind: 's3' }>, limits: Partial<S3Limits> = {}) {
    this.#limits = { ...s3Limits, ...limits };
    this.#slots = new Slots(this.#limits);
    const agent = { keepAlive: true, maxSockets: this.#limits.atOnce };
    this.#client = new S3Client({
      region,
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      maxAttempts: 1,
      // Older servers refuse what newer libraries add by themselves.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // For large bodies it would open a connection each, without a bound.
      expectContinueHeader: false,
      requestHandler: {
        connectionTimeout: this.#limits.connectMs,
        socketTimeout: this.#limits.idleMs,
        httpAgent: agent,
        httpsAgent: agent,
      },
    });
  }

  /** Does one piece of work, perhaps several times. @throws EvokeError STORE_UNAVAILABLE */
  async run<T>(doing: Doing, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { attemptsMax, retryMs, pauseMs } = this.#limits;
    const until = performance.now() + retryMs;
    for (let attempts = 1; ; attempts++) {
      try {
        return await this.#attempt(work, attempts > 1);
      } catch (error) {
        const waitMs = Math.random() * pauseMs * 2 ** (attempts - 1);
        const isLast = attempts === attemptsMax || performance.now() + waitMs > until;
        if (isLast || !isRetryable(error)) throw s3Unavailable(error, doing);
        await pause(waitMs);
      }
    }
  }

  close(): void {
    this.#client.destroy();
  }

  async #attempt<T>(work: (attempt: Attempt) => Promise<T>, again: boolean): Promise<T> {
    const done = await this.#slots.run(() => {
      const abortSignal = AbortSignal.timeout(this.#limits.attemptMs);
      return within(abortSignal, work({ client: this.#client, options: { abortSignal }, again }));
    });
    if (done === undefined) throw new NoTurn('no turn in time');
    return done.result;
  }
}

/** Also where the library waits for what it cannot abort, as it does for credentials. */
async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let overdue = () => {};
  const end = new Promise<never>((_, reject) => {
    overdue = () => reject(new TookTooLong('it took too long'));
    signal.addEventListener('abort', overdue, { once: true });
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    signal.removeEventListener('abort', overdue);
  }
}
