// Looks at everything in a store: what was never finished, what is damaged, what belongs to nothing, what nobody knows.
// With `repair`, what can be mended without a person's decision is; nothing is ever deleted that might be somebody's.
import { type ChunkRef, chunkKey } from '../core/chunk.ts';
import type { Clock } from '../core/clock.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import { type LedgerSink, noLedger } from '../core/ledger.ts';
import { verifyChunk } from '../formats/chunk-file.ts';
import type { Catalog } from './catalog.ts';
import { digestsName } from './chunk-names.ts';
import { isOnGrid } from './chunks.ts';
import { readDigests } from './digests.ts';
import { evictionOfDamaged } from './gone.ts';
import { placeOf } from './layout.ts';
import { quarantine } from './quarantine.ts';
import { listLimitMax, type ObjectInfo, type StoreBackend } from './store.ts';

export interface Finding {
  readonly kind: 'leftover' | 'damaged' | 'different' | 'orphan' | 'record' | 'unknown' | 'unreadable' | 'ledger';
  /** Of the object. */
  readonly name: string;
  /** What is wrong, a sentence. */
  readonly problem: string;
  /** What a repair does about it, or has done; null where a person has to decide. */
  readonly repair: string | null;
  readonly repaired: boolean;
}

export interface Inspected {
  readonly objects: number;
  readonly chunks: number;
  /** Of chunks. */
  readonly bytes: number;
  readonly quarantined: number;
}

export interface InspectionParts {
  /** Bare: a verifying one would put things away by itself. */
  readonly store: StoreBackend;
  readonly catalog: Pick<Catalog, 'datasetsSharing'>;
  readonly clock: Clock;
  /** Told of chunks that a repair puts into quarantine. */
  readonly ledger?: LedgerSink;
  readonly repair: boolean;
  /** Younger unfinished writes may be going on, and are let be. */
  readonly leftoverAgeMs: number;
}

/** Chunks of up to 8 MiB that are in memory together. */
const looksAtOnce = 8;
/** There are as many as writers that died; more of them are counted, and not named. */
const leftoversNamedMax = 1000;

export class Inspection {
  readonly #parts: InspectionParts;
  readonly #seen = { objects: 0, chunks: 0, bytes: 0, quarantined: 0 };

  constructor(parts: InspectionParts) {
    this.#parts = parts;
  }

  /** How far it has come. */
  get seen(): Inspected {
    return this.#seen;
  }

  /**
   * What is found, in the order of the names. `step` is called again and again on the way.
   * @throws EvokeError STORE_UNAVAILABLE when nothing can be listed, or the signal's reason
   */
  async *findings(signal: AbortSignal, step: () => void = () => undefined): AsyncGenerator<Finding> {
    yield* await this.#leftovers();
    const { store } = this.#parts;
    let after: string | undefined;
    for (;;) {
      const page = await store.list('', after === undefined ? {} : { after });
      for (let at = 0; at < page.length; at += looksAtOnce) {
        signal.throwIfAborted();
        const found = await Promise.all(page.slice(at, at + looksAtOnce).map((info) => this.#look(info)));
        for (const finding of found) if (finding !== undefined) yield finding;
        step();
      }
      after = page.at(-1)?.name;
      if (page.length < listLimitMax) break;
    }
    if (this.#seen.objects === 0 || (await store.head('store.json')) !== undefined) return;
    const problem =
      'It is missing: this is no store, or the next start gives it a new id. Until then nothing is repaired.';
    yield { kind: 'record', name: 'store.json', problem, repair: null, repaired: false };
  }

  async #leftovers(): Promise<Finding[]> {
    const { store, repair, leftoverAgeMs } = this.#parts;
    const names: string[] = [];
    let more = 0;
    await store.removeLeftovers(leftoverAgeMs, (name) => {
      if (names.length < leftoversNamedMax) names.push(name);
      else more++;
      return repair;
    });
    const kept = { kind: 'leftover', repair: 'it is removed', repaired: repair } as const;
    const findings: Finding[] = names.map((name) => ({ ...kept, name, problem: 'A write that was never finished.' }));
    if (more > 0) findings.push({ ...kept, name: '…', problem: `${more} more writes that were never finished.` });
    return findings;
  }

  async #look({ name, bytes }: ObjectInfo): Promise<Finding | undefined> {
    const place = placeOf(name);
    this.#seen.objects++;
    const unrepaired = { name, repair: null, repaired: false };
    try {
      if (place === undefined) {
        return {
          ...unrepaired,
          kind: 'unknown',
          problem: 'No object of the service has such a name.',
        };
      }
      if (place.kind === 'quarantine') this.#seen.quarantined++;
      if (place.kind === 'record') {
        const problem = await place.problem(this.#parts.store);
        if (problem === undefined) return undefined;
        const hint = place.isProgress ? ' evoke rebuild removes it, and it is worked out again.' : '';
        return { ...unrepaired, kind: 'record', problem: problem + hint };
      }
      if (place.kind !== 'chunk') return undefined;
      this.#seen.chunks++;
      this.#seen.bytes += bytes;
      return await this.#lookAtChunk(name, place.chunk);
    } catch (error) {
      if (!(error instanceof EvokeError)) throw error;
      return { ...unrepaired, kind: 'unreadable', problem: messageOf(error) };
    }
  }

  async #lookAtChunk(name: string, chunk: ChunkRef): Promise<Finding | undefined> {
    const { store, catalog } = this.#parts;
    const stored = await store.get(name);
    // Evicted since it was listed.
    if (stored === undefined) return undefined;
    const key = chunkKey(chunk);
    let made: Awaited<ReturnType<typeof verifyChunk>>;
    try {
      made = await verifyChunk(key, stored);
    } catch (error) {
      if (!(error instanceof EvokeError) || error.code !== 'CHUNK_DAMAGED') throw error;
      return this.#damaged(name, key, stored, messageOf(error).replace(`Chunk ${key} is`, 'The chunk is'));
    }
    const unrepaired = { name, repair: null, repaired: false };
    const datasets = await catalog.datasetsSharing(chunk.derivation, chunk.batchEvents);
    if (!datasets.some((dataset) => isOnGrid(chunk.range, dataset))) {
      const asked = made.dataset === undefined ? '' : `; it was made for ${made.dataset}`;
      return { ...unrepaired, kind: 'orphan', problem: `No declared dataset has this chunk${asked}.` };
    }
    const recorded = await readDigests(store, digestsName(chunk));
    const other = recorded.find(({ writer, digest }) => writer === made.writer && digest !== made.digest);
    if (other === undefined) return undefined;
    const problem = `It is whole, but the same writer once gave this chunk the digest ${other.digest}: the generator is not reproducible, or one of them is wrong.`;
    return { ...unrepaired, kind: 'different', problem };
  }

  async #damaged(name: string, key: string, stored: Buffer, problem: string): Promise<Finding> {
    const { store, repair, clock, ledger = noLedger } = this.#parts;
    const atMs = clock.now();
    const isGone = repair && (await quarantine(store, name, stored));
    if (isGone) ledger.record(evictionOfDamaged(key, stored, atMs));
    const what = 'it goes into quarantine, and is made again when somebody asks';
    // What somebody else has put away meanwhile is as good as repaired.
    return { kind: 'damaged', name, problem, repair: what, repaired: repair };
  }
}
