// The events of a range: what the service is for. A hit whose bytes are at hand is answered without a promise, a call or
// a copy; everything else goes through a delivery, and its headers leave when the first chunk is there.
import type { DatasetName } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { formatEventRange } from '../../core/event-range.ts';
import { createEncoder } from '../../formats/encoder.ts';
import type { PlanSummary } from '../../scheduler/plan.ts';
import type { DeliveredChunk } from '../../scheduler/ride.ts';
import { StreamedAccesses, tellHandedOver } from '../accesses.ts';
import type { Answer, HeaderList, Input } from '../answer.ts';
import { sliceOf } from '../at-hand.ts';
import type { ApiDeps } from '../deps.ts';
import { type BodyAtHand, RideBody } from '../pieces.ts';
import { type ByteRange, byteRange, bytesWithin, isWeak, namesTag } from '../preconditions.ts';
import { type AsyncPreference, applied, asyncPreference } from '../prefer.ts';
import { type KnownRepresentation, measured, reprDigest } from '../representations.ts';
import { type Prepared, prepare } from '../selection.ts';
import { answerLater } from './requests.ts';
import { checkNotRetired } from './retired.ts';

type Params = DatasetName & { range: string };
type Query = { format?: string | undefined; columns?: string | undefined };
type EventsInput = Input<Params, Query>;
/** What matters once it is known which events are asked for. */
type Asked = Omit<Input, 'params' | 'query' | 'body'>;

/** A remembered representation of at most so many bytes is handed over in one go, whatever the client's pace. */
const atHandBytesMax = 2 * 1024 * 1024;

const hitHeaders: HeaderList = [
  'Cache-Status',
  'evoke; hit',
  'Server-Timing',
  'plan;dur=0, queue;dur=0, generate;dur=0',
];

/** The answer to a request whose like was answered before: what never changes of it is at hand. */
export function getPreparedEvents(input: Asked, deps: ApiDeps): Answer | Promise<Answer> | undefined {
  const prepared = deps.prepared.find(input.target, input.header('accept'));
  if (prepared === undefined || deps.catalog.peekRetired(prepared.dataset) !== false) return undefined;
  return answer(input, prepared, deps);
}

export async function getEvents(input: EventsInput, deps: ApiDeps): Promise<Answer> {
  const { params, query, target } = input;
  const accept = input.header('accept');
  const dataset = await deps.catalog.get(params);
  await checkNotRetired(dataset, deps);
  const wish = { range: params.range, format: query.format, columns: query.columns, accept };
  const prepared = prepare(wish, dataset);
  deps.prepared.remember(target, accept, prepared);
  return answer(input, prepared, deps);
}

function answer(input: Asked, prepared: Prepared, deps: ApiDeps): Answer | Promise<Answer> {
  const ifMatch = input.header('if-match');
  if (ifMatch !== undefined && !namesTag(ifMatch, prepared.quotedTag, 'strong')) {
    throw new EvokeError('PRECONDITION_FAILED', { detail: `The entity tag is ${prepared.quotedTag}.` });
  }
  const ifNoneMatch = input.header('if-none-match');
  if (ifNoneMatch !== undefined && namesTag(ifNoneMatch, prepared.quotedTag, 'weak')) {
    return { status: 304, headers: prepared.headers, delivers: prepared.selection };
  }
  const preference = asyncPreference(input.header('prefer'), deps.asyncWaitSecondsMax);
  const known = deps.representations.find(prepared.tag);
  const bytes = known && wantedBytes(input, prepared, known);
  const stored = known !== undefined && known.length <= atHandBytesMax ? peekAll(prepared, deps) : undefined;
  if (known === undefined || stored === undefined) return deliver(input, prepared, known, bytes, preference, deps);
  return handOver(input, prepared, known, bytes, stored, preference, deps);
}

/** All is in memory and small: no call, no disk, and where it was asked for before not even a promise. */
function handOver(
  input: Asked,
  prepared: Prepared,
  known: KnownRepresentation,
  bytes: ByteRange | undefined,
  stored: readonly Buffer[],
  preference: AsyncPreference | undefined,
  deps: ApiDeps,
): Answer | Promise<Answer> {
  const { method, requestId } = input;
  const { fewChunks = [], format, selection } = prepared;
  for (const { key } of fewChunks) deps.recency.use(key);
  deps.metrics.served({ hit: fewChunks.length, joined: 0, generated: 0 });
  const [status, headers] = head(prepared, known, bytes);
  headers.push(...hitHeaders);
  if (preference !== undefined) headers.push('Preference-Applied', applied(preference));
  if (method === 'HEAD') return { status, headers };
  const given = ({ pieces, ends }: BodyAtHand): Answer => {
    tellHandedOver({ requestId, prepared, ends, bytes }, deps);
    const delivers = reachesEnd(bytes, known) ? prepared.selection : undefined;
    const sent = bytes === undefined ? pieces : sliceOf(pieces, bytes);
    return { status, headers, body: { kind: 'bytes', pieces: sent }, delivers };
  };
  const body = deps.atHand.find(prepared, stored);
  if (body !== undefined) return given(body);
  const encoder = createEncoder(format, selection, deps.marshaller);
  return deps.atHand.collect(prepared, fewChunks, stored, encoder).then((collected) => {
    // Whoever left meanwhile is given nothing.
    input.signal.throwIfAborted();
    return given(collected);
  });
}

/** The bytes that Range asks for; undefined for all. @throws EvokeError RANGE_NOT_SATISFIABLE */
function wantedBytes(input: Asked, prepared: Prepared, known: KnownRepresentation): ByteRange | undefined {
  const range = input.header('range');
  if (range === undefined || input.method !== 'GET') return undefined;
  const ifRange = input.header('if-range');
  if (ifRange !== undefined && ifRange !== prepared.quotedTag) return undefined;
  return byteRange(range, known.length);
}

/** Whether the client has it all then: also who goes on where an answer broke off. */
function reachesEnd(bytes: ByteRange | undefined, known: KnownRepresentation | undefined): boolean {
  return bytes === undefined || bytes.last + 1 === known?.length;
}

function peekAll({ fewChunks }: Prepared, { chunks }: ApiDeps): Buffer[] | undefined {
  if (fewChunks === undefined) return undefined;
  const stored: Buffer[] = [];
  for (const { chunk } of fewChunks) {
    const bytes = chunks.peek(chunk);
    if (bytes === undefined) return undefined;
    stored.push(bytes);
  }
  return stored;
}

function head(
  prepared: Prepared,
  known: KnownRepresentation | undefined,
  bytes: ByteRange | undefined,
): [number, string[]] {
  const headers = ['Content-Type', prepared.format.mediaType, ...prepared.headers];
  if (known === undefined) return [200, headers];
  headers.push(...reprDigest(known), 'Accept-Ranges', 'bytes');
  if (bytes === undefined) {
    headers.push('Content-Length', String(known.length));
    return [200, headers];
  }
  const { first, last } = bytes;
  headers.push('Content-Length', String(last - first + 1), 'Content-Range', `bytes ${first}-${last}/${known.length}`);
  return [206, headers];
}

async function deliver(
  input: Asked,
  prepared: Prepared,
  known: KnownRepresentation | undefined,
  bytes: ByteRange | undefined,
  preference: AsyncPreference | undefined,
  deps: ApiDeps,
): Promise<Answer> {
  const { dataset, selection, format, tag, quotedTag } = prepared;
  const { signal, requestId } = input;
  const startedMs = performance.now();
  const open = () => deps.delivery.open(dataset, selection.range, { signal, requestId });
  let ride = await open();
  const planMs = performance.now() - startedMs;
  if (onlyIfCached(input.header('cache-control'))) checkStored(ride.summary, prepared);
  if (input.method === 'HEAD') {
    const [status, headers] = head(prepared, known, undefined);
    headers.push('Cache-Status', cacheStatus(ride.summary), 'Server-Timing', serverTiming(planMs, undefined));
    return { status, headers };
  }
  if (preference !== undefined && ride.summary.joined + ride.summary.generated > 0) {
    const later = await answerLater(input, prepared, preference, ride.summary, deps);
    if (later !== undefined) return later;
    // All of it was made while the client waited.
    ride = await open();
  }
  // A trailer needs a body of unsaid length.
  const withTrailer =
    known?.sha256 === undefined && bytes === undefined && input.trailersPossible && acceptsTrailers(input.header('te'));
  const [status, headers] = head(prepared, withTrailer ? undefined : known, bytes);
  const encoder = createEncoder(format, selection, deps.marshaller);
  const accesses = new StreamedAccesses(requestId, prepared, deps);
  const body = new RideBody(ride, encoder, accesses);
  let sent = known;
  const learn = (seen: KnownRepresentation) => {
    sent = seen;
    if (!isWeak(quotedTag)) deps.representations.remember(tag, seen);
  };
  // Hashing all of a long answer would cost a good part of sending it: only where somebody asks.
  const hashes = withTrailer || (known === undefined && prepared.fewChunks !== undefined);
  const whole = known === undefined || hashes ? measured(body, hashes, learn) : body;
  if (withTrailer) headers.push('Trailer', 'Repr-Digest');
  if (preference !== undefined) headers.push('Preference-Applied', applied(preference));
  return {
    status,
    headers,
    delivers: reachesEnd(bytes, known) ? selection : undefined,
    body: {
      kind: 'stream',
      pieces: bytes === undefined ? whole : bytesWithin(whole, bytes),
      sent: (count) => accesses.sent(count),
      lateHeaders: () => {
        deps.metrics.served(ride.summary);
        return ['Cache-Status', cacheStatus(ride.summary), 'Server-Timing', serverTiming(planMs, body.first)];
      },
      ...(withTrailer ? { trailers: () => reprDigest(sent) } : {}),
    },
  };
}

/** @throws EvokeError NOT_MATERIALIZED */
function checkStored({ hit, joined, generated }: PlanSummary, { selection }: Prepared): void {
  const absent = joined + generated;
  if (absent === 0) return;
  throw new EvokeError('NOT_MATERIALIZED', {
    detail: `${absent} of the ${hit + absent} chunks of ${formatEventRange(selection.range)} are not stored.`,
  });
}

/** RFC 9211, as API.md lays it down. */
function cacheStatus({ hit, joined, generated }: PlanSummary): string {
  if (joined + generated === 0) return 'evoke; hit';
  const collapsed = generated === 0 ? '; collapsed' : '';
  return `evoke; fwd=miss; detail="hit=${hit} joined=${joined} generated=${generated}"${collapsed}`;
}

function serverTiming(planMs: number, first: DeliveredChunk | undefined): string {
  const { queueMs = 0, workMs = 0 } = first ?? {};
  return `plan;dur=${planMs.toFixed(1)}, queue;dur=${queueMs.toFixed(1)}, generate;dur=${workMs.toFixed(1)}`;
}

function onlyIfCached(cacheControl: string | undefined): boolean {
  return cacheControl !== undefined && /(^|,)\s*only-if-cached\s*(,|$)/i.test(cacheControl);
}

function acceptsTrailers(te: string | undefined): boolean {
  return te !== undefined && /(^|,)\s*trailers\s*(,|;|$)/i.test(te);
}
