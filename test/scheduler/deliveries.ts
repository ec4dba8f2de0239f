// Deliveries over a fake store and queue, for the tests of delivery and ride.
import type { Dataset } from '../../core/dataset.ts';
import type { EventRange } from '../../core/event-range.ts';
import { Delivery } from '../../scheduler/delivery.ts';
import { Flights } from '../../scheduler/flights.ts';
import type { DeliveredChunk, Ride } from '../../scheduler/ride.ts';
import { datasetOf, FakeChunks, FakeQueue, jobOf } from './fakes.ts';
import { ManualTime } from './manual-time.ts';

export const dataset = datasetOf(1000, 10);
export const whole = { first: 0, end: 1000 };

export function setUp(options: { windowBytes?: number; waitMs?: number; flightsMax?: number } = {}) {
  const { windowBytes = 1_000_000, waitMs = 600_000, flightsMax = 1000 } = options;
  const time = new ManualTime();
  const queue = new FakeQueue();
  const chunks = new FakeChunks();
  const flights = new Flights({ queue, events: queue, chunks, time, flightsMax, waitMs });
  const touched: string[] = [];
  const touch = (key: string) => touched.push(key);
  const delivery = new Delivery({ chunks, flights, windowBytes, waitMs, time, touch });
  const open = (range: EventRange, signal = new AbortController().signal, of: Dataset = dataset) =>
    delivery.open(of, range, { signal, requestId: 'r' });
  const land = (index: number) => {
    chunks.put(dataset, index);
    queue.finish(jobOf(dataset, index).key);
  };
  const orders = () => queue.added.map(({ chunk }) => chunk.range.first / dataset.chunkEvents);
  return { time, queue, chunks, flights, delivery, touched, open, land, orders };
}

export async function collect(ride: Ride): Promise<DeliveredChunk[]> {
  const delivered: DeliveredChunk[] = [];
  for await (const chunk of ride) delivered.push(chunk);
  return delivered;
}

export async function chunkIn(next: Promise<IteratorResult<DeliveredChunk, undefined>>): Promise<DeliveredChunk> {
  const { value } = await next;
  if (value === undefined) throw new Error('the delivery is over');
  return value;
}
