// The flights' side of the queue, with a memory of what is being taken back: a process that stops must not leave work
// behind that nobody waits for any more.
import type { FlightQueue } from '../scheduler/flight.ts';

/** How long a stopping process gives its flights to see that nobody waits. */
const abandonMsMax = 1000;
const lookMs = 10;

export class Orders implements FlightQueue {
  readonly #queue: FlightQueue;
  readonly #takingBack = new Set<Promise<void>>();

  constructor(queue: FlightQueue) {
    this.#queue = queue;
  }

  add(...order: Parameters<FlightQueue['add']>): ReturnType<FlightQueue['add']> {
    return this.#queue.add(...order);
  }

  fate(jobId: string): ReturnType<FlightQueue['fate']> {
    return this.#queue.fate(jobId);
  }

  withdraw(jobId: string): Promise<void> {
    const takenBack = this.#queue.withdraw(jobId).finally(() => this.#takingBack.delete(takenBack));
    this.#takingBack.add(takenBack);
    return takenBack;
  }

  /** Resolves when the flights have ended and their work was taken back, or that takes too long. */
  async settled(flights: { readonly size: number }): Promise<void> {
    for (let waitedMs = 0; flights.size > 0 && waitedMs < abandonMsMax; waitedMs += lookMs) {
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
    await Promise.allSettled(this.#takingBack);
  }
}
