// Reckons reports in a thread, so that whoever is served payload does not wait for them. The thread starts with the first
// report, ends when none was asked for a while, and is ended with a report that nobody waits for any more.
import { Piscina } from 'piscina';
import { EvokeError, messageOf, systemCode } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { StoreLocation } from '../../core/store-location.ts';
import { hintOfTooMuch } from '../chunk-table.ts';
import type { Prices } from '../prices.ts';
import type { ReportForms } from './forms.ts';
import type { CostQuery } from './report.ts';
import type { ReportResult, ReportTask, ReportThreadSetup } from './task.ts';

export interface ThreadedReportsOptions {
  readonly store: StoreLocation;
  readonly prices: Prices;
  readonly log: Log;
  /** Of JavaScript objects, in the thread (default 512): five million chunks, and what is read of them at a time. */
  readonly heapMbMax?: number;
}

const heapMbMaxDefault = 512;
/**
 * A thread that reaches its bound has 16 MiB more until it is ended: few enough young objects that moving them takes less.
 * (One allocation beyond that would end the process. Nothing in a report is that large: ChunkTable.)
 */
const youngMbMax = 16;
/** One look at several reports needs one thread; a large heap is not kept for the next look. */
const idleMs = 10_000;
/** Payload goes first where there are not enough cores. Elsewhere than on Linux this would slow down the whole process. */
const niceIncrement = process.platform === 'linux' ? 10 : 0;

export class ThreadedReports {
  readonly #options: ThreadedReportsOptions;
  #pool: Piscina<ReportTask, ReportResult> | undefined;

  constructor(options: ThreadedReportsOptions) {
    this.#options = options;
  }

  /**
   * One at a time.
   * @throws EvokeError what `costReport` throws; OVERLOADED when it takes more memory than it may have; the signal's reason
   */
  async compute(query: CostQuery, signal: AbortSignal): Promise<ReportForms> {
    signal.throwIfAborted();
    this.#pool ??= this.#start();
    const result = await this.#pool.run(query, { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw failureOf(error);
    });
    for (const fields of result.damaged) {
      this.#options.log.warn(fields, 'a segment of the ledger is damaged and was passed over');
    }
    if (result.state === 'refused') throw new EvokeError(result.code, result.details);
    return result.forms;
  }

  /** Ends the thread, whatever it does. */
  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.destroy();
  }

  #start(): Piscina<ReportTask, ReportResult> {
    const { store, prices, log, heapMbMax = heapMbMaxDefault } = this.#options;
    const workerData: ReportThreadSetup = { store, prices: onlyPrices(prices) };
    const pool = new Piscina<ReportTask, ReportResult>({
      filename: new URL('./thread.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleMs,
      // As in the workers' pool: a thread told to end just as it begins to wait on shared memory never ends.
      atomics: 'disabled',
      resourceLimits: { maxOldGenerationSizeMb: heapMbMax, maxYoungGenerationSizeMb: youngMbMax },
      niceIncrement,
      workerData,
      recordTiming: false,
    });
    // Of a thread that ends before it takes up its task: that would wait for ever.
    pool.on('error', (error: unknown) => {
      log.error({ error: messageOf(error) }, 'the thread that reckons reports failed');
      if (this.#pool === pool) void this.close();
    });
    return pool;
  }
}

/** What may fit as prices can have more to it, that is nobody else's business. */
function onlyPrices(prices: Prices): Prices {
  const { cpuCoreHour, waitHour, storageTbYear, replicas, requestPer1000, egressGb } = prices;
  const { currency, wattsPerCore, gramsCo2PerKwh } = prices;
  return {
    cpuCoreHour,
    waitHour,
    storageTbYear,
    replicas,
    requestPer1000,
    egressGb,
    currency,
    wattsPerCore,
    gramsCo2PerKwh,
  };
}

function failureOf(error: unknown): EvokeError {
  if (systemCode(error) === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new EvokeError(
      'OVERLOADED',
      { detail: 'The report took more memory than one report may have.', hint: hintOfTooMuch },
      { cause: error },
    );
  }
  return new EvokeError('INTERNAL', { detail: `The thread that reckons reports failed: ${messageOf(error)}` });
}
