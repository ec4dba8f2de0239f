// What a worker tells the ledger of one order: that its chunk was made and stored, with the very numbers of the chunk's
// trailer, or what was spent on it for nothing. Every try that took any time is told once, in one way or the other.
import type { Clock } from '../core/clock.ts';
import type { LedgerSink, WasteCause } from '../core/ledger.ts';
import type { ChunkJob } from '../queue/job.ts';
import { remakesOf } from '../store/making.ts';
import type { InputRead } from './input-reader.ts';
import { wallSecondsOf } from './spent.ts';
import type { ChunkMade, Spent } from './task.ts';

export class Account {
  readonly #ledger: LedgerSink;
  readonly #clock: Clock;
  readonly #about: ReturnType<typeof aboutOf>;
  readonly #attempt: number;

  constructor(order: ChunkJob, attempt: number, { ledger, clock }: { ledger: LedgerSink; clock: Clock }) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#about = aboutOf(order);
    this.#attempt = attempt;
  }

  /** A stored chunk of an input was read: a use of it like any other, but that nothing of it is served. */
  read({ link, chunk, events }: InputRead): void {
    const { dataset, derivation } = link;
    this.#ledger.record({
      kind: 'access',
      atMs: this.#clock.now(),
      dataset,
      generator: derivation.generator,
      ...chunk,
      requestId: this.#about.work.requestId,
      means: 'near',
      events,
      bytesServed: 0,
      waitMicros: 0,
    });
  }

  /** `bytes`: at rest. */
  stored(made: ChunkMade, bytes: number): void {
    // Whoever reconciles the ledger with the store knows the generation by the time that the trailer names.
    const atMs = Date.parse(made.generatedAt);
    const { chunk, work } = this.#about;
    // First: what knows of the generation knows of these.
    for (const remake of this.#remakes(made, atMs)) this.#ledger.record(remake);
    this.#ledger.record({ kind: 'generation', atMs, ...chunk, ...work, ...this.#took(made), bytes });
    this.#ledger.record({ kind: 'put', atMs, ...chunk, bytes });
  }

  wasted(spent: Spent, cause: Exclude<WasteCause, 'unstored'>): void {
    // It was never begun.
    if (wallSecondsOf(spent) !== 0) this.#waste(spent, cause, this.#clock.now());
  }

  /** The store did not say that it took the chunk. Should it have taken it, the ledger knows this making by its time. */
  unstored(made: ChunkMade): void {
    this.#waste(made, 'unstored', Date.parse(made.generatedAt));
  }

  #waste(spent: Spent, cause: WasteCause, atMs: number): void {
    const { chunk, work } = this.#about;
    this.#ledger.record({ kind: 'waste', atMs, ...chunk, ...work, ...this.#took(spent), cause });
    for (const remake of this.#remakes(spent, atMs)) this.#ledger.record({ ...remake, kind: 'waste', cause });
  }

  #remakes({ inputs = [] }: Spent, atMs: number) {
    const { chunk, work } = this.#about;
    return remakesOf(inputs, { atMs, range: chunk.range, ...work, attempt: this.#attempt });
  }

  #took({ cpuSeconds, wallSeconds }: Spent) {
    return {
      cpuMicros: Math.round(cpuSeconds * 1e6),
      wallMicros: Math.round(wallSeconds * 1e6),
      attempt: this.#attempt,
    };
  }
}

function aboutOf({ chunk, derivation, dataset, requestId, batch = '' }: ChunkJob) {
  const { batchEvents, range } = chunk;
  return {
    chunk: { dataset, generator: derivation.generator, derivation: chunk.derivation, batchEvents, range },
    work: { requestId, batch },
  };
}
