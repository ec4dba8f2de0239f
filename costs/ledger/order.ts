// The order of the ledger: by time, and by content where times agree, so that it is the same however entries were
// spread over processes and segments. Of one making that was told twice, the telling that comes first here counts.
import type { LedgerEntry } from '../../core/ledger.ts';

/** Within a millisecond: what made a chunk, what came to nothing, that it was stored, its uses, its end. */
const rank: Readonly<Record<LedgerEntry['kind'], number>> = {
  generation: 0,
  remake: 1,
  waste: 2,
  put: 3,
  access: 4,
  eviction: 5,
};

/** Total: 0 only for entries that are equal in all they say. */
export function compareEntries(a: LedgerEntry, b: LedgerEntry): number {
  return (
    a.atMs - b.atMs ||
    rank[a.kind] - rank[b.kind] ||
    compareTexts(a.derivation, b.derivation) ||
    a.batchEvents - b.batchEvents ||
    a.range.first - b.range.first ||
    a.range.end - b.range.end ||
    compareTexts(a.dataset, b.dataset) ||
    compareTexts(a.generator, b.generator) ||
    compareDetails(a, b)
  );
}

/**
 * Both tell of the same generation, or of the same put: the chunk and the time name it. Of one remaking of an input all tellings
 * are equal, and nothing less than all they say names it: one request may make several chunks of the same events at a time.
 */
export function tellTheSame(a: LedgerEntry, b: LedgerEntry): boolean {
  if (a.kind === 'remake') return compareEntries(a, b) === 0;
  return (
    (a.kind === 'generation' || a.kind === 'put') &&
    a.kind === b.kind &&
    a.atMs === b.atMs &&
    a.derivation === b.derivation &&
    a.batchEvents === b.batchEvents &&
    a.range.first === b.range.first &&
    a.range.end === b.range.end
  );
}

function compareDetails(a: LedgerEntry, b: LedgerEntry): number {
  const [left, right] = [details(a), details(b)];
  for (let i = 0; i < left.length; i++) {
    const [x, y] = [left[i] ?? 0, right[i] ?? 0];
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

/** What only the kind has; entries of one kind have the same list. */
function details(entry: LedgerEntry): readonly (string | number)[] {
  switch (entry.kind) {
    case 'generation':
      return [entry.requestId, entry.batch, entry.attempt, entry.cpuMicros, entry.wallMicros, entry.bytes];
    case 'remake':
      return [entry.requestId, entry.batch, entry.attempt, entry.cpuMicros, entry.wallMicros];
    case 'waste':
      return [entry.requestId, entry.batch, entry.attempt, entry.cpuMicros, entry.wallMicros, entry.cause];
    case 'put':
      return [entry.bytes];
    case 'access':
      return [entry.requestId, entry.means, entry.events, entry.bytesServed, entry.waitMicros];
    case 'eviction':
      return [entry.cause, entry.bytes];
  }
}

/** By UTF-16 code units: cheap, and the same everywhere. */
function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
