// Holds the ledger against what is stored: of every chunk it tells what the chunk's own trailer says, of its making and of
// what was made again on the way. Told twice is once; told otherwise, or not at all, is wrong.
import { chunkKey } from '../../../core/chunk.ts';
import type { LedgerEntry } from '../../../core/ledger.ts';
import type { Provenance } from '../../../core/provenance.ts';
import { readLedger } from '../../../costs/ledger/reader.ts';
import { Chunks } from '../../../store/chunks.ts';
import { openStore } from '../../../store/open-store.ts';

/** `spoilt`: keys of chunks that were meddled with. */
export async function compareLedger(
  folder: string,
  spoilt: ReadonlySet<string>,
): Promise<{ readonly kinds: ReadonlyMap<string, number>; readonly problems: readonly string[] }> {
  const { store } = await openStore({ kind: 'file', folder });
  const chunks = new Chunks(store);
  const told = new Map<string, LedgerEntry[]>();
  const kinds = new Map<string, number>();
  for await (const entry of readLedger(store, {})) {
    const kind = 'cause' in entry ? `${entry.kind} ${entry.cause}` : entry.kind;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (entry.kind !== 'generation' && entry.kind !== 'remake') continue;
    const name = `${chunkKey(entry)} ${entry.atMs}`;
    told.set(name, [...(told.get(name) ?? []), entry]);
  }
  const problems: string[] = [];
  for await (const { chunk, bytes } of chunks.all()) {
    const key = chunkKey(chunk);
    const trailer = await chunks.trailer(chunk);
    if (trailer === undefined) {
      problems.push(`${key} cannot be read (${spoilt.has(key) ? 'it was spoilt once' : 'nobody touched it'}).`);
      continue;
    }
    for (const due of dueOf(trailer, bytes)) {
      const { derivation, batchEvents, atMs } = due;
      const found = told.get(`${chunkKey({ derivation, batchEvents, range: chunk.range })} ${atMs}`) ?? [];
      const isTold = found.length > 0 && found.every((entry) => isAsDue(entry, due));
      if (!isTold) problems.push(`${key}: ${JSON.stringify(due)} is due, and the ledger has ${JSON.stringify(found)}.`);
    }
  }
  await store.close();
  return { kinds, problems };
}

interface Due {
  readonly kind: 'generation' | 'remake';
  readonly derivation: string;
  readonly batchEvents: number;
  readonly atMs: number;
  readonly cpuMicros: number;
  /** At rest; nothing of a remake is kept. */
  readonly bytes?: number;
}

function dueOf(trailer: Provenance, bytes: number): Due[] {
  const { derivationId: derivation, batchEvents, generatedAt, cpuSeconds, inputs = [] } = trailer;
  const atMs = Date.parse(generatedAt);
  const remakes = inputs
    .map(
      (input): Due => ({
        kind: 'remake',
        derivation: input.derivationId,
        batchEvents: input.batchEvents,
        atMs,
        cpuMicros: micros(input.cpuSeconds),
      }),
    )
    .filter(({ cpuMicros }) => cpuMicros > 0);
  return [{ kind: 'generation', derivation, batchEvents, atMs, cpuMicros: micros(cpuSeconds), bytes }, ...remakes];
}

function micros(seconds: number): number {
  return Math.round(seconds * 1e6);
}

function isAsDue(entry: LedgerEntry, due: Due): boolean {
  if (entry.kind !== due.kind || !('cpuMicros' in entry) || entry.cpuMicros !== due.cpuMicros) return false;
  return due.bytes === undefined || ('bytes' in entry && entry.bytes === due.bytes);
}
