// A segment of the ledger: entries in a Parquet file that any tool can query, in the ledger's order, with a digest over
// all of the file. The same entries are the same bytes.
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import {
  type DecodedArray,
  type FileMetaData,
  parquetMetadata,
  parquetScan,
  type RowGroup,
  type SchemaElement,
} from 'hyparquet';
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer';
import { messageOf } from '../../core/errors.ts';
import type { LedgerEntry } from '../../core/ledger.ts';
import type { Origin } from './names.ts';
import { compareEntries } from './order.ts';
import { entryOf, type LedgerColumn, ledgerColumns, originOf, type RowReader } from './schema.ts';

/** What goes into a segment. */
export interface SegmentContent {
  readonly entries: readonly LedgerEntry[];
  /** Where each entry was first written, or all of them: here. */
  readonly origins: readonly Origin[] | Origin;
  /** Of a merged segment: the origins whose entries it has, all of them: SegmentSet writes it. */
  readonly covers?: string | undefined;
}

export interface SegmentRows {
  /** In the ledger's order. */
  readonly entries: LedgerEntry[];
  readonly origins: Origin[];
}

/** A file whose bytes are those that were written. */
export interface OpenSegment {
  readonly rows: number;
  /** Undefined when it covers its own origin alone. */
  readonly covers: string | undefined;
  /** All of it, part by part. */
  readonly parts: readonly SegmentPart[];
}

/** Some thousand rows of a segment, which can be read without the others. */
export interface SegmentPart {
  /** None of its entries is earlier. */
  readonly fromMs: number;
  /** Gives the event loop a turn between columns, so that a large one keeps nobody waiting. @throws SegmentDamaged */
  read(): Promise<SegmentRows>;
}

/** The bytes are not a whole segment as it was written. */
export class SegmentDamaged extends Error {}

const digestKey = 'evoke.sha256';
const coversKey = 'evoke.covers';
/** Stands where the digest will be while it is taken. */
const noDigest = '0'.repeat(64);
const rowGroupRows = 8192;
/** Rows made between two turns of the event loop. */
const turnEveryRows = 512;

const schema: SchemaElement[] = [
  { name: 'root', num_children: ledgerColumns.length },
  ...ledgerColumns.map(schemaElement),
];

/** The file. Takes about 3 µs an entry. */
export function encodeSegment({ entries, origins, covers }: SegmentContent): Buffer {
  const rows = entries.map((entry, at) => ({ entry, origin: originOfRow(origins, at) }));
  rows.sort((a, b) => compareEntries(a.entry, b.entry) || compareOrigins(a.origin, b.origin));
  const columnData = ledgerColumns.map(({ name, type, value }): ColumnSource => {
    const values = rows.map(({ entry, origin }) => value(entry, origin));
    return { name, data: type === 'text' ? values : values.map((whole) => (whole === null ? null : BigInt(whole))) };
  });
  const file = Buffer.from(
    parquetWriteBuffer({
      columnData,
      schema,
      rowGroupSize: rowGroupRows,
      createdBy: 'evoke',
      kvMetadata: [
        ...(covers === undefined ? [] : [{ key: coversKey, value: covers }]),
        { key: digestKey, value: noDigest },
      ],
    }),
  );
  file.write(digestOf(file, digestPlace(file)), digestPlace(file), 'latin1');
  return file;
}

/** @throws SegmentDamaged */
export function openSegment(file: Buffer): OpenSegment {
  const place = digestPlace(file);
  if (digestOf(file, place) !== file.toString('latin1', place, place + noDigest.length)) {
    throw new SegmentDamaged('Its digest is not that of its bytes.');
  }
  const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
  const metadata = legible(() => parquetMetadata(buffer));
  return {
    rows: Number(metadata.num_rows),
    covers: metadata.key_value_metadata?.find(({ key }) => key === coversKey)?.value,
    parts: partsOf(buffer, metadata),
  };
}

/** All that several parts hold, one after the other. @throws SegmentDamaged */
export async function readParts(parts: readonly SegmentPart[]): Promise<SegmentRows> {
  const all: SegmentRows = { entries: [], origins: [] };
  for (const part of parts) {
    const { entries, origins } = await part.read();
    for (const entry of entries) all.entries.push(entry);
    for (const origin of origins) all.origins.push(origin);
  }
  return all;
}

export function originOfRow(origins: SegmentContent['origins'], at: number): Origin {
  return (Array.isArray(origins) ? origins[at] : origins) as Origin;
}

/** A part for every row group. */
function partsOf(buffer: ArrayBuffer, metadata: FileMetaData): SegmentPart[] {
  let end = 0;
  return metadata.row_groups.map((group) => {
    const rowStart = end;
    end += Number(group.num_rows);
    const rowEnd = end;
    const read = async () => {
      try {
        return await readRows(buffer, metadata, rowStart, rowEnd);
      } catch (error) {
        throw notLegible(error);
      }
    };
    return { fromMs: earliest(group), read };
  });
}

/** As the file says it; the beginning of time when it does not. */
function earliest({ columns }: RowGroup): number {
  const time = columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === 'time');
  const min = time?.meta_data?.statistics?.min_value;
  return min instanceof Date ? min.getTime() : 0;
}

async function readRows(
  buffer: ArrayBuffer,
  metadata: FileMetaData,
  rowStart: number,
  rowEnd: number,
): Promise<SegmentRows> {
  // For these rows alone: a scan keeps what it read last.
  const scan = await parquetScan({
    file: { byteLength: buffer.byteLength, slice: (start, end) => buffer.slice(start, end) },
    metadata,
    rowStart,
    rowEnd,
    useOffsetIndex: false,
    parsers: { timestampFromMilliseconds: Number, stringFromBytes },
  });
  const entries: LedgerEntry[] = [];
  const origins: Origin[] = [];
  const columns = new Map<string, DecodedArray>();
  for (const { name } of ledgerColumns) {
    columns.set(name, await scan.readColumn({ column: name, rowStart, rowEnd }));
    if (rowEnd - rowStart > turnEveryRows) await setImmediate();
  }
  for (let row = 0; row < rowEnd - rowStart; row++) {
    const reader: RowReader = (name) => columns.get(name)?.[row];
    entries.push(entryOf(reader));
    origins.push(originOf(reader));
    if ((row + 1) % turnEveryRows === 0) await setImmediate();
  }
  return { entries, origins };
}

function schemaElement({ name, type, isOptional }: LedgerColumn): SchemaElement {
  const repetition_type = isOptional ? 'OPTIONAL' : 'REQUIRED';
  if (type === 'text') return { name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type };
  if (type === 'time') return { name, type: 'INT64', converted_type: 'TIMESTAMP_MILLIS', repetition_type };
  return { name, type: 'INT64', repetition_type };
}

/** As it was given: the usual decoder would take a byte order mark away. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
function stringFromBytes(bytes: Uint8Array | undefined): string | undefined {
  return bytes && utf8.decode(bytes);
}

/** Where the digest's 64 characters begin. Its key is the last the file names. */
function digestPlace(file: Buffer): number {
  const key = file.lastIndexOf(digestKey);
  // After the key: the type and the length of the value, one byte each.
  const place = key + digestKey.length + 2;
  if (key < 0 || place + noDigest.length > file.length) throw new SegmentDamaged('It has no digest.');
  return place;
}

/** SHA-256 of all bytes but the digest's own, which count as zeros. */
function digestOf(file: Buffer, place: number): string {
  return createHash('sha256')
    .update(file.subarray(0, place))
    .update(noDigest)
    .update(file.subarray(place + noDigest.length))
    .digest('hex');
}

function legible<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw notLegible(error);
  }
}

/** The digest is right, so this was written by something else, or by a later version. */
function notLegible(error: unknown): SegmentDamaged {
  return new SegmentDamaged(`It does not read as a segment: ${messageOf(error)}`, { cause: error });
}

function compareOrigins(a: Origin, b: Origin): number {
  if (a.process !== b.process) return a.process < b.process ? -1 : 1;
  return a.n - b.n;
}
