// The columns of a segment and what they mean, in one place for writing, reading and documenting. A column that does not
// apply to a kind is null in its rows.
import type {
  AccessMeans,
  EvictionCause,
  Generation,
  LedgerEntry,
  Remake,
  Waste,
  WasteCause,
} from '../../core/ledger.ts';
import { type Origin, timeMaxMs } from './names.ts';

export interface LedgerColumn {
  readonly name: string;
  /** `whole`: a 64-bit integer; `time`: milliseconds since the epoch, UTC. */
  readonly type: 'time' | 'text' | 'whole';
  readonly isOptional: boolean;
  /** Null where it does not apply. */
  readonly value: (entry: LedgerEntry, origin: Origin) => string | number | null;
}

type Kind = LedgerEntry['kind'];

/** The value of a row's column. */
export type RowReader = (name: string) => unknown;

/** A row does not tell of an entry. */
export class NotAnEntry extends Error {}

function column(name: string, type: LedgerColumn['type'], value: LedgerColumn['value']): LedgerColumn {
  return { name, type, isOptional: false, value };
}

/** A column of those kinds that have the field. */
function some<K extends string>(name: string, type: LedgerColumn['type'], field: K): LedgerColumn {
  return {
    name,
    type,
    isOptional: true,
    value: (entry) => (entry as Partial<Record<K, string | number>>)[field] ?? null,
  };
}

export const ledgerColumns: readonly LedgerColumn[] = [
  column('time', 'time', (entry) => entry.atMs),
  column('kind', 'text', (entry) => entry.kind),
  column('dataset', 'text', (entry) => entry.dataset),
  column('generator', 'text', (entry) => entry.generator),
  column('derivation', 'text', (entry) => entry.derivation),
  column('batch_events', 'whole', (entry) => entry.batchEvents),
  // Event numbers as people see them: from 1, the last one included.
  column('start_event', 'whole', (entry) => entry.range.first + 1),
  column('last_event', 'whole', (entry) => entry.range.end),
  some('bytes', 'whole', 'bytes'),
  some('cpu_micros', 'whole', 'cpuMicros'),
  some('wall_micros', 'whole', 'wallMicros'),
  some('attempt', 'whole', 'attempt'),
  some('request_id', 'text', 'requestId'),
  some('batch', 'text', 'batch'),
  some('cause', 'text', 'cause'),
  some('means', 'text', 'means'),
  some('events', 'whole', 'events'),
  some('bytes_served', 'whole', 'bytesServed'),
  some('wait_micros', 'whole', 'waitMicros'),
  // Where it was first written: the process, and the number of its segment.
  column('process', 'text', (_entry, { process }) => process),
  column('segment', 'whole', (_entry, { n }) => n),
];

const kinds = ['generation', 'remake', 'waste', 'put', 'access', 'eviction'] as const satisfies readonly Kind[];
const wasteCauses = [
  'cancelled',
  'failed',
  'crashed',
  'duplicate',
  'unstored',
] as const satisfies readonly WasteCause[];
const accessMeans = ['memory', 'near', 'joined', 'generated'] as const satisfies readonly AccessMeans[];
const evictionCauses = ['asked', 'room', 'damaged', 'lost'] as const satisfies readonly EvictionCause[];

/** The entry of a row. @throws NotAnEntry */
export function entryOf(row: RowReader): LedgerEntry {
  const base = {
    atMs: whole(row, 'time'),
    dataset: text(row, 'dataset'),
    generator: text(row, 'generator'),
    derivation: text(row, 'derivation'),
    batchEvents: whole(row, 'batch_events'),
    range: { first: whole(row, 'start_event') - 1, end: whole(row, 'last_event') },
  };
  const work = () => ({
    cpuMicros: whole(row, 'cpu_micros'),
    wallMicros: whole(row, 'wall_micros'),
    attempt: whole(row, 'attempt'),
    requestId: text(row, 'request_id'),
    batch: text(row, 'batch'),
  });
  const kind = oneOf(row, 'kind', kinds);
  switch (kind) {
    case 'generation':
      return { kind, ...base, ...work(), bytes: whole(row, 'bytes') };
    case 'remake':
      return { kind, ...base, ...work() };
    case 'waste':
      return { kind, ...base, ...work(), cause: oneOf(row, 'cause', wasteCauses) };
    case 'put':
      return { kind, ...base, bytes: whole(row, 'bytes') };
    case 'access':
      return {
        kind,
        ...base,
        requestId: text(row, 'request_id'),
        means: oneOf(row, 'means', accessMeans),
        events: whole(row, 'events'),
        bytesServed: whole(row, 'bytes_served'),
        waitMicros: whole(row, 'wait_micros'),
      };
    case 'eviction':
      return { kind, ...base, bytes: whole(row, 'bytes'), cause: oneOf(row, 'cause', evictionCauses) };
  }
}

function whole(row: RowReader, name: string): number {
  const value = row(name);
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw new NotAnEntry(`${name}: ${String(value)}`);
  return number;
}

function text(row: RowReader, name: string): string {
  const value = row(name);
  if (typeof value !== 'string') throw new NotAnEntry(`${name}: ${String(value)}`);
  return value;
}

function oneOf<T extends string>(row: RowReader, name: string, allowed: readonly T[]): T {
  const value = text(row, name);
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new NotAnEntry(`${name}: ${value}`);
  return found;
}

/** Whether a segment can hold the entry exactly: whole quantities, a time that has a date, texts that are texts. */
export function isRecordable(entry: LedgerEntry): boolean {
  try {
    const { atMs, batchEvents, range, dataset, generator, derivation } = entry;
    return (
      isWhole(atMs) &&
      atMs <= timeMaxMs &&
      isWhole(batchEvents) &&
      isWhole(range.first) &&
      isWhole(range.end) &&
      range.first < range.end &&
      typeof dataset === 'string' &&
      typeof generator === 'string' &&
      typeof derivation === 'string' &&
      hasItsOwn(entry)
    );
  } catch {
    // Not even an object.
    return false;
  }
}

function hasItsOwn(entry: LedgerEntry): boolean {
  switch (entry.kind) {
    case 'generation':
      return isWork(entry) && isWhole(entry.bytes);
    case 'remake':
      return isWork(entry);
    case 'waste':
      return isWork(entry) && wasteCauses.includes(entry.cause);
    case 'put':
      return isWhole(entry.bytes);
    case 'access':
      return (
        typeof entry.requestId === 'string' &&
        accessMeans.includes(entry.means) &&
        isWhole(entry.events) &&
        isWhole(entry.bytesServed) &&
        isWhole(entry.waitMicros)
      );
    case 'eviction':
      return isWhole(entry.bytes) && evictionCauses.includes(entry.cause);
    default:
      return false;
  }
}

function isWork(entry: Generation | Remake | Waste): boolean {
  return (
    isWhole(entry.cpuMicros) &&
    isWhole(entry.wallMicros) &&
    isWhole(entry.attempt) &&
    typeof entry.requestId === 'string' &&
    typeof entry.batch === 'string'
  );
}

function isWhole(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Who wrote the row first. @throws NotAnEntry */
export function originOf(row: RowReader): Origin {
  return { process: text(row, 'process'), n: whole(row, 'segment') };
}
