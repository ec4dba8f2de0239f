// Declaring datasets and looking at them.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestService } from './harness.ts';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());

const zmumu = { generator: 'ee_mumu', seed: 1, events: 1000, chunkEvents: 100 };

test('a new dataset is created with its grid and identity, and is found where Location says', async () => {
  const made = await service.put('/v1/datasets/decl/new', zmumu);
  expect(made.status).toBe(201);
  expect(made.headers.location).toBe('/v1/datasets/decl/new');
  expect(made.json()).toMatchObject({
    scope: 'decl',
    name: 'new',
    generator: 'ee_mumu',
    seed: 1,
    events: 1000,
    chunkEvents: 100,
    batchEvents: 64,
    chunks: 10,
    materializedChunks: 0,
    materializedBytes: 0,
    pinned: false,
    retired: false,
    parameters: { sqrtS: 91.1876 },
    derivation: expect.stringMatching(/^[0-9a-f]{64}$/),
    crossSection: { unit: 'pb', value: expect.any(Number), error: expect.any(Number) },
  });
  const found = await service.call('/v1/datasets/decl/new');
  expect(found.json()).toEqual(made.json());
  expect(found.json().columns.map((column: { name: string }) => column.name)).toContain('GenPart_pt');
});

test('the same declared again is 200, with any of the optional fields left out or defaults written down', async () => {
  await service.put('/v1/datasets/decl/again', { ...zmumu, parameters: { sqrtS: 100 } });
  for (const again of [
    { ...zmumu, parameters: { sqrtS: 100 } },
    { generator: 'ee_mumu', seed: 1, events: 1000 },
    { ...zmumu, version: '1', parameters: { sqrtS: 100, mZ: 91.1876 } },
  ]) {
    expect((await service.put('/v1/datasets/decl/again', again)).status).toBe(200);
  }
});

test('another definition under a taken name is 409 and says which fields differ', async () => {
  await service.put('/v1/datasets/decl/taken', zmumu);
  const reply = await service.put('/v1/datasets/decl/taken', { ...zmumu, seed: 2, events: 7, parameters: { mZ: 90 } });
  expect(reply.status).toBe(409);
  expect(reply.json()).toMatchObject({ code: 'DATASET_CONFLICT' });
  expect(
    reply
      .json()
      .errors.map((error: { path: string }) => error.path)
      .sort(),
  ).toEqual(['/events', '/parameters', '/seed']);
});

test('many declarations of one name at once create it once', async () => {
  const replies = await Promise.all(Array.from({ length: 10 }, () => service.put('/v1/datasets/decl/race', zmumu)));
  expect(replies.map((reply) => reply.status).sort()).toEqual([...Array(9).fill(200), 201]);
});

test('a refusal names every refused field', async () => {
  const reply = await service.put('/v1/datasets/decl/refused', {
    generator: 'ee_mumu',
    seed: -1,
    events: 0,
    chunkEvents: 1.5,
    parameters: { sqrtS: 'fast', spin: 1 },
    input: 'a:b',
    surprise: true,
  });
  expect(reply.status).toBe(422);
  expect(
    reply
      .json()
      .errors.map((error: { path: string }) => error.path)
      .sort(),
  ).toEqual(['/chunkEvents', '/events', '/input', '/parameters/spin', '/parameters/sqrtS', '/seed', '/surprise']);
});

test.each([
  ['an unknown generator', { ...zmumu, generator: 'nope' }, '/generator'],
  ['a name from the prototype', { ...zmumu, generator: 'constructor' }, '/generator'],
  ['an unknown version', { ...zmumu, version: '999' }, '/version'],
  ['too large a chunk', { ...zmumu, chunkEvents: 10_000_000 }, '/chunkEvents'],
  ['more events than can be counted', { ...zmumu, events: 2 ** 53 }, '/events'],
  ['a seed that is no integer', { ...zmumu, seed: 0.5 }, '/seed'],
  ['a seed beyond 2^53 - 1', { ...zmumu, seed: 2 ** 53 }, '/seed'],
  ['no generator', { seed: 1, events: 1 }, '/generator'],
  ['parameters that are a list', { ...zmumu, parameters: [] }, '/parameters'],
  ['null', null, ''],
  ['a list', [], ''],
  ['a text', 'x', ''],
])('%s is refused', async (_, body, path) => {
  const reply = await service.put('/v1/datasets/decl/bad', body);
  expect(reply.status).toBe(422);
  expect(reply.json()).toMatchObject({ code: 'INVALID_DECLARATION' });
  expect(reply.json().errors.map((error: { path: string }) => error.path)).toEqual([path]);
});

test('a chunk too large for the parameters is refused together with all the rest', async () => {
  const paths = async (body: object) =>
    (await service.put('/v1/datasets/decl/bad', body))
      .json()
      .errors.map((error: { path: string }) => error.path)
      .sort();
  const huge = { ...zmumu, chunkEvents: 1e9 };
  expect(await paths({ ...huge, seed: -1 })).toEqual(['/chunkEvents', '/seed']);
  expect(await paths({ ...huge, parameters: { sqrtS: 91 }, surprise: 1 })).toEqual(['/chunkEvents', '/surprise']);
  // How large it may be is not known then.
  expect(await paths({ ...huge, parameters: { sqrtS: -1 } })).toEqual(['/parameters/sqrtS']);
});

test('however many fields are refused, all are listed once, and the sentence stays short', async () => {
  const unknown = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`k${i}`, 1]));
  const reply = await service.put('/v1/datasets/decl/bad', { ...zmumu, ...unknown });
  expect(reply.status).toBe(422);
  expect(reply.json().errors).toHaveLength(2000);
  expect(reply.json().detail).toMatch(/^The declaration was refused: \/k0, .* and 1990 more\.$/);
  expect(reply.json().detail.length).toBeLessThan(200);
});

test('a key named __proto__ is refused, and -0 is 0', async () => {
  const call = (body: string) =>
    service.call('/v1/datasets/decl/odd', { method: 'PUT', headers: { 'content-type': 'application/json' }, body });
  expect((await call('{"generator":"quick","seed":1,"events":1,"__proto__":{"x":1}}')).status).toBe(400);
  expect((await call('{"generator":"quick","seed":1,"events":1,"constructor":{"x":1}}')).status).toBe(422);
  expect((await call('{"generator":"quick","seed":-0,"events":1}')).status).toBe(201);
  expect((await service.call('/v1/datasets/decl/odd')).json().seed).toBe(0);
  expect((await service.put('/v1/datasets/decl/odd', { generator: 'quick', seed: 0, events: 1 })).status).toBe(200);
});

test('datasets are listed in pages, without gaps or repetitions', async () => {
  for (let i = 0; i < 5; i++) await service.put(`/v1/datasets/list/d${i}`, zmumu);
  const names: string[] = [];
  let query = '?limit=2';
  for (let pages = 0; pages < 50; pages++) {
    const { items, next } = (await service.call(`/v1/datasets${query}`)).json();
    expect(items.length).toBeLessThanOrEqual(2);
    names.push(...items.map((item: { scope: string; name: string }) => `${item.scope}:${item.name}`));
    if (next === null) break;
    query = `?limit=2&after=${encodeURIComponent(next)}`;
  }
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => name.startsWith('list:'))).toEqual([
    'list:d0',
    'list:d1',
    'list:d2',
    'list:d3',
    'list:d4',
  ]);
});

test('generators are listed with the schema of their parameters', async () => {
  const { items, next } = (await service.call('/v1/generators')).json();
  expect(next).toBeNull();
  const eeMuMu = items.find((item: { name: string }) => item.name === 'ee_mumu');
  expect(eeMuMu).toMatchObject({ reproducibility: 'exact', parametersSchema: { type: 'object' } });
  expect(eeMuMu.parametersSchema.properties.sqrtS).toMatchObject({ default: 91.1876 });
  expect(eeMuMu.parametersSchema.required ?? []).toEqual([]);
  const one = (await service.call('/v1/generators?limit=1')).json();
  expect(one.items).toHaveLength(1);
  expect((await service.call(`/v1/generators?limit=1&after=${one.next}`)).json().items[0].name).not.toBe(
    one.items[0].name,
  );
});

test('a retired dataset answers 410, keeps its name, and says so', async () => {
  const path = await service.declare('retired', zmumu);
  expect((await service.call(`${path}/events/1-2`)).status).toBe(200);
  expect((await service.put(`${path}/retired`)).json()).toMatchObject({ retired: true });
  expect((await service.call(`${path}/events/1-2`)).status).toBe(410);
  expect((await service.call(`${path}/events/3-4`)).status).toBe(410);
  expect((await service.call(`${path}/plan/1-2`)).status).toBe(410);
  expect((await service.call(path)).json()).toMatchObject({ retired: true });
  expect((await service.put(path, { ...zmumu, seed: 9 })).status).toBe(409);
});

test('what is stored shows in the dataset, its materialization, its plan and its provenance, and evicts chunk by chunk', async () => {
  const path = await service.declare('seen', { ...zmumu, seed: 77 });
  const events = await service.call(`${path}/events/101-300`);
  expect(events.status).toBe(200);
  expect((await service.call(path)).json()).toMatchObject({ materializedChunks: 2, chunks: 10 });
  expect((await service.call(`${path}/materialization`)).json()).toEqual({
    items: [
      { firstChunk: 0, lastChunk: 0, state: 'virtual' },
      { firstChunk: 1, lastChunk: 2, state: 'materialized' },
      { firstChunk: 3, lastChunk: 9, state: 'virtual' },
    ],
    next: null,
  });
  const page = (await service.call(`${path}/materialization?limit=1&startEvent=150`)).json();
  expect(page).toEqual({ items: [{ firstChunk: 1, lastChunk: 2, state: 'materialized' }], next: '2' });
  expect((await service.call(`${path}/materialization?limit=1&startEvent=150&after=2`)).json()).toEqual({
    items: [{ firstChunk: 3, lastChunk: 9, state: 'virtual' }],
    next: null,
  });
  expect((await service.call(`${path}/materialization?after=9`)).json()).toEqual({ items: [], next: null });

  const plan = (await service.call(`${path}/plan/1-300`)).json();
  expect(plan.runs.map((run: { means: string }) => run.means)).toEqual(['generate', 'memory']);
  expect(plan.total).toMatchObject({ chunks: 3 });

  const stored = (await service.call(`${path}/provenance/1`)).json();
  expect(stored).toMatchObject({
    state: 'materialized',
    startEvent: 101,
    lastEvent: 200,
    digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    requestId: events.headers['request-id'],
    kept: { until: null },
  });
  expect((await service.call(`${path}/provenance/0`)).json()).toMatchObject({ state: 'virtual', digests: [] });
  expect((await service.call(`${path}/provenance/10`)).json()).toMatchObject({ code: 'CHUNK_NOT_FOUND', chunks: 10 });

  // Only chunks wholly inside go.
  expect((await service.call(`${path}/materialization/101-250`, { method: 'DELETE' })).status).toBe(204);
  expect((await service.call(path)).json()).toMatchObject({ materializedChunks: 1 });
  const gone = (await service.call(`${path}/provenance/1`)).json();
  expect(gone).toMatchObject({ state: 'virtual', digests: [{ digest: stored.digest }] });
  expect((await service.call(`${path}/events/101-300`)).body.equals(events.body)).toBe(true);
  expect((await service.call(`${path}/provenance/1`)).json()).toMatchObject({ digest: stored.digest });
  expect((await service.call(`${path}/materialization`, { method: 'DELETE' })).status).toBe(204);
  expect((await service.call(path)).json()).toMatchObject({ materializedChunks: 0, materializedBytes: 0 });
});

test('a pinned dataset is not evicted until the pin is gone', async () => {
  const path = await service.declare('pinned', { ...zmumu, seed: 78 });
  await service.call(`${path}/events/1-100`);
  const pin = await service.put(`${path}/pin`, { reason: 'a campaign' });
  expect(pin.json()).toMatchObject({ scope: 'test', name: 'pinned', reason: 'a campaign' });
  const days = (Date.parse(pin.json().expiresAt) - Date.now()) / 86_400_000;
  expect(days).toBeCloseTo(30, 2);
  expect((await service.call(path)).json()).toMatchObject({ pinned: true });
  expect((await service.call(`${path}/provenance/0`)).json().kept).toMatchObject({ until: pin.json().expiresAt });
  const refused = await service.call(`${path}/materialization`, { method: 'DELETE' });
  expect(refused.status).toBe(409);
  expect(refused.json()).toMatchObject({ code: 'PINNED' });
  expect((await service.call(`${path}/pin`, { method: 'DELETE' })).status).toBe(204);
  expect((await service.call(`${path}/pin`, { method: 'DELETE' })).status).toBe(204);
  expect((await service.call(`${path}/materialization`, { method: 'DELETE' })).status).toBe(204);
});

test('a pin takes an empty body, and refuses a past or unreadable end', async () => {
  const path = await service.declare('pin_bodies', zmumu);
  expect((await service.put(`${path}/pin`)).status).toBe(200);
  for (const body of [{ expiresAt: '2020-01-01T00:00:00Z' }, { expiresAt: 'tomorrow' }, { for: 'ever' }, []]) {
    const reply = await service.put(`${path}/pin`, body);
    expect(reply.status).toBe(422);
    expect(reply.json()).toMatchObject({ code: 'INVALID_BODY' });
  }
});

test('a failed chunk is shown as failed', async () => {
  const path = await service.declare('shown_failed', {
    generator: 'failing',
    parameters: { event: 5 },
    events: 12,
    chunkEvents: 4,
  });
  expect((await service.call(`${path}/events/5-6`)).status).toBe(502);
  expect((await service.call(`${path}/materialization`)).json().items).toEqual([
    { firstChunk: 0, lastChunk: 0, state: 'virtual' },
    { firstChunk: 1, lastChunk: 1, state: 'failed' },
    { firstChunk: 2, lastChunk: 2, state: 'virtual' },
  ]);
  expect((await service.call(`${path}/provenance/1`)).json()).toMatchObject({ state: 'failed' });
});
