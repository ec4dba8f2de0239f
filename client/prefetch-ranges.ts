// PanDA's event ranges as a pilot hands them out: read from one document or from many that follow each other, and told again
// with the file on this machine in place of the one they were cut from.
import { createHash } from 'node:crypto';
import type { EventRangeList, JsonRecord } from './http.ts';

/** What every range of a list has; whatever else it says is kept as it is. */
export type PandaRange = JsonRecord & { readonly eventRangeID: string };

export interface PandaRangeList extends EventRangeList {
  readonly eventRanges: readonly PandaRange[];
}

/** A list of some 200 000 ranges. */
const documentBytesMax = 64 * 1024 * 1024;
/** A list in an object, with values of its own: no pilot nests deeper. */
const depthMax = 32;

/** The input is not what a pilot writes. */
export class MalformedRangesError extends Error {
  override readonly name = 'MalformedRangesError';
}

/**
 * The lists in a text, each as soon as it is whole: arrays of ranges, objects with `eventRanges` and perhaps `inFilePosEvtNum`,
 * or single ranges, one after the other with or without line ends between them. Nothing is read before it is asked for.
 * @throws MalformedRangesError, after the lists before it
 */
export async function* readRangeLists(text: AsyncIterable<Uint8Array>): AsyncGenerator<PandaRangeList> {
  const documents = new JsonDocuments();
  for await (const bytes of text) for (const document of documents.push(bytes)) yield rangeList(document);
  documents.end();
}

/** The range as the payload is to read it: all of a file of its own. */
export function localRange(range: PandaRange, path: string, events: number): PandaRange {
  return { ...range, LFN: path, PFN: path, startEvent: 1, lastEvent: events };
}

/** How many events a range names; undefined when its bounds are none. */
export function eventsNamed({ startEvent, lastEvent }: PandaRange): number | undefined {
  if (typeof startEvent !== 'number' || typeof lastEvent !== 'number') return undefined;
  if (!Number.isSafeInteger(startEvent) || !Number.isSafeInteger(lastEvent)) return undefined;
  return startEvent >= 1 && lastEvent >= startEvent ? lastEvent - startEvent + 1 : undefined;
}

/**
 * What tells a range from every other, whatever service is asked for it: 32 hexadecimal digits of SHA-256. The same
 * `eventRangeID` over other events is another range.
 */
export function rangeKey(range: PandaRange, inFilePosEvtNum: boolean | undefined, format: string): string {
  const { eventRangeID, LFN, GUID, scope, startEvent, lastEvent } = range;
  const told = [eventRangeID, LFN, GUID, scope, startEvent, lastEvent, inFilePosEvtNum !== false, format];
  return createHash('sha256')
    .update(JSON.stringify(told.map((value) => value ?? null)))
    .digest('hex')
    .slice(0, 32);
}

function rangeList(document: unknown): PandaRangeList {
  if (Array.isArray(document)) return { eventRanges: document.map(pandaRange) };
  const record = asRecord(document, 'A list');
  if ('eventRangeID' in record) return { eventRanges: [pandaRange(record)] };
  const { eventRanges, inFilePosEvtNum } = record;
  if (!Array.isArray(eventRanges))
    throw new MalformedRangesError('An object has neither eventRanges nor eventRangeID.');
  if (inFilePosEvtNum !== undefined && typeof inFilePosEvtNum !== 'boolean') {
    throw new MalformedRangesError('inFilePosEvtNum is neither true nor false.');
  }
  return { eventRanges: eventRanges.map(pandaRange), ...(inFilePosEvtNum === undefined ? {} : { inFilePosEvtNum }) };
}

function pandaRange(value: unknown): PandaRange {
  const record = asRecord(value, 'A range');
  if (typeof record['eventRangeID'] !== 'string') throw new MalformedRangesError('A range has no eventRangeID.');
  return record as PandaRange;
}

function asRecord(value: unknown, what: string): JsonRecord {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonRecord;
  throw new MalformedRangesError(`${what} is no JSON object: ${JSON.stringify(value).slice(0, 80)}`);
}

const [quote, backslash, openBracket, closeBracket, openBrace, closeBrace] = Buffer.from('"\\[]{}');
const spaces = new Set(Buffer.from(' \t\r\n'));

/** Cuts a stream of bytes at the ends of its JSON arrays and objects. */
class JsonDocuments {
  #parts: Buffer[] = [];
  #bytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  *push(bytes: Uint8Array): Generator<unknown> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let from = 0;
    for (let at = 0; at < buffer.length; at++) {
      const before = this.#depth;
      this.#see(buffer[at] ?? 0);
      if (before === 0 && this.#depth === 0) from = at + 1;
      if (before === 0 || this.#depth > 0) continue;
      this.#keep(buffer.subarray(from, at + 1));
      from = at + 1;
      yield this.#document();
    }
    this.#keep(Buffer.from(buffer.subarray(from)));
  }

  /** @throws MalformedRangesError when a document has begun and not ended. */
  end(): void {
    if (this.#bytes > 0) throw new MalformedRangesError('The event ranges end in the middle of a list.');
  }

  #see(byte: number): void {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === backslash) this.#escaped = true;
      else if (byte === quote) this.#inString = false;
    } else if (byte === openBracket || byte === openBrace) {
      if (++this.#depth > depthMax) throw new MalformedRangesError('The event ranges are nested too deep.');
    } else if (this.#depth === 0) {
      if (!spaces.has(byte))
        throw new MalformedRangesError('The event ranges are not JSON: a list begins with [ or {.');
    } else if (byte === quote) this.#inString = true;
    else if (byte === closeBracket || byte === closeBrace) this.#depth--;
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#bytes += part.length;
    if (this.#bytes > documentBytesMax) {
      throw new MalformedRangesError(`A list of event ranges has more than ${documentBytesMax} bytes: write several.`);
    }
  }

  #document(): unknown {
    const text = Buffer.concat(this.#parts).toString('utf8');
    this.#parts = [];
    this.#bytes = 0;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new MalformedRangesError(`The event ranges are not JSON. ${(error as Error).message}`, { cause: error });
    }
  }
}
