// What the ledger is told of answers: for every chunk whose bytes were handed to the client, by which means it was had, how
// many of its events were asked for, and how many bytes of the body, as encoded and sent, came from it.
import type { Clock } from '../core/clock.ts';
import { eventsIn } from '../core/event-range.ts';
import type { Access, AccessMeans, LedgerSink } from '../core/ledger.ts';
import type { Means } from '../scheduler/plan.ts';
import type { DeliveredChunk } from '../scheduler/ride.ts';
import type { ByteRange } from './preconditions.ts';
import type { NamedChunk, Prepared } from './selection.ts';

interface Told {
  readonly ledger: LedgerSink;
  readonly clock: Clock;
}

type Dataset = Pick<Prepared, 'dataset' | 'datasetName'>;

const meansTold: Readonly<Record<Means, AccessMeans>> = {
  memory: 'memory',
  near: 'near',
  join: 'joined',
  generate: 'generated',
};

/** A body out of memory, all of it, or the bytes that were asked for. `ends`: where each chunk's part of the body ends. */
export function tellHandedOver(
  answer: {
    readonly requestId: string;
    readonly prepared: Prepared;
    readonly ends: readonly number[];
    readonly bytes: ByteRange | undefined;
  },
  { ledger, clock }: Told,
): void {
  const { requestId, prepared, ends, bytes } = answer;
  const { fewChunks = [] } = prepared;
  const atMs = clock.now();
  let from = 0;
  for (let i = 0; i < ends.length; i++) {
    const to = ends[i] as number;
    const bytesServed = bytes === undefined ? to - from : Math.min(to, bytes.last + 1) - Math.max(from, bytes.first);
    from = to;
    if (bytesServed <= 0) continue;
    const took = { requestId, atMs, means: 'memory', bytesServed, waitMicros: 0 } as const;
    ledger.record(access(prepared, fewChunks[i] as NamedChunk, took));
  }
}

/** Of one streamed answer: told of its chunks as they come, and of its bytes as they leave. */
export class StreamedAccesses {
  readonly #requestId: string;
  readonly #dataset: Dataset;
  readonly #told: Told;
  #current: DeliveredChunk | undefined;
  #waitMicros = 0;
  #bytesServed = 0;

  constructor(requestId: string, dataset: Dataset, told: Told) {
    this.#requestId = requestId;
    this.#dataset = dataset;
    this.#told = told;
  }

  /** From now on the bytes are of this chunk. */
  next(delivered: DeliveredChunk, waitedMs: number): void {
    this.end();
    this.#current = delivered;
    this.#waitMicros = Math.round(waitedMs * 1000);
  }

  sent(bytes: number): void {
    this.#bytesServed += bytes;
  }

  /** The answer ended, well or badly. A chunk of which nothing was sent was given to nobody. */
  end(): void {
    const { ledger, clock } = this.#told;
    if (this.#current !== undefined && this.#bytesServed > 0) {
      const took = {
        requestId: this.#requestId,
        atMs: clock.now(),
        means: meansTold[this.#current.means],
        bytesServed: this.#bytesServed,
        waitMicros: this.#waitMicros,
      };
      ledger.record(access(this.#dataset, this.#current, took));
    }
    this.#current = undefined;
    this.#bytesServed = 0;
  }
}

function access(
  { dataset, datasetName }: Dataset,
  { chunk, part }: Pick<NamedChunk, 'chunk' | 'part'>,
  {
    requestId,
    atMs,
    means,
    bytesServed,
    waitMicros,
  }: Pick<Access, 'requestId' | 'atMs' | 'means' | 'bytesServed' | 'waitMicros'>,
): Access {
  return {
    kind: 'access',
    atMs,
    dataset: datasetName,
    generator: dataset.derivation.generator,
    derivation: chunk.derivation,
    batchEvents: chunk.batchEvents,
    range: chunk.range,
    requestId,
    means,
    events: eventsIn(part),
    bytesServed,
    waitMicros,
  };
}
