import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EventsRequest, EventsRequestEnd } from '../../core/events-request.ts';
import { emptyTally } from '../../core/work-state.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { Requests, removeOldRequests } from '../../store/requests.ts';

const day = 24 * 3_600_000;

function idOf(n: number): string {
  return `00000000-0000-0000-0000-${n.toString(16).padStart(12, '0')}`;
}

function aRequest(n: number): EventsRequest {
  return {
    id: idOf(n),
    dataset: 'test:set',
    range: { first: 0, end: 40 },
    chunks: 10,
    result: '/v1/datasets/test/set/events/1-40.ndjson',
    acceptedAt: '2030-06-01T12:00:00.000Z',
  };
}

const completed: EventsRequestEnd = {
  ...emptyTally,
  state: 'completed',
  done: 10,
  endedAt: '2030-06-01T12:01:00.000Z',
};

test('a request is found as it was accepted, and with its end, of which the first counts', async () => {
  const store = new MemoryStore();
  const requests = new Requests(store);
  const request = aRequest(1);
  expect(await requests.find(request.id)).toBeUndefined();
  await requests.accept(request);
  expect(await requests.find(request.id)).toEqual({ request, end: undefined });
  expect(await requests.end(request.id, completed)).toBe(true);
  const failure = { code: 'GENERATION_FAILED', details: { detail: 'Event 7.', event: 7 } } as const;
  expect(await requests.end(request.id, { ...completed, state: 'failed', failure })).toBe(false);
  expect(await new Requests(store).find(request.id)).toEqual({ request, end: completed });
  await requests.end(idOf(2), { ...completed, state: 'failed', failure });
  expect((await requests.endOf(idOf(2)))?.failure).toEqual(failure);
});

test('an end that is not legible is none, and what is no id is nobody', async () => {
  const store = new MemoryStore();
  const requests = new Requests(store);
  await requests.accept(aRequest(1));
  for (const text of ['', '{', '{"state":"running"}', '{"state":"failed","failure":{"code":"NEVER_HEARD_OF"}}']) {
    await store.put(`requests/${idOf(1)}.end.json`, [Buffer.from(text)]);
    expect((await requests.find(idOf(1)))?.end).toBeUndefined();
  }
  for (const id of ['', '../store', `${idOf(1)}.end`, idOf(1).toUpperCase().replace('0', 'G')]) {
    expect(await requests.find(id)).toBeUndefined();
  }
  await store.put(`requests/${idOf(3)}.json`, [Buffer.from('{}')]);
  await expect(requests.find(idOf(3))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

interface Made {
  readonly asked: boolean;
  readonly ended: boolean;
}

/** A store that says of every object when it was written. */
class DatedStore extends MemoryStore {
  readonly writtenAtMs = new Map<string, number>();

  override async list(prefix: string, options?: { after?: string; limit?: number }) {
    const page = await super.list(prefix, options);
    return page.map((info) => ({ ...info, modifiedAtMs: this.writtenAtMs.get(info.name) ?? info.modifiedAtMs }));
  }
}

test('those are removed that ended more than a day ago, or a week ago never had; all others stay whole', async () => {
  const now = Date.parse('2030-06-10T00:00:00Z');
  const ages = fc.record({ asked: fc.option(fc.nat(10)), ended: fc.option(fc.nat(10)) });
  await fc.assert(
    fc.asyncProperty(fc.array(ages, { maxLength: 20 }), async (all) => {
      const store = new DatedStore();
      const put = async (name: string, ageDays: number | null) => {
        if (ageDays === null) return;
        await store.put(name, [Buffer.from('{}')]);
        store.writtenAtMs.set(name, now - ageDays * day - 1);
      };
      for (const [n, { asked, ended }] of all.entries()) {
        await put(`requests/${idOf(n)}.json`, asked);
        await put(`requests/${idOf(n)}.end.json`, ended);
      }
      await put('requests/readme.json', 100);
      const isOld = ({ asked, ended }: (typeof all)[number]) => (ended === null ? (asked ?? 0) >= 7 : ended >= 1);
      const removed = await removeOldRequests(store, now, new AbortController().signal);
      expect(removed).toBe(all.filter((each) => isOld(each) && each.asked !== null).length);
      const left = new Set((await store.list('requests/')).map(({ name }) => name));
      const there = (n: number): Made => ({
        asked: left.has(`requests/${idOf(n)}.json`),
        ended: left.has(`requests/${idOf(n)}.end.json`),
      });
      all.forEach((each, n) => {
        const stays = !isOld(each);
        expect(there(n)).toEqual({ asked: stays && each.asked !== null, ended: stays && each.ended !== null });
      });
      expect(left).toContain('requests/readme.json');
      expect(await removeOldRequests(store, now, new AbortController().signal)).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test('more requests than a page of the listing are gone through, and a stop is heeded', async () => {
  const store = new DatedStore();
  const requests = new Requests(store);
  for (let n = 0; n < 1_200; n++) await requests.end(idOf(n), completed);
  const later = Date.now() + 2 * day;
  await expect(removeOldRequests(store, later, AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  await removeOldRequests(store, later, new AbortController().signal);
  expect(await store.list('requests/')).toEqual([]);
});
