import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { beforeEach, expect, test, vi } from 'vitest';
import { type Download, type DownloadFormat, download } from '../../client/download.ts';
import type { RetryPolicy } from '../../client/retries.ts';
import type { Progress } from '../../client/transfer.ts';
import { eventually } from '../eventually.ts';
import { temporaryFolder } from '../temp.ts';
import { type Fault, StandIn } from './stand-in.ts';

const retries: RetryPolicy = { fruitlessMax: 4, firstPauseMs: 1, pauseMsMax: 4, retryAfterMsMax: 5000 };
const formats: DownloadFormat[] = ['ndjson', 'arrow'];

let service: StandIn;
let folder: string;
beforeEach(async () => {
  service = await StandIn.start();
  folder = await temporaryFolder();
});

function get(format: DownloadFormat, first: number, last: number, more: Partial<Download> = {}) {
  return download({
    server: service.url,
    dataset: { scope: 'demo', name: 'zmumu' },
    range: { first: first - 1, end: last },
    format,
    to: join(folder, 'events'),
    retries,
    ...more,
  });
}

/** A download of events 1-64 that gets so many bytes, and then nothing any more until it gives up. */
async function giveUpAfter(format: DownloadFormat, bytes: number): Promise<void> {
  service.faults = [{ cutAfter: bytes, held: true }, ...Array.from({ length: 9 }, () => ({ cutAfter: 0 }))];
  await expect(get(format, 1, 64, { onProgress: () => service.cut() })).rejects.toThrow(/does not answer/);
  service.faults = [];
}

/** As when the service is upgraded while a client waits to try again. */
function changeWriterWhenWaiting({ waiting }: Progress): void {
  if (waiting !== undefined) service.writer = 'two';
}

/** A writable that remembers what it got. */
function memory(): { stream: Writable; bytes: () => Buffer } {
  const parts: Buffer[] = [];
  const stream = new Writable({
    write(part: Buffer, _encoding, done) {
      parts.push(Buffer.from(part));
      done();
    },
  });
  return { stream, bytes: () => Buffer.concat(parts) };
}

test.each(formats)(
  'a download without trouble is the answer, byte for byte, and leaves nothing beside it (%s)',
  async (format) => {
    const done = await get(format, 3, 50);
    expect(done).toMatchObject({ events: 48, eventsDone: 48 });
    expect(await readFile(join(folder, 'events'))).toEqual(service.body(format, 3, 50));
    expect(await readdir(folder)).toEqual(['events']);
    expect(service.requests).toEqual([{ method: 'GET', range: '3-50' }]);
  },
);

test.each(formats)('however often and wherever the connection is cut, the file is the same (%s)', async (format) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 0, max: 60 }),
      fc.array(fc.nat(4000), { maxLength: 3 }),
      async (first, more, cuts) => {
        service.faults = cuts.map((cutAfter) => ({ cutAfter }));
        await get(format, first, first + more);
        expect(await readFile(join(folder, 'events'))).toEqual(service.body(format, first, first + more));
        expect(await readdir(folder)).toEqual(['events']);
      },
    ),
    { numRuns: 40 },
  );
});

test.each(formats)('standard output, cut anywhere, receives the same bytes and no event twice (%s)', async (format) => {
  const whole = service.body(format, 1, 40);
  for (let cut = 0; cut <= whole.length; cut += 97) {
    service.faults = [{ cutAfter: cut }, { cutAfter: 300 }];
    const { stream, bytes } = memory();
    await get(format, 1, 40, { to: stream });
    expect(bytes()).toEqual(whole);
  }
});

test.each(formats)('a download that was given up goes on where it stopped, in another run (%s)', async (format) => {
  const body = service.body(format, 1, 64);
  await giveUpAfter(format, Math.floor(body.length / 2));
  const left = await readdir(folder);
  expect(left).toEqual([expect.stringMatching(/^\.events\.[0-9a-f]{16}\.part$/)]);
  service.requests.length = 0;
  await get(format, 1, 64);
  expect(await readFile(join(folder, 'events'))).toEqual(body);
  expect(await readdir(folder)).toEqual(['events']);
  expect(service.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
  const [first = 0] = service.requests.map(({ range }) => Number.parseInt(range, 10)).slice(-1);
  expect(first).toBeGreaterThan(16);
});

test.each(formats)('a part with disorder at its end is used up to the disorder (%s)', async (format) => {
  const body = service.body(format, 1, 64);
  await giveUpAfter(format, body.length - 400);
  const [part = ''] = await readdir(folder);
  await writeFile(join(folder, part), Buffer.concat([await readFile(join(folder, part)), Buffer.alloc(5000)]));
  await get(format, 1, 64);
  expect(await readFile(join(folder, 'events'))).toEqual(body);
});

test.each(formats)('a part of other bytes is not gone on with, and not left lying about (%s)', async (format) => {
  await giveUpAfter(format, 900);
  service.writer = 'two';
  await get(format, 1, 64);
  expect(await readFile(join(folder, 'events'))).toEqual(service.body(format, 1, 64));
  expect(await readdir(folder)).toEqual(['events']);
});

test('a service that writes other bytes after the interruption never gets them mixed with the first ones', async () => {
  service.faults = [{ cutAfter: 700 }];
  const begun = get('ndjson', 1, 40, { onProgress: changeWriterWhenWaiting });
  await begun;
  const text = await readFile(join(folder, 'events'), 'utf8');
  expect(text).not.toContain('one');
  expect(Buffer.from(text)).toEqual(service.body('ndjson', 1, 40));
});

test('to standard output, other bytes after the interruption are an error: what is out cannot be taken back', async () => {
  service.faults = [{ cutAfter: 700 }];
  const { stream } = memory();
  const begun = get('ndjson', 1, 40, { to: stream, onProgress: changeWriterWhenWaiting });
  await expect(begun).rejects.toThrow(/other bytes/);
});

test.each(formats)(
  'all events there and only the ending cut off: the file is whole without asking again (%s)',
  async (format) => {
    const length = service.body(format, 1, 16).length;
    service.faults = [{ cutAfter: length - (format === 'arrow' ? 8 : 0), held: true }];
    await get(format, 1, 16, { onProgress: () => service.cut() });
    expect(await readFile(join(folder, 'events'))).toEqual(service.body(format, 1, 16));
    expect(service.requests).toHaveLength(1);
  },
);

test('lines that end too soon, as a proxy may show a broken connection, are not taken for whole', async () => {
  service.faults = [{ short: 9 }];
  await get('ndjson', 1, 32);
  expect(await readFile(join(folder, 'events'))).toEqual(service.body('ndjson', 1, 32));
});

test('an Arrow stream that ends properly with events missing is refused, and leaves no file', async () => {
  service.faults = [{ short: 9 }];
  await expect(get('arrow', 1, 32)).rejects.toThrow(/23 events, not 32/);
  expect(await readdir(folder)).toEqual([]);
});

test.each(formats)('an answer with too many events is refused, and leaves no file (%s)', async (format) => {
  service.faults = [{ short: -3 }];
  await expect(get(format, 1, 32)).rejects.toThrow(/more than the 32 events/);
  expect(await readdir(folder)).toEqual([]);
});

test('a wrong digest leaves no file; a right one is no obstacle, after interruptions too', async () => {
  service.digest = 'wrong';
  await expect(get('ndjson', 1, 32)).rejects.toThrow(/digest/);
  expect(await readdir(folder)).toEqual([]);
  service.digest = 'right';
  service.faults = [{ cutAfter: 500 }, { cutAfter: 500 }];
  await get('arrow', 1, 64);
  expect(await readFile(join(folder, 'events'))).toEqual(service.body('arrow', 1, 64));
});

test('what is not Arrow is refused without another try', async () => {
  const server = service.url;
  service.body = () => Buffer.from('<html>welcome to the hotel network</html>'.repeat(30));
  await expect(get('arrow', 1, 32, { server })).rejects.toThrow(/not Arrow/);
  expect(service.requests).toHaveLength(1);
  expect(await readdir(folder)).toEqual([]);
});

test('tries that bring nothing are bounded', async () => {
  service.faults = Array.from({ length: 100 }, (): Fault => ({ status: 503, code: 'QUEUE_UNAVAILABLE' }));
  await expect(get('ndjson', 1, 32)).rejects.toMatchObject({ status: 503, code: 'QUEUE_UNAVAILABLE' });
  expect(service.requests).toHaveLength(retries.fruitlessMax);
  expect(await readdir(folder)).toEqual([]);
});

test('Retry-After is waited for, and said', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    service.faults = [{ status: 503, code: 'OVERLOADED', retryAfter: '3' }];
    const waits: number[] = [];
    const done = get('ndjson', 1, 8, { onProgress: ({ waiting }) => waiting && waits.push(waiting.ms) });
    await eventually(() => expect(waits).toEqual([3000]));
    await vi.advanceTimersByTimeAsync(2900);
    expect(service.requests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(200);
    vi.useRealTimers();
    await done;
    expect(service.requests).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});

test('a Retry-After beyond all patience is not waited for', async () => {
  service.faults = [{ status: 503, code: 'OVERLOADED', retryAfter: '86400' }];
  await expect(get('ndjson', 1, 8)).rejects.toMatchObject({ status: 503 });
});

test.each([
  [{ status: 404, code: 'DATASET_NOT_FOUND' }, 1],
  [{ status: 502, code: 'GENERATION_FAILED' }, 1],
  [{ status: 502 }, 2],
  [{ status: 500, code: 'INTERNAL' }, 2],
  [{ status: 429, code: 'TOO_MANY_REQUESTS', retryAfter: '0' }, 2],
] as const)('%j takes %i requests: only what may pass is tried again', async (fault, requests) => {
  service.faults = [fault];
  const outcome = get('ndjson', 1, 8);
  if (requests === 1) await expect(outcome).rejects.toMatchObject({ code: 'code' in fault ? fault.code : undefined });
  else await outcome;
  expect(service.requests).toHaveLength(requests);
});

test('with nobody listening it fails at once and says what to do', async () => {
  const closed = await new Promise<number>((found) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => found(port));
    });
  });
  await expect(get('ndjson', 1, 8, { server: `http://127.0.0.1:${closed}` })).rejects.toThrow(/npm start/);
});

test('an interrupted download ends at once, keeps its part and leaves no file', async () => {
  service.faults = [{ cutAfter: 900 }, { status: 503, retryAfter: '4' }];
  const stop = new AbortController();
  const begun = get('ndjson', 1, 64, {
    signal: stop.signal,
    onProgress: ({ waiting }) => waiting && stop.abort(new Error('enough')),
  });
  await expect(begun).rejects.toThrow('enough');
  expect(await readdir(folder)).toEqual([expect.stringMatching(/\.part$/)]);
});

test('an earlier file keeps its bytes until the new one is whole', async () => {
  await writeFile(join(folder, 'events'), 'before');
  service.faults = Array.from({ length: 9 }, () => ({ cutAfter: 100 }));
  await expect(get('arrow', 1, 64)).rejects.toThrow();
  expect(await readFile(join(folder, 'events'), 'utf8')).toBe('before');
  service.faults = [];
  await get('arrow', 1, 64);
  expect(await readFile(join(folder, 'events'))).toEqual(service.body('arrow', 1, 64));
});

test('two downloads of the same into one file at once both leave it whole', async () => {
  service.faults = [{ cutAfter: 700 }, { cutAfter: 1500 }, { cutAfter: 300 }];
  const outcomes = await Promise.allSettled([get('ndjson', 1, 200), get('ndjson', 1, 200)]);
  expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
  expect(await readFile(join(folder, 'events'))).toEqual(service.body('ndjson', 1, 200));
});

test('a symbolic link stays one, a folder is refused, and so is a path into nowhere', async () => {
  await writeFile(join(folder, 'real'), '');
  await symlink('real', join(folder, 'link'));
  await get('ndjson', 1, 8, { to: join(folder, 'link') });
  expect(await readFile(join(folder, 'real'))).toEqual(service.body('ndjson', 1, 8));
  await mkdir(join(folder, 'sub'));
  await expect(get('ndjson', 1, 8, { to: join(folder, 'sub') })).rejects.toThrow(/is a folder/);
  await rm(join(folder, 'sub'), { recursive: true });
  await expect(get('ndjson', 1, 8, { to: join(folder, 'sub', 'x') })).rejects.toThrow(/is not a folder/);
});
