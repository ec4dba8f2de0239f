// Makes the ledger and the store agree: chunks whose making was never told, because their worker was killed before it could
// write, are told from their own trailers; chunks that are gone without a word are told lost. Telling twice is once.
import { z } from 'zod';
import { type ChunkRef, chunkKey } from '../../core/chunk.ts';
import { type Clock, pause } from '../../core/clock.ts';
import { EvokeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Provenance } from '../../core/provenance.ts';
import { chunkOfName, chunksPrefix } from '../../store/chunk-names.ts';
import type { Chunks } from '../../store/chunks.ts';
import { everyObject } from '../../store/listing.ts';
import { type Making, makingOf } from '../../store/making.ts';
import { readRecord, writeRecord } from '../../store/records.ts';
import type { Store } from '../../store/store.ts';
import type { Ledger } from './ledger.ts';
import { readLedger } from './reader.ts';
import { isRecordable } from './schema.ts';
import { ToldChunks } from './told-chunks.ts';

export interface ReconcilerParts {
  readonly store: Store;
  readonly chunks: Pick<Chunks, 'trailer' | 'head'>;
  /** Flushed as often as needed, and before it is written down that the work is done. */
  readonly ledger: Pick<Ledger, 'record' | 'flush' | 'counters'>;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * What happened so lately may still be in the memory of the process that did it: left for the next time. At least three
   * flush intervals (default a minute).
   */
  readonly marginMs?: number;
}

export interface ReconcileOptions {
  /** Only what was stored since, milliseconds since the epoch (default: since it was last done; 0 for everything). */
  readonly sinceMs?: number;
  /** Only chunks of this derivation. */
  readonly derivation?: string;
  /** Everything, up to this moment: for when no process runs that could have something to tell. */
  readonly all?: boolean;
}

export interface Reconciled {
  /** Chunks whose generation and put were added. */
  readonly added: number;
  /** What those generations took, and remaking their inputs. */
  readonly cpuSeconds: number;
  /** Chunks that were told lost. */
  readonly lost: number;
  /** Stored chunks that nobody told of and that do not say where they come from. */
  readonly illegible: number;
}

const marginMsDefault = 60_000;
/** Between the time of a generation and the store's time of the object: the writing, and clocks that differ. */
const slackMs = 3_600_000;
/**
 * A put that was told for so long before the object's time may be of an earlier object: the trailer knows. What takes longer to
 * write than this, or is written by a clock so different from the store's, costs one more small read.
 */
const laterMs = 5_000;
const trailersAtOnce = 16;
/** Entries recorded between two flushes. */
const flushEvery = 8192;
/** Lost chunks looked after at a time; more are found the next time. */
const lostMax = 100_000;

const recordName = 'ledger/reconciled.json';
const reconciledRecord = z.looseObject({ until: z.iso.datetime() });

interface Stored {
  readonly chunk: ChunkRef;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #marginMs: number;
  readonly #counters = { added: 0, cpuSeconds: 0, lost: 0, illegible: 0 };

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#marginMs = parts.marginMs ?? marginMsDefault;
  }

  /** Sums of all that was reconciled here, for metrics. */
  get counters(): Reconciled {
    return this.#counters;
  }

  /**
   * Takes some 150 bytes of memory for every chunk that the ledger names in the time looked at, or that is stored since; a
   * minute longer when chunks are missing, unless `all`. Meant for one at a time; two at once tell a lost chunk twice.
   * @throws EvokeError STORE_UNAVAILABLE, OVERLOADED (more than five million chunks: go by derivation), or the signal's reason
   */
  async reconcile(options: ReconcileOptions = {}, signal?: AbortSignal): Promise<Reconciled> {
    const startedMs = this.#parts.clock.now();
    const untilMs = options.all === true ? Number.POSITIVE_INFINITY : startedMs - this.#marginMs;
    const doneMs = await this.#doneUntil(startedMs);
    const sinceMs = options.all === true ? 0 : (options.sinceMs ?? doneMs);
    const lostBefore = this.#parts.ledger.counters.lost;
    const told = new ToldChunks();
    // Further back than the chunks that are looked at: their makings were told before they were stored.
    const window = { fromMs: Math.max(0, sinceMs - 2 * slackMs), signal, log: this.#parts.log };
    for await (const entry of readLedger(this.#parts.store, window)) {
      if (options.derivation === undefined || entry.derivation === options.derivation) told.take(entry);
    }
    const report = { added: 0, cpuSeconds: 0, lost: 0, illegible: 0 };
    await this.#addUntold(
      told,
      { sinceMs: sinceMs - slackMs, untilMs, derivation: options.derivation },
      report,
      signal,
    );
    await this.#tellLost(told, { startedMs, untilMs }, report, signal);
    await this.#flush(lostBefore);
    if (options.derivation === undefined && sinceMs <= doneMs) {
      const until = new Date(Math.min(untilMs, startedMs)).toISOString();
      await writeRecord(this.#parts.store, recordName, { until });
    }
    for (const key of ['added', 'cpuSeconds', 'lost', 'illegible'] as const) this.#counters[key] += report[key];
    if (report.added + report.lost > 0) this.#parts.log.info(report, 'the ledger was reconciled with the store');
    return report;
  }

  /** Walks the stored chunks and tells of those that the ledger does not have. */
  async #addUntold(
    told: ToldChunks,
    span: { sinceMs: number; untilMs: number; derivation: string | undefined },
    report: { added: number; cpuSeconds: number; illegible: number },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let untold: Stored[] = [];
    let recorded = 0;
    const add = async () => {
      const trailers = await Promise.all(untold.map(({ chunk }) => this.#parts.chunks.trailer(chunk)));
      for (const [at, stored] of untold.entries()) {
        const made = making(stored, trailers[at]);
        if (made === undefined) report.illegible++;
        if (made === undefined) continue;
        const { remakes, generation, put } = made;
        const putAtMs = told.untoldPutAtMs(generation, stored.modifiedAtMs);
        const isTold = told.hasMaking(generation);
        if (isTold && putAtMs === undefined) continue;
        for (const entry of isTold ? [] : [...remakes, generation]) {
          this.#parts.ledger.record(entry);
          report.cpuSeconds += entry.cpuMicros / 1e6;
          recorded++;
        }
        if (putAtMs !== undefined) {
          this.#parts.ledger.record({ ...put, atMs: putAtMs });
          recorded++;
        }
        report.added++;
        if (recorded < flushEvery) continue;
        await this.#flush();
        recorded = 0;
      }
      untold = [];
    };
    for await (const stored of this.#stored(span.derivation)) {
      signal?.throwIfAborted();
      told.see(stored.chunk);
      if (stored.modifiedAtMs < span.sinceMs || stored.modifiedAtMs >= span.untilMs) continue;
      if (told.isStoredSince(stored.chunk, stored.modifiedAtMs - laterMs, stored.bytes)) continue;
      untold.push(stored);
      if (untold.length === trailersAtOnce) await add();
    }
    await add();
  }

  /** Tells of chunks that should be there and are not. */
  async #tellLost(
    told: ToldChunks,
    { startedMs, untilMs }: { startedMs: number; untilMs: number },
    report: { lost: number },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (told.missing(untilMs, 1).length === 0) return;
    // When it was found: whoever makes one of them again has not made it yet.
    const atMs = this.#parts.clock.now();
    if (Number.isFinite(untilMs)) {
      // Somebody may have evicted them a moment ago, and not written it yet.
      await pause(this.#marginMs, signal);
      const window = { fromMs: Math.max(0, startedMs - 2 * this.#marginMs), signal };
      for await (const entry of readLedger(this.#parts.store, window)) if (entry.kind === 'eviction') told.take(entry);
    }
    for (const chunk of told.missing(untilMs, lostMax)) {
      signal?.throwIfAborted();
      if ((await this.#parts.chunks.head(chunk)) !== undefined) continue;
      this.#parts.ledger.record({ kind: 'eviction', cause: 'lost', atMs, ...chunk });
      report.lost++;
      if (report.lost % flushEvery === 0) await this.#flush();
    }
  }

  async *#stored(derivation: string | undefined): AsyncGenerator<Stored> {
    const prefix = derivation === undefined ? chunksPrefix : `${chunksPrefix}${derivation}/`;
    for await (const { name, bytes, modifiedAtMs } of everyObject(this.#parts.store, prefix)) {
      const chunk = chunkOfName(name);
      if (chunk !== undefined) yield { chunk, bytes, modifiedAtMs };
    }
  }

  /** When it returns, what was recorded is in the store. */
  async #flush(lostBefore?: number): Promise<void> {
    const { ledger } = this.#parts;
    const { recorded, lost } = ledger.counters;
    await ledger.flush();
    if (ledger.counters.flushed + ledger.counters.lost >= recorded && ledger.counters.lost === (lostBefore ?? lost))
      return;
    throw new EvokeError('STORE_UNAVAILABLE', { detail: 'The ledger could not be written while it was reconciled.' });
  }

  /** Up to when everything stored has been compared; 0 when nobody knows, or the record does not read. */
  async #doneUntil(nowMs: number): Promise<number> {
    const record = await readRecord(this.#parts.store, recordName, reconciledRecord).catch(() => undefined);
    const untilMs = record === undefined ? 0 : Date.parse(record.until);
    // In the future: it was written by a clock that has been set right since, and says nothing.
    return untilMs > nowMs ? 0 : untilMs;
  }
}

/** What the worker would have told. Undefined when the trailer is not that chunk's, or cannot be. */
function making({ chunk, bytes }: Stored, provenance: Provenance | undefined): Making | undefined {
  if (provenance === undefined || !isOf(chunk, provenance)) return undefined;
  const made = makingOf(chunk, bytes, provenance);
  return [...made.remakes, made.generation].every(isRecordable) ? made : undefined;
}

function isOf(chunk: ChunkRef, provenance: Provenance): boolean {
  const { derivationId, startEvent, lastEvent, batchEvents } = provenance;
  const range = { first: startEvent - 1, end: lastEvent };
  return chunkKey({ derivation: derivationId, batchEvents, range }) === chunkKey(chunk);
}
