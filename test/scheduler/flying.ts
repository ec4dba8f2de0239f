// Flights over a fake store and queue, for the tests of single flight.
import { Flights } from '../../scheduler/flights.ts';
import { datasetOf, FakeChunks, FakeQueue, jobOf } from './fakes.ts';
import { ManualTime } from './manual-time.ts';

export const dataset = datasetOf(1000, 10);
export const job = jobOf(dataset, 3);

export function setUp(options: { flightsMax?: number; waitMs?: number } = {}) {
  const time = new ManualTime();
  const queue = new FakeQueue();
  const chunks = new FakeChunks();
  const flights = new Flights({ queue, events: queue, chunks, time, flightsMax: 100, waitMs: 600_000, ...options });
  const land = (index = 3) => {
    chunks.put(dataset, index);
    queue.finish(jobOf(dataset, index).key);
  };
  return { time, queue, chunks, flights, land };
}
