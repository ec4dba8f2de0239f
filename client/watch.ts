// The progress of long work until its end, over as many connections as it takes: an api that restarts costs a pause.
import { pause } from '../core/clock.ts';
import { isFinal, type WorkState } from '../core/work-state.ts';
import { serverEvents } from './event-source.ts';
import type { JsonRecord } from './http.ts';
import { patientRetries, pauseBeforeRetry, type RetryPolicy } from './retries.ts';

export interface WatchOptions {
  readonly signal?: AbortSignal;
  /** Told when the connection is lost, and before each try. */
  readonly onTrouble?: (why: unknown, pauseMs: number) => void;
  readonly policy?: RetryPolicy;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** After a connection that was ended as it should be. */
const reconnectMs = 500;

/**
 * Every state that the service tells, the last one final.
 * @param stream URL of the stream of progress
 * @throws ServiceError, ConnectionError when there is no getting on; the signal's reason
 */
export async function* watch(stream: string, options: WatchOptions = {}): AsyncGenerator<JsonRecord> {
  const { signal, onTrouble, policy = patientRetries, headers = {} } = options;
  let lastEventId: string | undefined;
  for (let fruitless = 0; ; ) {
    try {
      for await (const { type, data, id } of serverEvents(stream, {
        lastEventId,
        headers,
        ...(signal && { signal }),
      })) {
        fruitless = 0;
        lastEventId = id;
        if (type !== 'progress') continue;
        const state = JSON.parse(data) as JsonRecord;
        yield state;
        if (isFinal(state['state'] as WorkState)) return;
      }
      // The service stops, or a proxy has had enough: the next connection tells.
      fruitless = 0;
      await pause(reconnectMs, signal);
    } catch (error) {
      signal?.throwIfAborted();
      const pauseMs = pauseBeforeRetry(error, ++fruitless, policy, Math.random);
      if (pauseMs === undefined) throw error;
      onTrouble?.(error, pauseMs);
      await pause(pauseMs, signal);
    }
  }
}
