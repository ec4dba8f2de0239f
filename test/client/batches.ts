// Events of the stand-in as record batches: what is read, and what should be.
import type { EventBatch, Evoke, RetryPolicy } from '../../client/index.ts';
import { batchEvents } from './stand-in.ts';

export const retries: Partial<RetryPolicy> = { fruitlessMax: 4, firstPauseMs: 1, pauseMsMax: 4, retryAfterMsMax: 5000 };
export const name = 'demo:zmumu';

export interface Read {
  readonly startEvent: number;
  readonly event: readonly number[];
  readonly pt: readonly number[];
}

export function contents(batch: EventBatch): Read {
  return {
    startEvent: batch.startEvent,
    event: [...batch.column('event', 'int32').values],
    pt: [...batch.column('pt', 'float64').values],
  };
}

export async function read(from: Evoke, startEvent: number, lastEvent: number): Promise<Read[]> {
  return (await all(from.events(name, { startEvent, lastEvent }))).map(contents);
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** On the stand-in's grid. */
export function expected(startEvent: number, lastEvent: number): Read[] {
  const batches: Read[] = [];
  for (let first = startEvent; first <= lastEvent; ) {
    const end = Math.min(lastEvent, Math.ceil(first / batchEvents) * batchEvents);
    const event = Array.from({ length: end - first + 1 }, (_, i) => first + i);
    batches.push({ startEvent: first, event, pt: event.map((n) => n / 7) });
    first = end + 1;
  }
  return batches;
}
