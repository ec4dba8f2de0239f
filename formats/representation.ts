// A representation is an event range in one format. Its entity tag is known before anything is generated, because the
// bytes are a pure function of what the tag is made of.
import type { Grid } from '../core/chunk.ts';
import type { Column } from '../core/columns.ts';
import { canonicalJson, sha256Hex } from '../core/derivation.ts';
import type { EventRange } from '../core/event-range.ts';
import { eventNumber } from '../core/event-range.ts';
import { arrowWriter } from './arrow-writer.ts';
import { ndjsonWriter } from './ndjson.ts';

export type FormatName = 'arrow' | 'ndjson';

export interface Format {
  readonly name: FormatName;
  readonly mediaType: string;
  /** Without the dot. */
  readonly extension: string;
  /** The format's writer and codec build: another writer may write other bytes. */
  readonly writer: string;
  /** Whether record batches show in the bytes, so that the grid is part of their identity. */
  readonly showsGrid: boolean;
}

export const formats: Readonly<Record<FormatName, Format>> = {
  arrow: {
    name: 'arrow',
    mediaType: 'application/vnd.apache.arrow.stream',
    extension: 'arrows',
    writer: arrowWriter,
    showsGrid: true,
  },
  ndjson: {
    name: 'ndjson',
    mediaType: 'application/x-ndjson',
    extension: 'ndjson',
    writer: ndjsonWriter,
    showsGrid: false,
  },
};

/** Formats of the contract that this build does not write yet: known by name, answered 406. */
export const formatsToCome: readonly string[] = ['parquet', 'hepmc3'];

/** What is asked for: events of one derivation, cut on its dataset's grid. */
export interface Selection {
  readonly derivationId: string;
  readonly grid: Grid;
  readonly range: EventRange;
  /** All columns of the dataset, in its order: what is stored. */
  readonly datasetColumns: readonly Column[];
  /** The chosen ones, in the dataset's order, without duplicates. */
  readonly columns: readonly Column[];
}

/** The strong entity tag's value, 64 hex digits without quotes. */
export function entityTag(format: Format, selection: Selection): string {
  const { derivationId, range, columns, grid } = selection;
  return sha256Hex(
    canonicalJson({
      derivation: derivationId,
      startEvent: eventNumber(range.first),
      lastEvent: range.end,
      format: format.name,
      columns: columns.map((column) => column.name),
      writer: format.writer,
      ...(format.showsGrid ? { chunkEvents: grid.chunkEvents, batchEvents: grid.batchEvents } : {}),
    }),
  );
}

/**
 * Turns stored chunks into the bytes of one representation. Ask for the head, then for every chunk in order, then for the
 * tail; end to end they are the body. Pieces are at most about 1 MiB, so that a reader's pace is felt.
 */
export interface RangeEncoder {
  head(): Buffer[];
  /** `stored`: a chunk at rest (trailer included), not changed and not moved; `part`: those of its events that are asked for. */
  chunk(stored: Buffer, part: EventRange): AsyncIterable<Buffer>;
  tail(): Buffer[];
}
