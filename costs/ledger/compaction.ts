// Merges the segments of hours that are over, so that a year of the ledger is thousands of objects and not millions.
// Nothing is deleted before what replaces it was read back; wherever this stops, every entry still counts once.
import { createHash } from 'node:crypto';
import type { LedgerEntry } from '../../core/ledger.ts';
import type { Log } from '../../core/log.ts';
import type { Store } from '../../store/store.ts';
import type { SegmentEncoder } from './encoder.ts';
import { type ListedHour, type LiveSegment, ledgerHours, openHour } from './hour.ts';
import { hourMs, mergedProcess, type Origin, segmentName } from './names.ts';
import { readParts, SegmentDamaged } from './segment.ts';
import { SegmentSet } from './segment-set.ts';

export interface CompactionOptions {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly encoder: Pick<SegmentEncoder, 'encode'>;
  readonly log: Log;
  /** Merged segments grow to about this size (default 4 MiB, some 300,000 entries). */
  readonly bytesMax?: number;
  /** No merge is begun after this time (default one minute); the next round goes on. */
  readonly roundMs?: number;
}

export interface CompactionReport {
  /** Segments written, each in the place of several. */
  readonly merged: number;
  /** Segments that others replace, deleted. */
  readonly deleted: number;
  /** Segments that cannot be read; they stay where they are. */
  readonly damaged: number;
  /** Whether all that was to be merged has been. */
  readonly isComplete: boolean;
}

/** After the end of an hour, for what is still on its way. What comes later is merged later. */
const settleMs = 300_000;
const bytesMaxDefault = 4 * 1024 * 1024;
const roundMsDefault = 60_000;
/** In one merged segment; held in memory while it is made: about 300 MB. */
const rowsMax = 524_288;

/**
 * One round over the whole ledger. Two at once are harmless.
 * @throws EvokeError STORE_UNAVAILABLE, or the signal's reason; another round goes on from there
 */
export async function compact(
  store: Store,
  options: CompactionOptions,
  signal?: AbortSignal,
): Promise<CompactionReport> {
  const report = { merged: 0, deleted: 0, damaged: 0, isComplete: true };
  const { nowMs, encoder, log, bytesMax = bytesMaxDefault, roundMs = roundMsDefault } = options;
  const endsAt = performance.now() + roundMs;
  for await (const hour of ledgerHours(store, { toMs: nowMs - settleMs - hourMs + 1 })) {
    signal?.throwIfAborted();
    // Seen from the listing: most hours have been merged long ago.
    if (hour.segments.filter(({ bytes }) => bytes < bytesMax / 2).length < 2) continue;
    if (performance.now() > endsAt) return { ...report, isComplete: false };
    await compactHour(store, hour, { encoder, log, bytesMax }, report, signal);
  }
  return report;
}

type Options = Required<Pick<CompactionOptions, 'encoder' | 'log' | 'bytesMax'>>;
type Tally = { -readonly [K in keyof CompactionReport]: CompactionReport[K] };

async function compactHour(store: Store, hour: ListedHour, options: Options, tally: Tally, signal?: AbortSignal) {
  const { live, redundant, damaged } = await openHour(store, hour);
  tally.damaged += damaged.length;
  for (const { name } of redundant) {
    signal?.throwIfAborted();
    if (await store.delete(name)) tally.deleted++;
  }
  for (const group of groupsOf(live, options.bytesMax)) {
    signal?.throwIfAborted();
    await mergeGroup(store, hour, group, options, tally);
  }
}

/** Small segments, several together. */
function groupsOf(live: readonly LiveSegment[], bytesMax: number): LiveSegment[][] {
  const groups: LiveSegment[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  let rows = 0;
  for (const segment of live) {
    if (segment.bytes >= bytesMax / 2) continue;
    bytes += segment.bytes;
    rows += segment.rows;
    if (bytes > bytesMax || rows > rowsMax) {
      groups.push([]);
      bytes = segment.bytes;
      rows = segment.rows;
    }
    groups.at(-1)?.push(segment);
  }
  return groups.filter((group) => group.length > 1);
}

async function mergeGroup(store: Store, hour: ListedHour, group: LiveSegment[], options: Options, tally: Tally) {
  const { encoder, log } = options;
  const covers = new SegmentSet();
  const entries: LedgerEntry[] = [];
  const origins: Origin[] = [];
  const sources: LiveSegment[] = [];
  for (const segment of group) {
    try {
      const rows = await readParts(segment.parts);
      for (const entry of rows.entries) entries.push(entry);
      for (const origin of rows.origins) origins.push(origin);
      covers.addAll(segment.covers);
      sources.push(segment);
    } catch (error) {
      if (!(error instanceof SegmentDamaged)) throw error;
      tally.damaged++;
      log.warn({ segment: segment.name, detail: error.message }, 'a segment of the ledger is damaged: not merged');
    }
  }
  if (sources.length < 2) return;
  // Named by what it covers: whoever merges the same writes the same.
  const text = covers.toText();
  const process = mergedProcess(createHash('sha256').update(text).digest('hex').slice(0, 32));
  const name = segmentName({ hourMs: hour.hourMs, process, n: 1 });
  const file = await encoder.encode({ entries, origins, covers: text });
  await store.put(name, [file]);
  if ((await store.get(name))?.equals(file) !== true) {
    log.error({ segment: name }, 'a merged segment of the ledger does not read as it was written: nothing is deleted');
    return;
  }
  tally.merged++;
  for (const source of sources) if (await store.delete(source.name)) tally.deleted++;
}
