// Asynchronous requests as they are kept: what was asked and how it ended, two small records each, gone after a while.
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { type ErrorCode, errorCatalogue } from '../core/errors.ts';
import type { EventsRequest, EventsRequestEnd } from '../core/events-request.ts';
import { everyObject } from './listing.ts';
import { passOverDamaged, readRecord, writeRecord } from './records.ts';
import type { Store } from './store.ts';

const prefix = 'requests/';
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const record = /^requests\/([0-9a-f-]{36})(\.end)?\.json$/;

/** What was asked never changes: about half a kilobyte each. */
const rememberedMax = 1_000;
/** After its end a request can be looked up for a day. */
const endKeptMs = 24 * 3_600_000;
/** One that never came to an end is not waited for longer than this. */
const unendedKeptMs = 7 * endKeptMs;

const time = z.iso.datetime();
const count = z.int().min(0);

export const requestRecord: z.ZodType<EventsRequest> = z.looseObject({
  id: z.string(),
  dataset: z.string(),
  range: z.looseObject({ first: count, end: count }).refine(({ first, end }) => first < end, { message: 'is empty' }),
  chunks: z.int().min(1),
  result: z.string(),
  acceptedAt: time,
});

export const endRecord: z.ZodType<EventsRequestEnd> = z.looseObject({
  state: z.enum(['completed', 'cancelled', 'failed']),
  done: count,
  skipped: count,
  failed: count,
  cpuMicros: count,
  failure: z.exactOptional(
    z.looseObject({
      code: z.enum(Object.keys(errorCatalogue) as [ErrorCode, ...ErrorCode[]]),
      details: z.record(z.string(), z.unknown()),
    }),
  ),
  endedAt: time,
});

export interface RequestRecords {
  readonly request: EventsRequest;
  readonly end: EventsRequestEnd | undefined;
}

/** Whether a text can be the id of a request at all. */
function isRequestId(text: string): boolean {
  return uuid.test(text);
}

export class Requests {
  readonly #store: Store;
  readonly #asked = new LRUCache<string, EventsRequest>({ max: rememberedMax });

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws EvokeError STORE_UNAVAILABLE */
  async accept(request: EventsRequest): Promise<void> {
    await writeRecord(this.#store, nameOf(request.id), request, { ifAbsent: true });
    this.#asked.set(request.id, request);
  }

  /** Undefined also for what is no request's id. @throws EvokeError STORE_UNAVAILABLE */
  async find(id: string): Promise<RequestRecords | undefined> {
    if (!isRequestId(id)) return undefined;
    const [request, end] = await Promise.all([this.#request(id), this.endOf(id)]);
    return request && { request, end };
  }

  /** How it ended; an end that is not legible is none. @throws EvokeError STORE_UNAVAILABLE */
  async endOf(id: string): Promise<EventsRequestEnd | undefined> {
    return readRecord(this.#store, nameOf(id, '.end'), endRecord).catch(passOverDamaged);
  }

  /** The first end counts; returns whether it was this one. @throws EvokeError STORE_UNAVAILABLE */
  end(id: string, end: EventsRequestEnd): Promise<boolean> {
    return writeRecord(this.#store, nameOf(id, '.end'), end, { ifAbsent: true });
  }

  async #request(id: string): Promise<EventsRequest | undefined> {
    const known = this.#asked.get(id);
    if (known !== undefined) return known;
    const request = await readRecord(this.#store, nameOf(id), requestRecord);
    if (request !== undefined) this.#asked.set(id, request);
    return request;
  }
}

/**
 * Removes the requests that ended more than a day ago, and those that were accepted a week ago and never ended; returns how
 * many. For housekeeping: harmless when done twice. @throws EvokeError STORE_UNAVAILABLE
 */
export async function removeOldRequests(
  store: Pick<Store, 'list' | 'delete'>,
  nowMs: number,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  for await (const { id, askedAtMs, endedAtMs } of listed(store)) {
    signal.throwIfAborted();
    const isOld =
      endedAtMs === undefined ? nowMs - (askedAtMs ?? nowMs) > unendedKeptMs : nowMs - endedAtMs > endKeptMs;
    if (!isOld) continue;
    // In this order: a request without its end would look as if it were still under way.
    if (askedAtMs !== undefined && (await store.delete(nameOf(id)))) removed++;
    if (endedAtMs !== undefined) await store.delete(nameOf(id, '.end'));
  }
  return removed;
}

interface Listed {
  readonly id: string;
  readonly askedAtMs?: number;
  readonly endedAtMs?: number;
}

/** What is there of each request; its records are neighbours in the listing. */
async function* listed(store: Pick<Store, 'list'>): AsyncGenerator<Listed> {
  let last: Listed | undefined;
  for await (const { name, modifiedAtMs } of everyObject(store, prefix)) {
    const [, id, end] = record.exec(name) ?? [];
    if (id === undefined) continue;
    if (last !== undefined && last.id !== id) yield last;
    const before: Listed = last?.id === id ? last : { id };
    last = { ...before, ...(end === undefined ? { askedAtMs: modifiedAtMs } : { endedAtMs: modifiedAtMs }) };
  }
  if (last !== undefined) yield last;
}

function nameOf(id: string, part = ''): string {
  return `${prefix}${id}${part}.json`;
}
