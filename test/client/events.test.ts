// Record batches from a service that cuts and lies: what comes out is whole and right, or an error.
import type { ServerResponse } from 'node:http';
import fc from 'fast-check';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { Evoke, type Progress, ServiceError } from '../../client/index.ts';
import { streamHead } from '../../formats/arrow-schema.ts';
import { endMarker, readFrame } from '../../formats/ipc.ts';
import { BatchAssembler } from '../../formats/record-batch.ts';
import { eventually } from '../eventually.ts';
import { all, contents, expected, name, type Read, read, retries } from './batches.ts';
import { type Fault, StandIn } from './stand-in.ts';

let service: StandIn;
let evoke: Evoke;
beforeEach(async () => {
  service = await StandIn.start();
  evoke = new Evoke(service.url, { retries });
});

/** Where the frames of a stream begin, and where it ends. */
function boundaries(stream: Buffer): number[] {
  const found = [0];
  for (let frame = readFrame(stream, 0); frame !== undefined; frame = readFrame(stream, frame.end)) {
    found.push(frame.at + 8, frame.at + frame.headBytes, frame.end);
  }
  return [...found, stream.length];
}

test('events come in order, in record batches that say which events they have', async () => {
  expect(await read(evoke, 3, 50)).toEqual(expected(3, 50));
  expect(service.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
});

test('however often and wherever the connection is cut, the same batches come, each once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 0, max: 60 }),
      fc.array(fc.nat(6000), { maxLength: 3 }),
      async (first, more, cuts) => {
        service.faults = cuts.map((cutAfter) => ({ cutAfter }));
        expect(await read(evoke, first, first + more)).toEqual(expected(first, first + more));
      },
    ),
    { numRuns: 25 },
  );
});

test('a cut at, before or behind any boundary of a message changes nothing', async () => {
  const body = service.body('arrow', 1, 20);
  const places = boundaries(body).flatMap((at) => [at - 1, at, at + 1]);
  for (const cutAfter of new Set(places.filter((at) => at >= 0 && at <= body.length))) {
    service.faults = [{ cutAfter }];
    expect(await read(evoke, 1, 20), `cut after ${cutAfter}`).toEqual(expected(1, 20));
  }
});

test('a stream that just stops, as a proxy shows a broken connection, is not taken for whole wherever it stops', async () => {
  const body = service.body('arrow', 1, 20);
  for (const at of boundaries(body)) {
    service.requests.length = 0;
    service.faults = [
      {
        answer: (response, whole) => {
          response.setHeader('etag', service.tag('1-20', 'arrow'));
          response.end(whole.subarray(0, at));
        },
      },
    ];
    expect(await read(evoke, 1, 20), `stopped after ${at}`).toEqual(expected(1, 20));
    const events = service.requests.filter(({ method }) => method === 'GET').map(({ range }) => range);
    // All events there and no more than the ending missing: nothing is left to ask for.
    expect(events).toHaveLength(at >= body.length - endMarker.length ? 1 : 2);
  }
});

test('after a break only the events that are missing are asked for, and the tag of the whole is compared first', async () => {
  const [, , , , , secondBatch = 0] = boundaries(service.body('arrow', 1, 64)).filter((_, i) => i % 3 === 0);
  service.faults = [{ cutAfter: secondBatch, held: true }];
  const batches: Read[] = [];
  for await (const batch of evoke.events(name, { startEvent: 1, lastEvent: 64 })) {
    batches.push(contents(batch));
    if (batches.length === 4) service.cut();
  }
  expect(batches).toEqual(expected(1, 64));
  expect(service.requests).toEqual([
    { method: 'GET', range: '1-64' },
    { method: 'HEAD', range: '1-64' },
    { method: 'GET', range: '33-64' },
    { method: 'HEAD', range: '1-64' },
  ]);
});

test('other bytes, or other events, after the interruption are refused', async () => {
  service.faults = [{ cutAfter: 2000 }];
  const changing = evoke.events(name, {
    startEvent: 1,
    lastEvent: 64,
    onProgress: ({ waiting }) => {
      if (waiting !== undefined) service.writer = 'two';
    },
  });
  await expect(all(changing)).rejects.toThrow(/other bytes/);
  service.writer = 'one';
  // The tag says the same, the schema another derivation.
  const liar: Fault = {
    answer: (response, body) =>
      response.end(Buffer.from(body.toString('latin1').replace('\0one\0', '\0two\0'), 'latin1')),
  };
  service.faults = [{ cutAfter: 2000 }, liar];
  await expect(read(evoke, 1, 64)).rejects.toThrow(/others than before/);
});

test('without a strong tag nothing is put together from two answers', async () => {
  const weak: Fault = {
    answer: (response, body) => {
      response.setHeader('etag', 'W/"statistical"');
      response.write(body.subarray(0, 2000), () => response.socket?.resetAndDestroy());
    },
  };
  service.faults = [weak];
  service.tag = () => 'W/"statistical"';
  await expect(read(evoke, 1, 64)).rejects.toThrow(/other bytes/);
});

test.each([
  ['events missing, properly ended', { short: 9 }, /23 events, not 32|events 1-23, not 1-32/],
  ['too many events', { short: -3 }, /events 1-35, not 1-32/],
  ['other events', { answer: (response: ServerResponse) => response.end(service.body('arrow', 2, 33)) }, /events 2-33/],
  ['a page', { answer: (response: ServerResponse) => response.end('<html>welcome</html>'.repeat(50)) }, /not Arrow/],
  ['nothing but an end', { answer: (response: ServerResponse) => response.end(endMarker) }, /without a schema/],
  [
    'something behind its end',
    { answer: (response: ServerResponse, body: Buffer) => response.end(Buffer.concat([body, body])) },
    /goes on after its end/,
  ],
] as [string, Fault, RegExp][])('an answer with %s is refused without another try', async (_, fault, message) => {
  service.faults = [fault];
  await expect(read(evoke, 1, 32)).rejects.toThrow(message);
  expect(service.requests).toHaveLength(1);
});

test('fewer events than the schema promises are refused, and more', async () => {
  const bodyOf = (batches: number) => {
    const whole = service.body('arrow', 1, 32);
    const frames = boundaries(whole).filter((_, i) => i % 3 === 0);
    return (response: ServerResponse) => {
      const last = whole.subarray(frames[4] as number, frames[5] as number);
      const body = whole.subarray(0, frames[Math.min(5, batches + 1)]);
      response.end(Buffer.concat([body, ...(batches > 4 ? [last] : []), endMarker]));
    };
  };
  service.faults = [{ answer: bodyOf(3) }];
  await expect(read(evoke, 1, 32)).rejects.toThrow(/24 events, not 32/);
  service.faults = [{ answer: bodyOf(5) }];
  await expect(read(evoke, 1, 32)).rejects.toThrow(/more than the 32 events/);
});

test('columns that were not asked for are refused', async () => {
  const events = evoke.events(name, { startEvent: 1, lastEvent: 8, columns: ['event'] });
  await expect(all(events)).rejects.toThrow(/has columns event, pt, not event/);
});

test('a wrong digest is told before the loop ends, whether it came with the events or is asked for behind them', async () => {
  service.digest = 'wrong';
  const given: Read[] = [];
  const take = async () => {
    for await (const batch of evoke.events(name, { startEvent: 1, lastEvent: 20 })) given.push(contents(batch));
  };
  await expect(take()).rejects.toThrow(/digest/);
  expect(given).toEqual(expected(1, 20));
  service.faults = [{ answer: (response, body) => response.setHeader('etag', service.tag('1-20', 'arrow')).end(body) }];
  await expect(read(evoke, 1, 20)).rejects.toThrow(/digest/);
  service.digest = 'right';
  service.faults = [{ cutAfter: 900 }, { cutAfter: 1500 }];
  expect(await read(evoke, 1, 64)).toEqual(expected(1, 64));
});

test('where the digest is known, no changed byte changes an event', async () => {
  service.digest = 'right';
  const { length } = service.body('arrow', 1, 20);
  const tag = service.tag('1-20', 'arrow');
  await fc.assert(
    fc.asyncProperty(fc.nat(length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const flip: Fault = {
        answer: (response, body) => {
          const changed = Buffer.from(body);
          changed[at] = (changed[at] as number) ^ change;
          response.setHeader('etag', tag).end(changed);
        },
      };
      // Enough for every try: a changed length may look like a broken connection.
      service.faults = Array.from({ length: 9 }, () => flip);
      const [outcome] = await Promise.allSettled([read(evoke, 1, 20)]);
      service.faults = [];
      if (outcome?.status === 'fulfilled') expect(outcome.value).toEqual(expected(1, 20));
    }),
    { numRuns: 40 },
  );
});

test('a batch that claims to hold far more than it can is refused before memory is taken for it', async () => {
  const column = { name: 'x', type: 'float64', unit: '1', description: '', countedBy: 'n' } as const;
  const head = streamHead([column], { derivationId: 'one', batchEvents: 8, range: { first: 0, end: 1 } });
  const assembler = new BatchAssembler(true);
  for (const values of [1, 40_000_000]) {
    assembler.node(values);
    assembler.buffer();
    assembler.buffer(new Uint8Array(16));
  }
  const batch = assembler.finish(1);
  service.faults = [{ answer: (response) => response.end(Buffer.concat([head, batch, endMarker])) }];
  await expect(all(evoke.events(name, { startEvent: 1, lastEvent: 1 }))).rejects.toThrow(/40000001 values/);
});

test('tries that bring nothing are bounded, and one that brings something begins the count anew', async () => {
  service.faults = Array.from({ length: 100 }, (): Fault => ({ status: 503, code: 'QUEUE_UNAVAILABLE' }));
  await expect(read(evoke, 1, 32)).rejects.toMatchObject({ status: 503, code: 'QUEUE_UNAVAILABLE' });
  expect(service.requests).toHaveLength(4);
  const refused: Fault = { status: 503 };
  service.faults = [refused, refused, { cutAfter: 1400 }, refused, refused, { cutAfter: 1400 }, refused, refused];
  expect(await read(evoke, 1, 64)).toEqual(expected(1, 64));
});

test.each([
  [{ status: 404, code: 'DATASET_NOT_FOUND' }, 1],
  [{ status: 502, code: 'GENERATION_FAILED' }, 1],
  [{ status: 503, code: 'OVERLOADED', retryAfter: '0' }, 2],
  [{ status: 429, code: 'TOO_MANY_REQUESTS', retryAfter: new Date(Date.now() - 1000).toUTCString() }, 2],
  [{ status: 503, retryAfter: 'soon' }, 2],
  [{ status: 503, code: 'OVERLOADED', retryAfter: '86400' }, 1],
] as [Fault, number][])('%j takes %i requests for the events', async (fault, requests) => {
  service.faults = [fault];
  const outcome = read(evoke, 1, 8);
  if (requests === 1) await expect(outcome).rejects.toBeInstanceOf(ServiceError);
  else expect(await outcome).toEqual(expected(1, 8));
  expect(service.requests.filter(({ method }) => method === 'GET')).toHaveLength(requests);
});

test('Retry-After as a date is waited for', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const hourMs = 3_600_000;
  service.faults = [{ status: 429, retryAfter: new Date(Date.now() + hourMs).toUTCString() }];
  const waits: number[] = [];
  const onProgress = ({ waiting }: Progress) => waiting && waits.push(waiting.ms);
  const patient = new Evoke(service.url, { retries: { retryAfterMsMax: 2 * hourMs } });
  const outcome = all(patient.events(name, { startEvent: 1, lastEvent: 8, onProgress }));
  await eventually(() => expect(waits).toHaveLength(1));
  expect(waits[0]).toBeGreaterThan(hourMs / 2);
  expect(waits[0]).toBeLessThanOrEqual(hourMs);
  await vi.advanceTimersByTimeAsync((waits[0] as number) / 2);
  expect(service.requests).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(hourMs);
  vi.useRealTimers();
  expect((await outcome).map(contents)).toEqual(expected(1, 8));
});
