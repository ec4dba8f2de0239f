// Derived chunks on real threads over a store in memory: the same bits whether their inputs are read or made again, and every
// microsecond with the link it was spent on.
import { afterAll, expect, test } from 'vitest';
import { chunkCount } from '../../core/chunk.ts';
import type { InputLink } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import { cpuMicrosOf } from '../../core/provenance.ts';
import { openChunk, sealChunk } from '../../formats/chunk-file.ts';
import { readColumns } from '../../formats/read-chunk.ts';
import { GeneratorRegistry } from '../../generators/registry.ts';
import type { ChunkJob } from '../../queue/job.ts';
import { chunkName } from '../../store/chunk-names.ts';
import { Chunks } from '../../store/chunks.ts';
import { makingOf } from '../../store/making.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { verifying } from '../../store/verifying.ts';
import { ChunkMaker, type ChunkMakerParts } from '../../workers/chunk-maker.ts';
import { WorkerCounters } from '../../workers/counters.ts';
import { ThreadPool } from '../../workers/pool.ts';
import { inOrder } from '../costs/report/ledgers.ts';
import { builtInGenerators, fixtureGeneratorsUrl } from '../fixtures/generators.ts';
import { KeepingLedger } from '../fixtures/keeping-ledger.ts';
import { ampleRoom, keepingLog } from '../fixtures/line.ts';
import { aChain, type LinkWish, orderOfLink } from '../fixtures/orders.ts';

/** Says of every event that it takes so long: what is worth reading is the tests' choice. */
function costing(cpuSeconds: number): GeneratorRegistry {
  return new GeneratorRegistry(
    builtInGenerators.list().map((generator) => ({ ...generator, cost: () => ({ cpuSeconds, rawBytes: 12 }) })),
  );
}

const dear = costing(1);
const cheap = costing(1e-9);

/** Of all tests: starting a thread takes longer than most of them. */
const pool = new ThreadPool({ threads: 1, queueMax: 2, generators: fixtureGeneratorsUrl });
afterAll(() => pool.close());

function aWorker() {
  const store = new MemoryStore();
  const chunks = new Chunks(verifying(store));
  const ledger = new KeepingLedger();
  const counters = new WorkerCounters();
  const log = keepingLog();
  const touched: string[] = [];
  const make = async (order: ChunkJob, registry: GeneratorRegistry, more: Partial<ChunkMakerParts> = {}) => {
    const maker = new ChunkMaker({
      pool,
      registry,
      chunks,
      room: ampleRoom,
      book: { touch: async (entries) => void touched.push(...entries.map(({ key }) => key)) },
      ledger,
      identity: { host: 'a-host', pid: 7, id: 'a-worker' },
      code: '1',
      counters,
      ...more,
    });
    const done = await maker.fulfil(order, 1, log);
    await maker.settled();
    const provenance = await chunks.trailer(order.chunk);
    if (provenance === undefined) throw new Error('it was not stored');
    return { done, provenance };
  };
  /** Makes a chunk of which nothing is left behind. */
  const digest = async (order: ChunkJob, registry: GeneratorRegistry) => {
    const { provenance } = await make(order, registry);
    await chunks.delete(order.chunk);
    const { digest, inputs = [] } = provenance;
    return { digest, uses: inputs.map(({ readEvents, remadeEvents }) => [readEvents, remadeEvents]) };
  };
  const storeChunks = (chain: readonly InputLink[], at: number, indices?: readonly number[]) =>
    storeLink(make, chain, at, indices);
  return { make, digest, storeLink: storeChunks, store, chunks, ledger, counters, log, touched };
}

async function storeLink(
  make: (order: ChunkJob, registry: GeneratorRegistry) => Promise<unknown>,
  chain: readonly InputLink[],
  at: number,
  indices?: readonly number[],
): Promise<void> {
  const all = Array.from({ length: chunkCount(chain[at] as InputLink) }, (_, index) => index);
  for (const index of indices ?? all) await make(orderOfLink(chain, at, index), cheap);
}

const pair: readonly LinkWish[] = [{ generator: 'derived' }, { generator: 'quick' }];

test('a derived chunk is the same whether its input is stored, half stored, or not', async () => {
  const { digest, storeLink } = aWorker();
  const chain = aChain(pair);
  const order = orderOfLink(chain, 0, { first: 0, end: 96 });
  const none = await digest(order, dear);
  expect(none.uses).toEqual([[0, 96]]);
  await storeLink(chain, 1, [1, 4]);
  expect(await digest(order, dear)).toEqual({ digest: none.digest, uses: [[32, 64]] });
  await storeLink(chain, 1);
  expect(await digest(order, dear)).toEqual({ digest: none.digest, uses: [[96, 0]] });
  // Where making is as cheap as that, nothing is read.
  expect(await digest(order, cheap)).toEqual(none);
});

test.each([
  ['smaller record batches that do not fit into its own', 10, 5],
  ['one chunk with one record batch', 96, 96],
  ['chunks of one event', 1, 1],
  ['chunks that its own begin and end within', 7, 3],
])('a derived chunk is the same over an input cut another way: %s', async (_, chunkEvents, batchEvents) => {
  const { digest, storeLink } = aWorker();
  const chain = aChain([
    { generator: 'derived', batchEvents: 16 },
    { generator: 'quick', chunkEvents, batchEvents },
  ]);
  const order = orderOfLink(chain, 0, { first: 16, end: 64 });
  const none = await digest(order, dear);
  await storeLink(chain, 1);
  expect(await digest(order, dear)).toEqual({ digest: none.digest, uses: [[48, 0]] });
});

test('how a derived chunk is cut, and how its input is, changes no event', async () => {
  const { make, chunks } = aWorker();
  const seeds = { seed: 5 };
  const bytes: Buffer[] = [];
  for (const inputBatch of [1, 3, 8, 96]) {
    const wish = { generator: 'quick', ...seeds, batchEvents: inputBatch };
    const order = orderOfLink(aChain([{ generator: 'derived', ...seeds, batchEvents: 32 }, wish]), 0, 0);
    await make(order, cheap);
    bytes.push((await chunks.get(order.chunk)) ?? Buffer.alloc(0));
    await chunks.delete(order.chunk);
  }
  // The trailer, which says what it took, is another each time.
  const streams = bytes.map((stored) => stored.subarray(0, stored.indexOf('{"derivation"')).toString('hex'));
  expect(new Set(streams).size).toBe(1);
});

const three: readonly LinkWish[] = [
  { generator: 'derived', batchEvents: 8 },
  { generator: 'derived', chunkEvents: 12, batchEvents: 5 },
  { generator: 'derived', chunkEvents: 20, batchEvents: 20 },
  { generator: 'quick', chunkEvents: 32, batchEvents: 2 },
];

test('a chunk three inputs deep is the same whatever of them is stored; behind what is read nothing is needed', async () => {
  const { digest, storeLink, chunks } = aWorker();
  const chain = aChain(three);
  const order = orderOfLink(chain, 0, { first: 0, end: 96 });
  const none = await digest(order, dear);
  expect(none.uses).toEqual([
    [0, 96],
    [0, 96],
    [0, 96],
  ]);
  const ways: [stored: [link: number, indices: number[]][], uses: number[][]][] = [
    [
      [[3, [0, 1, 2]]],
      [
        [0, 96],
        [0, 96],
        [96, 0],
      ],
    ],
    [
      [[2, [0, 2]]],
      [
        [0, 96],
        [40, 56],
        [0, 56],
      ],
    ],
    [
      [
        [1, [0, 7]],
        [2, [0, 4]],
        [3, [2]],
      ],
      [
        [24, 72],
        [12, 60],
        [16, 44],
      ],
    ],
    [
      [
        [1, [0, 1, 2, 3, 4, 5, 6, 7]],
        [3, [0]],
      ],
      [
        [96, 0],
        [0, 0],
        [0, 0],
      ],
    ],
  ];
  for (const [stored, uses] of ways) {
    for (const [link, indices] of stored) await storeLink(chain, link, indices);
    expect(await digest(order, dear)).toEqual({ digest: none.digest, uses });
    for await (const { chunk } of chunks.all()) await chunks.delete(chunk);
  }
});

test('its value is what the recipe says, event by event', async () => {
  const { make, chunks } = aWorker();
  const order = orderOfLink(aChain([{ generator: 'derived' }, ...pair]), 0, 1);
  await make(order, dear);
  const stored = (await chunks.get(order.chunk)) ?? Buffer.alloc(0);
  const columns = builtInGenerators.get('derived', '1').columns;
  const { values } = readColumns(openChunk(order.key, stored).stream, columns, order.chunk.range, order.chunk);
  // Half of half of half the event number, with one added twice on the way.
  expect([...(values['value'] ?? [])]).toEqual(Array.from({ length: 16 }, (_, i) => (17 + i) / 8 + 1.5));
});

test('a damaged input is put away and made again, and so is one that is gone when it is to be read', async () => {
  const { make, digest, storeLink, store, chunks } = aWorker();
  const chain = aChain(pair);
  const order = orderOfLink(chain, 0, { first: 0, end: 96 });
  const none = await digest(order, dear);
  await storeLink(chain, 1);
  const input = orderOfLink(chain, 1, 2).chunk;
  const bytes = Buffer.from((await store.get(chunkName(input))) ?? []);
  bytes[300] = (bytes[300] ?? 0) ^ 1;
  await store.put(chunkName(input), [bytes]);
  expect(await digest(order, dear)).toEqual({ digest: none.digest, uses: [[80, 16]] });
  expect(await chunks.head(input)).toBeUndefined();
  const { provenance } = await make(order, dear, { chunks: { ...bound(chunks), get: async () => undefined } });
  expect(provenance).toMatchObject({ digest: none.digest, inputs: [{ readEvents: 0, remadeEvents: 96 }] });
});

test('while the store does not give inputs out, they are made again, and it is asked once', async () => {
  const { make, chunks, storeLink, log, digest } = aWorker();
  const chain = aChain(three);
  const order = orderOfLink(chain, 0, { first: 0, end: 96 });
  const none = await digest(order, dear);
  await storeLink(chain, 2);
  let asked = 0;
  const get = () => {
    asked++;
    return Promise.reject(new EvokeError('STORE_UNAVAILABLE', { detail: 'away' }));
  };
  const { provenance } = await make(order, dear, { chunks: { ...bound(chunks), get } });
  expect(provenance.digest).toBe(none.digest);
  expect(asked).toBeLessThanOrEqual(8);
  expect(log.lines.filter(({ level }) => level === 'warn')).toMatchObject([{ fields: { error: 'away' } }]);
});

test('a stored input that is another writer’s nonsense is made again', async () => {
  const { make, chunks, storeLink, digest } = aWorker();
  const chain = aChain(pair);
  const order = orderOfLink(chain, 0, { first: 0, end: 96 });
  const none = await digest(order, dear);
  await storeLink(chain, 1);
  // Whole, sealed and named rightly, with the columns of something else.
  const other = aChain([{ generator: 'quick', batchEvents: 16 }]);
  await make(orderOfLink(other, 0, 0), cheap);
  const wrong = await chunks.get(orderOfLink(other, 0, 0).chunk);
  const input = orderOfLink(chain, 1, 0).chunk;
  const provenance = await chunks.trailer(input);
  if (wrong === undefined || provenance === undefined) throw new Error('there is something missing');
  const { stream } = openChunk(orderOfLink(other, 0, 0).key, wrong);
  await chunks.put(input, sealChunk(stream, provenance));
  const found = await digest(order, dear);
  expect(found).toEqual({ digest: none.digest, uses: [[80, 16]] });
});

test('the microseconds of all links add up to the chunk’s, in trailer, ledger, answer and counters alike', async () => {
  const { make, ledger, counters, storeLink } = aWorker();
  const busy = { parameters: { batchMs: 3 } };
  const chain = aChain([{ generator: 'derived' }, { generator: 'derived' }, { generator: 'dear', ...busy }]);
  const order = { ...orderOfLink(chain, 0, 1), batch: 'a-batch' };
  const { done, provenance } = await make(order, cheap);
  const { cpuSeconds, inputs = [] } = provenance;
  expect(inputs.map(({ dataset, readEvents, remadeEvents }) => [dataset, readEvents, remadeEvents])).toEqual([
    [chain[1]?.dataset, 0, 16],
    [chain[2]?.dataset, 0, 16],
  ]);
  // Four record batches of at least three milliseconds each.
  expect(inputs[1]?.cpuSeconds).toBeGreaterThanOrEqual(0.012);
  const micros = cpuMicrosOf(provenance);
  expect(Math.round(done.cpuSeconds * 1e6)).toBe(micros);
  expect(Math.round(counters.cpuSeconds * 1e6)).toBe(micros);
  expect(counters).toMatchObject({ inputEventsRead: 0, inputEventsRemade: 32, wastedCpuSeconds: 0 });
  expect(Math.round(counters.remakingCpuSeconds * 1e6)).toBe(micros - Math.round(cpuSeconds * 1e6));
  // What the worker told is what anybody tells from the trailer.
  const { remakes, generation, put } = makingOf(order.chunk, done.bytes, provenance);
  expect(ledger.entries).toEqual([...remakes, generation, put]);
  expect(remakes).toMatchObject([
    { derivation: chain[1]?.derivationId, generator: 'derived', batch: 'a-batch', requestId: order.requestId },
    { derivation: chain[2]?.derivationId, generator: 'dear', dataset: chain[2]?.dataset, range: order.chunk.range },
  ]);
  expect(generation.cpuMicros + remakes.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0)).toBe(micros);

  await storeLink(chain, 2);
  const again = await make(orderOfLink(chain, 0, 2), dear);
  expect(again.provenance.inputs?.[1]).toMatchObject({ readEvents: 16, remadeEvents: 0, cpuSeconds: 0 });
});

test('reading an input is a use of it: the ledger is told, and the book of the capacity', async () => {
  const { make, ledger, touched, storeLink } = aWorker();
  const chain = aChain([{ generator: 'derived' }, { generator: 'quick', chunkEvents: 10 }]);
  await storeLink(chain, 1);
  ledger.entries.length = 0;
  const order = orderOfLink(chain, 0, 1);
  await make(order, dear);
  const chunk = { derivation: chain[1]?.derivationId, batchEvents: 4, dataset: chain[1]?.dataset, generator: 'quick' };
  const use = { means: 'near', bytesServed: 0, waitMicros: 0, requestId: order.requestId };
  expect(ledger.of('access')).toMatchObject([
    { ...chunk, ...use, range: { first: 10, end: 20 }, events: 4 },
    { ...chunk, ...use, range: { first: 20, end: 30 }, events: 10 },
    { ...chunk, ...use, range: { first: 30, end: 40 }, events: 2 },
  ]);
  expect(ledger.of('remake')).toEqual([]);
  expect(touched).toEqual([1, 2, 3].map((index) => orderOfLink(chain, 1, index).key));
});

test('what was spent for nothing is told link by link, and is what the counters say', async () => {
  const { make, ledger, counters } = aWorker();
  const chain = aChain([
    { generator: 'failing', parameters: { event: 11 } },
    { generator: 'derived' },
    { generator: 'dear', parameters: { batchMs: 3 } },
  ]);
  await expect(make(orderOfLink(chain, 0, 0), cheap)).rejects.toMatchObject({ details: { event: 11 } });
  const wastes = ledger.of('waste');
  expect(wastes.map(({ derivation, cause }) => [derivation, cause])).toEqual(
    chain.map(({ derivationId }) => [derivationId, 'failed']),
  );
  expect(wastes[2]?.cpuMicros).toBeGreaterThanOrEqual(9_000);
  const sum = wastes.reduce((total, { cpuMicros }) => total + cpuMicros, 0);
  expect(Math.round(counters.wastedCpuSeconds * 1e6)).toBe(sum);
  expect(Math.round(counters.cpuSeconds * 1e6)).toBe(sum);
});

test('an event of an input that cannot be made, or is not a number, fails the derived chunk with its number', async () => {
  const { make } = aWorker();
  for (const generator of ['failing', 'not_finite']) {
    const chain = aChain([{ generator: 'derived' }, { generator, parameters: { event: 7 } }]);
    const failed = make(orderOfLink(chain, 0, 0), cheap);
    await expect(failed).rejects.toMatchObject({ code: 'GENERATION_FAILED', details: { event: 7 } });
    await expect(failed).rejects.toThrow(`Of its input ${chain[1]?.dataset}: `);
  }
});

test('of a thread that dies, what it had spent on each link is known', async () => {
  const { make, ledger, counters } = aWorker();
  const chain = aChain([
    { generator: 'exiting' },
    { generator: 'derived' },
    { generator: 'dear', parameters: { batchMs: 5 } },
  ]);
  await expect(make(orderOfLink(chain, 0, 0), cheap)).rejects.toThrow();
  const told = ledger.of('waste').map(({ cause, generator, cpuMicros }) => ({ cause, generator, cpuMicros }));
  expect(told.map(({ cause, generator }) => [cause, generator])).toEqual([
    ['crashed', 'exiting'],
    ['crashed', 'derived'],
    ['crashed', 'dear'],
  ]);
  expect(told[2]?.cpuMicros).toBeGreaterThanOrEqual(5_000);
  expect(Math.round(counters.wastedCpuSeconds * 1e6)).toBe(told.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0));
});

test('what was unstored counts once, with its inputs, when it turns up after all', async () => {
  const { make, ledger, chunks } = aWorker();
  const chain = aChain([{ generator: 'derived' }, { generator: 'dear', parameters: { batchMs: 3 } }]);
  const order = orderOfLink(chain, 0, 0);
  const away = () => Promise.reject(new EvokeError('STORE_UNAVAILABLE'));
  const put: typeof chunks.put = async (...args) => {
    await chunks.put(...args);
    return away();
  };
  const unsure = { ...bound(chunks), put, trailer: away };
  await expect(make(order, cheap, { chunks: unsure })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(ledger.entries.map(({ kind, generator }) => [kind, generator])).toEqual([
    ['waste', 'derived'],
    ['waste', 'dear'],
  ]);
  const provenance = await chunks.trailer(order.chunk);
  if (provenance === undefined) throw new Error('it was stored');
  const { remakes, generation, put: stored } = makingOf(order.chunk, 1, provenance);
  expect(inOrder([...ledger.entries, ...remakes, generation, stored])).toEqual([generation, ...remakes, stored]);
});

test('an order that does not say truly what its chunk is derived from is refused before anything is done', async () => {
  const { make, ledger } = aWorker();
  const chain = aChain(three);
  const order = orderOfLink(chain, 0, 0);
  const [first, second, third] = order.inputs as [InputLink, InputLink, InputLink];
  const [other] = aChain([{ generator: 'quick' }]) as [InputLink];
  const { inputs: _, ...none } = order;
  const wrong: ChunkJob[] = [
    none,
    { ...order, inputs: [] },
    { ...order, inputs: [first, second] },
    { ...order, inputs: [second, third] },
    { ...order, inputs: [first, second, other] },
    { ...order, inputs: [first, second, third, other] },
    { ...order, inputs: [first, second, { ...third, derivation: other.derivation }] },
    { ...order, inputs: [{ ...first, batchEvents: 0 }, second, third] },
    { ...order, inputs: [{ ...first, chunkEvents: 0.5 }, second, third] },
    { ...order, inputs: [first, { ...second, events: 15 }, third] },
    orderOfLink(aChain(Array.from({ length: 40 }, () => ({ generator: 'derived' }))), 0, 0),
    orderOfLink(aChain([{ generator: 'derived' }]), 0, 0),
    { ...order, key: order.key.replace('/8/', '/0/'), chunk: { ...order.chunk, batchEvents: 0 } },
  ];
  for (const job of wrong) await expect(make(job, dear)).rejects.toMatchObject({ code: 'INTERNAL' });
  expect(ledger.entries).toEqual([]);
});

test('a chain as long as there may be is made', async () => {
  const { make, digest } = aWorker();
  const chain = aChain([...Array.from({ length: 32 }, () => ({ generator: 'derived' })), { generator: 'quick' }]);
  const { provenance } = await make(orderOfLink(chain, 0, 0), dear);
  expect(provenance.inputs).toHaveLength(32);
  expect((await digest(orderOfLink(chain, 0, 1), dear)).uses).toEqual(Array(32).fill([0, 16]));
});

function bound(chunks: Chunks): ChunkMakerParts['chunks'] {
  return {
    head: (chunk) => chunks.head(chunk),
    get: (chunk) => chunks.get(chunk),
    put: (chunk, parts, options) => chunks.put(chunk, parts, options),
    trailer: (chunk) => chunks.trailer(chunk),
    recordDigest: (chunk, made) => chunks.recordDigest(chunk, made),
  };
}
