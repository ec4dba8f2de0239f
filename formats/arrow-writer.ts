// Writes a chunk as an Arrow stream, batch by batch. Its bytes are a function of the events and of the writer's identity.
import { createHash, type Hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { ChunkRef } from '../core/chunk.ts';
import { batchesOf } from '../core/chunk.ts';
import type { Column, EventColumns } from '../core/columns.ts';
import { EvokeError } from '../core/errors.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventsIn, formatEventRange } from '../core/event-range.ts';
import { streamHead } from './arrow-schema.ts';
import { checkFinite } from './finite.ts';
import { endMarker } from './ipc.ts';
import { encodeBatch } from './record-batch.ts';

/** Everything that may change the bytes of the same events: our own writer, the library, the compressor's build. */
export const arrowWriter: string = `evoke-arrow/1 apache-arrow/${libraryVersion()} zstd/${process.versions['zstd'] ?? 'none'}`;

function libraryVersion(): string {
  const folder = dirname(createRequire(import.meta.url).resolve('apache-arrow'));
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return version;
}

export class ChunkWriter {
  readonly #columns: readonly Column[];
  readonly #chunk: ChunkRef;
  readonly #batches: EventRange[];
  readonly #parts: Uint8Array[] = [];

  constructor(chunk: ChunkRef, columns: readonly Column[]) {
    this.#columns = columns;
    this.#chunk = chunk;
    this.#batches = [...batchesOf(chunk)];
    const { derivation: derivationId, batchEvents, range } = chunk;
    this.#parts.push(streamHead(columns, { derivationId, batchEvents, range }));
  }

  /**
   * Encodes the next record batch: exactly its events, as `batchesOf` the chunk gives them. The arrays may be used again.
   * @throws EvokeError GENERATION_FAILED, with the `event` number, for a NaN or an infinity.
   */
  add(batch: EventColumns): void {
    const range = this.#batches[this.#parts.length - 1];
    if (range === undefined || batch.events !== eventsIn(range)) {
      throw new EvokeError('INTERNAL', {
        detail: `${batch.events} events were given where ${range === undefined ? 'none' : eventsIn(range)} were expected.`,
      });
    }
    for (const column of this.#columns) checkFinite(column, batch, range.first);
    this.#parts.push(encodeBatch(this.#columns, batch));
  }

  /**
   * The whole stream, in memory of its own so that it can be moved, and its SHA-256 in hex; `hash` has taken the stream in
   * and can go on with what follows it.
   */
  finish(): { stream: Uint8Array<ArrayBuffer>; digest: string; hash: Hash } {
    if (this.#parts.length !== this.#batches.length + 1) {
      throw new EvokeError('INTERNAL', { detail: `Chunk ${formatEventRange(this.#chunk.range)} is not complete.` });
    }
    const stream = concatenated([...this.#parts, endMarker]);
    const hash = createHash('sha256').update(stream);
    return { stream, digest: hash.copy().digest('hex'), hash };
  }
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
