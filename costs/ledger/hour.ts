// The segments of one hour: which there are, which count, and what is in them. Every segment covers origins: a plain one
// its own, a merged one those it was made of. An entry counts once, from the first segment that covers its origin; so it
// matters little which of the segments it was merged from are deleted already, or who else merged some of them.
import { setImmediate } from 'node:timers/promises';
import { listLimitMax, type Store } from '../../store/store.ts';
import { hourPrefix, isMerged, ledgerPrefix, type Origin, type SegmentId, segmentOfName } from './names.ts';
import { type OpenSegment, openSegment, SegmentDamaged, type SegmentPart, type SegmentRows } from './segment.ts';
import { SegmentSet } from './segment-set.ts';

export type LedgerStore = Pick<Store, 'get' | 'list'>;

export interface ListedSegment {
  readonly id: SegmentId;
  readonly name: string;
  readonly bytes: number;
}

export interface ListedHour {
  /** The beginning of the hour, milliseconds since the epoch. */
  readonly hourMs: number;
  /** In the order of their names. */
  readonly segments: readonly ListedSegment[];
}

/** A segment that counts. */
export interface LiveSegment extends ListedSegment {
  /** The origins whose entries count here. */
  readonly covers: SegmentSet;
  readonly rows: number;
  /** Of the entries that count. */
  readonly parts: readonly SegmentPart[];
}

export interface OpenHour {
  readonly live: readonly LiveSegment[];
  /** Those whose origins others cover. */
  readonly redundant: readonly ListedSegment[];
  /** Those that cannot be read, with the reason. */
  readonly damaged: readonly DamagedSegment[];
}

export interface DamagedSegment extends ListedSegment {
  readonly detail: string;
}

const readsAtOnce = 8;
/** A segment that is gone was merged a moment ago: one more look finds where its entries are now. */
const looksMax = 5;

/** The hours that have segments, in order, from that of `fromMs` to that before `toMs`. @throws EvokeError STORE_UNAVAILABLE */
export async function* ledgerHours(
  store: LedgerStore,
  { fromMs = 0, toMs }: { readonly fromMs?: number | undefined; readonly toMs?: number | undefined } = {},
): AsyncGenerator<ListedHour> {
  let hour: { hourMs: number; segments: ListedSegment[] } | undefined;
  for await (const segment of listed(store, fromMs)) {
    const { hourMs } = segment.id;
    if (toMs !== undefined && hourMs >= toMs) break;
    if (hour?.hourMs !== hourMs) {
      if (hour !== undefined) yield hour;
      hour = { hourMs, segments: [] };
    }
    hour.segments.push(segment);
  }
  if (hour !== undefined) yield hour;
}

/** Fetches the segments of an hour that count; their bytes stay in memory. @throws EvokeError STORE_UNAVAILABLE */
export async function openHour(store: LedgerStore, { hourMs, segments }: ListedHour): Promise<OpenHour> {
  let current = segments;
  for (let look = 1; ; look++) {
    const hour = await openOnce(store, current);
    if (hour !== 'changed') return hour;
    current = [];
    for await (const again of ledgerHours(store, { fromMs: hourMs, toMs: hourMs + 1 })) current = again.segments;
    if (look === looksMax) return { live: [], redundant: [], damaged: current.map(cannotBeHad) };
  }
}

async function openOnce(store: LedgerStore, segments: readonly ListedSegment[]): Promise<OpenHour | 'changed'> {
  const damaged: DamagedSegment[] = [];
  const fetched = await openAll(
    store,
    segments.filter(({ id }) => isMerged(id)),
    damaged,
  );
  if (fetched === 'changed') return 'changed';
  // The largest first: what came of several mergings stands before what went into it.
  fetched.sort((a, b) => b.covers.size - a.covers.size || (a.listed.name < b.listed.name ? -1 : 1));
  const covered = new SegmentSet();
  const live: LiveSegment[] = [];
  const redundant: ListedSegment[] = [];
  for (const { listed, covers, file } of fetched) {
    if (covered.includes(covers)) {
      redundant.push(listed);
      continue;
    }
    const own = covers.minus(covered);
    const parts = file.parts.map(({ fromMs, read }) => ({ fromMs, read: async () => only(own, await read()) }));
    live.push({ ...listed, covers: own, rows: file.rows, parts });
    covered.addAll(covers);
  }
  const plain = segments.filter(({ id }) => !isMerged(id));
  redundant.push(...plain.filter(({ id }) => covered.has(id)));
  const others = await openAll(
    store,
    plain.filter(({ id }) => !covered.has(id)),
    damaged,
  );
  if (others === 'changed') return 'changed';
  for (const { listed, covers, file } of others) {
    live.push({ ...listed, covers, rows: file.rows, parts: file.parts });
  }
  return { live, redundant, damaged };
}

interface Fetched {
  readonly listed: ListedSegment;
  readonly covers: SegmentSet;
  readonly file: OpenSegment;
}

async function openAll(
  store: LedgerStore,
  segments: readonly ListedSegment[],
  damaged: DamagedSegment[],
): Promise<Fetched[] | 'changed'> {
  const all: Fetched[] = [];
  for (let first = 0; first < segments.length; first += readsAtOnce) {
    const some = segments.slice(first, first + readsAtOnce);
    const files = await Promise.all(some.map(({ name }) => store.get(name)));
    for (const [at, listed] of some.entries()) {
      const bytes = files[at];
      if (bytes === undefined) return 'changed';
      try {
        const file = openSegment(bytes);
        all.push({ listed, file, covers: coversOf(listed.id, file) });
      } catch (error) {
        if (!(error instanceof SegmentDamaged)) throw error;
        damaged.push({ ...listed, detail: error.message });
      }
      // A large one takes milliseconds to check.
      await setImmediate();
    }
  }
  return all;
}

function coversOf(own: Origin, { covers }: OpenSegment): SegmentSet {
  if (covers !== undefined) {
    try {
      return SegmentSet.ofText(covers);
    } catch (error) {
      throw new SegmentDamaged('It does not say what it was merged from.', { cause: error });
    }
  }
  const set = new SegmentSet();
  set.add(own);
  return set;
}

function only(own: SegmentSet, rows: SegmentRows): SegmentRows {
  const counts = rows.origins.map((origin) => own.has(origin));
  if (counts.every((isOwn) => isOwn)) return rows;
  return {
    entries: rows.entries.filter((_, row) => counts[row]),
    origins: rows.origins.filter((_, row) => counts[row]),
  };
}

function cannotBeHad(segment: ListedSegment): DamagedSegment {
  return { ...segment, detail: 'It was listed, and gone when it was to be read.' };
}

async function* listed(store: LedgerStore, fromMs: number): AsyncGenerator<ListedSegment> {
  let after = hourPrefix(Math.max(0, fromMs));
  for (;;) {
    const page = await store.list(ledgerPrefix, { after });
    for (const { name, bytes } of page) {
      const id = segmentOfName(name);
      if (id !== undefined) yield { id, name, bytes };
    }
    after = page.at(-1)?.name ?? after;
    if (page.length < listLimitMax) return;
  }
}
