// The events of a range as record batches, each decoded when it is asked for. What arrives is never taken for more than it is:
// the schema must name the events that were asked for, every batch must decode, all events must come.
import type { Column } from '../core/columns.ts';
import type { DatasetName } from '../core/dataset.ts';
import { type EventRange, eventNumber, formatEventRange } from '../core/event-range.ts';
import { endMarker, metadataBytes, NotArrow, prefixBytes, readHead } from '../formats/ipc.ts';
import { decodeBatchFrame } from '../formats/record-batch.ts';
import { readFields, readSchemaMetadata, type StoredField } from '../formats/schema-reader.ts';
import { ArrowPieces } from './arrow-pieces.ts';
import { WrongAnswerError } from './errors.ts';
import { EventBatch } from './event-batch.ts';
import type { EvokeClient } from './http.ts';
import type { RetryPolicy } from './retries.ts';
import { otherBytes, Pieces, type Progress } from './transfer.ts';

export interface EventsWanted<Name extends string> {
  readonly client: EvokeClient;
  readonly dataset: DatasetName;
  readonly range: EventRange;
  readonly columns?: readonly Name[] | undefined;
  readonly retries: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** More values than this in one batch are not from the service, however small they arrive. */
const batchValuesMax = 32 * 1024 * 1024;

/**
 * Every event of the range, in order, in the service's own record batches. A broken connection goes on with the first batch
 * that is missing; a batch that was given is not given again.
 * @throws ServiceError, ConnectionError when tries have run out; WrongAnswerError; the signal's reason
 */
export async function* eventBatches<Name extends string>(wanted: EventsWanted<Name>): AsyncGenerator<EventBatch<Name>> {
  const { client, dataset, range, columns, retries, signal, onProgress } = wanted;
  let schema = new StreamSchema<Name>(columns);
  let next = eventNumber(range.first);
  const pieces = new Pieces(
    {
      client,
      dataset,
      range,
      query: { format: 'arrow', ...(columns === undefined ? {} : { columns }) },
      reader: (goesOn, asked) => new ArrowPieces(goesOn, (framed) => schema.take(framed, asked)),
      ending: endMarker,
    },
    {
      anyLeft: async () => false,
      begin: async () => ({ bytes: 0, events: 0, ended: false }),
      startOver: async () => {
        // What has been given out cannot be taken back.
        if (next > eventNumber(range.first)) throw new WrongAnswerError(otherBytes);
        schema = new StreamSchema(columns);
      },
    },
    { retries, random: Math.random, signal, onProgress, asksForDigest: true },
  );
  for await (const { bytes, events } of pieces.all()) {
    if (events === 0) continue;
    yield schema.batch(bytes, next);
    next += events;
  }
}

/** The one schema of all the answers that a range takes. */
class StreamSchema<Name extends string> {
  readonly #asked: ReadonlySet<string> | undefined;
  #derivation: string | undefined;
  #columns: readonly Column[] = [];
  #metadata: ReadonlyMap<string, string> = new Map();

  constructor(columns: readonly string[] | undefined) {
    this.#asked = columns === undefined ? undefined : new Set(columns);
  }

  /** Sees that an answer is what was asked for, and the same as those before. @throws WrongAnswerError, NotArrow */
  take(framed: Buffer, asked: EventRange): void {
    const metadata = readSchemaMetadata(framed);
    const columns = readFields(framed).map(asColumn);
    const events = `${metadata.get('startEvent')}-${metadata.get('lastEvent')}`;
    if (events !== formatEventRange(asked)) {
      throw new WrongAnswerError(`The answer has events ${events}, not ${formatEventRange(asked)}.`);
    }
    const derivation = metadata.get('derivation');
    if (derivation === undefined) throw new WrongAnswerError('The answer does not say what its events derive from.');
    const names = columns.map(({ name }) => name);
    if (this.#derivation === undefined) {
      this.#checkAsked(names);
      this.#derivation = derivation;
      this.#columns = columns;
      this.#metadata = metadata;
    } else if (derivation !== this.#derivation || !isSame(columns, this.#columns)) {
      throw new WrongAnswerError('The events are others than before the interruption: start again.');
    }
  }

  #checkAsked(names: readonly string[]): void {
    const asked = this.#asked;
    if (asked === undefined || (names.length === asked.size && names.every((name) => asked.has(name)))) return;
    throw new WrongAnswerError(`The answer has columns ${names.join(', ')}, not ${[...asked].join(', ')}.`);
  }

  /** @throws WrongAnswerError */
  batch(framed: Buffer, startEvent: number): EventBatch<Name> {
    try {
      checkSize(framed);
      return new EventBatch(startEvent, this.#columns, decodeBatchFrame(framed, this.#columns), this.#metadata);
    } catch (error) {
      if (!(error instanceof NotArrow)) throw error;
      throw new WrongAnswerError(`The record batch of event ${startEvent} is damaged. ${error.message}`, {
        cause: error,
      });
    }
  }
}

/** @throws NotArrow before memory is taken for what a few bytes may claim to hold */
function checkSize(framed: Buffer): void {
  const head = readHead(framed.subarray(prefixBytes, prefixBytes + metadataBytes(framed)));
  if (head.kind !== 'batch') throw new NotArrow('A record batch was expected.');
  const values = head.nodes.reduce((sum, node) => sum + node.length, 0);
  if (values > batchValuesMax) throw new NotArrow(`It claims to hold ${values} values.`);
}

function asColumn({ name, type, isJagged }: StoredField): Column {
  return { name, type, unit: '', description: '', ...(isJagged ? { countedBy: name } : {}) };
}

function isSame(some: readonly Column[], others: readonly Column[]): boolean {
  return JSON.stringify(some) === JSON.stringify(others);
}
