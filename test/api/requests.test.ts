// Requests that are answered later, over HTTP: accepted, shown, cancelled, and what becomes of them when something goes wrong.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serverEvents } from '../../client/event-source.ts';
import { type Call, type Reply, send, TestService } from './harness.ts';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());

let seeds = 100;

/** Ten chunks of so many milliseconds each, shared with no other dataset. */
function tenChunks(name: string, batchMs: number): Promise<string> {
  const seed = ++seeds;
  return service.declare(name, { generator: 'slow', parameters: { batchMs }, seed, events: 40, chunkEvents: 4 });
}

function later(target: string, prefer = 'respond-async', call: Call = {}): Promise<Reply> {
  return service.call(target, { ...call, headers: { prefer, ...call.headers } });
}

async function accepted(target: string): Promise<string> {
  const reply = await later(target);
  expect(reply.status, reply.text()).toBe(202);
  return reply.headers.location as string;
}

const show = async (location: string) => (await service.call(location)).json();

function ends(location: string, state: string): Promise<void> {
  return expect.poll(async () => (await show(location)).state, { interval: 50 }).toBe(state);
}

async function metric(name: string, url = service.url): Promise<number> {
  const text = (await send(url, '/metrics')).text();
  const escaped = name.replaceAll(/[{}"]/g, '\\$&');
  return Number(new RegExp(`^${escaped} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

test('what is not stored is accepted with 202, made, and found under the result in the format and columns asked for', async () => {
  const path = await tenChunks('later', 20);
  const reply = await later(`${path}/events/3-38?columns=value,event&format=arrow`);
  expect(reply.status).toBe(202);
  const request = reply.json();
  const id = reply.headers['request-id'];
  expect(reply.headers).toMatchObject({
    location: `/v1/requests/${id}`,
    'preference-applied': 'respond-async',
    'cache-control': 'no-store',
    'retry-after': expect.stringMatching(/^[1-9]\d?$/),
  });
  expect(reply.headers.etag).toBeUndefined();
  expect(request).toEqual({
    id,
    state: 'running',
    dataset: 'test:later',
    startEvent: 3,
    lastEvent: 38,
    chunksDone: expect.any(Number),
    chunks: 10,
    startedAt: expect.any(String),
    estimatedSecondsLeft: null,
    result: '/v1/datasets/test/later/events/3-38.arrows',
  });
  await ends(`/v1/requests/${id}`, 'completed');
  expect(await show(`/v1/requests/${id}`)).toMatchObject({
    chunksDone: 10,
    estimatedSecondsLeft: 0,
    endedAt: expect.any(String),
  });
  const result = await service.call(request.result);
  expect(result.headers['cache-status']).toBe('evoke; hit');
  const plain = await service.call(`${path}/events/3-38?format=arrow`);
  expect(result.body.equals(plain.body)).toBe(true);
  const columns = await later(`${path}/events/1-40.ndjson?columns=value`);
  expect(columns.status).toBe(200);
});

test('chosen columns are named in the result', async () => {
  const path = await tenChunks('chosen', 5);
  const reply = await later(`${path}/events/1-40?columns=value`, 'respond-async', { headers: { accept: '*/*' } });
  expect(reply.json().result).toBe(`${path}/events/1-40.ndjson?columns=value`);
  await ends(reply.headers.location as string, 'completed');
  expect((await service.call(reply.json().result)).text().split('\n')[0]).toBe('{"value":0.5}');
});

test('what is stored is answered at once, from memory and from the store, and says what was honoured', async () => {
  const path = await service.declare('there', { generator: 'quick', events: 400, chunkEvents: 4 });
  await service.call(`${path}/events/1-400`);
  for (const range of ['1-8', '1-8', '1-400']) {
    const reply = await later(`${path}/events/${range}`, 'respond-async, wait=10');
    expect(reply.status).toBe(200);
    expect(reply.headers['preference-applied']).toBe('respond-async, wait=10');
    expect(reply.headers['cache-status']).toBe('evoke; hit');
  }
  expect((await service.call(`${path}/events/1-8`)).headers['preference-applied']).toBeUndefined();
});

test('a client that waits gets the events when they are ready in time, and nothing is written down of it', async () => {
  const path = await tenChunks('in_time', 5);
  const kept = async () => (await readdir(join(service.dataDir, 'store/requests')).catch(() => [])).length;
  const before = await kept();
  const reply = await later(`${path}/events/1-40`, 'respond-async, wait=10');
  expect(reply.status).toBe(200);
  expect(reply.headers['preference-applied']).toBe('respond-async, wait=10');
  expect(reply.text().trim().split('\n')).toHaveLength(40);
  expect(await kept()).toBe(before);
  const id = reply.headers['request-id'];
  expect((await service.call(`/v1/requests/${id}`)).status).toBe(404);
});

test('a client that waits in vain is answered 202 when its time is up', async () => {
  const path = await tenChunks('in_vain', 200);
  const begun = performance.now();
  const reply = await later(`${path}/events/1-40`, 'respond-async, wait=1');
  expect(reply.status).toBe(202);
  expect(performance.now() - begun).toBeGreaterThan(990);
  expect(reply.headers['preference-applied']).toBe('respond-async, wait=1');
  expect(reply.json().chunksDone).toBeGreaterThan(0);
  await service.call(reply.headers.location as string, { method: 'DELETE' });
});

test('a client that leaves while it waits leaves nothing behind', async () => {
  const path = await tenChunks('leaves', 200);
  const leaving = new AbortController();
  const headers = { prefer: 'respond-async, wait=20' };
  const reply = fetch(`${service.url}${path}/events/1-40`, { headers, signal: leaving.signal });
  await expect.poll(() => metric('evoke_async_requests')).toBe(1);
  leaving.abort();
  await expect(reply).rejects.toThrow();
  const timeout = 10_000;
  await expect.poll(() => metric('evoke_async_requests'), { timeout }).toBe(0);
  await expect.poll(() => metric('evoke_flights'), { timeout }).toBe(0);
});

test('wait alone is no wish for a later answer', async () => {
  const path = await service.declare('alone', { generator: 'quick', events: 8, chunkEvents: 4 });
  const reply = await later(`${path}/events/1-8`, 'wait=0');
  expect(reply.status).toBe(200);
  expect(reply.headers['preference-applied']).toBeUndefined();
});

test('everything else that a request can be told comes first', async () => {
  const path = await tenChunks('first', 5);
  const etag = (await service.call(`${path}/events/1-40`, { method: 'HEAD' })).headers.etag as string;
  await service.put(`${await service.declare('gone', { generator: 'quick', events: 4 })}/retired`);
  const expected: [target: string, headers: Record<string, string>, status: number][] = [
    [`${path}/events/1-40`, { 'if-none-match': etag }, 304],
    [`${path}/events/1-40`, { 'if-match': '"other"' }, 412],
    [`${path}/events/1-40`, { accept: 'image/png' }, 406],
    [`${path}/events/1-41`, {}, 416],
    [`${path}/events/1-40?columns=nothing`, {}, 422],
    ['/v1/datasets/test/gone/events/1-4', {}, 410],
    ['/v1/datasets/test/nobody/events/1-4', {}, 404],
    [`${path}/events/1-40`, { 'cache-control': 'only-if-cached' }, 504],
    [`${path}/events/40-1`, {}, 400],
  ];
  for (const [target, headers, status] of expected) {
    expect((await later(target, 'respond-async', { headers })).status, target).toBe(status);
  }
  expect((await later(`${path}/events/1-40`, 'respond-async', { method: 'HEAD' })).status).toBe(200);
  expect(await metric('evoke_async_requests')).toBe(0);
});

test('a chunk that cannot be made fails the request, with the problem that a client who waited would have got', async () => {
  const path = await service.declare('fails', {
    generator: 'failing',
    parameters: { event: 7 },
    events: 400,
    chunkEvents: 4,
  });
  const waited = await later(`${path}/events/1-8`, 'respond-async, wait=10');
  expect(waited.status).toBe(502);
  const location = await accepted(`${path}/events/1-400`);
  await ends(location, 'failed');
  const shown = await show(location);
  expect(shown.error).toMatchObject({
    code: 'GENERATION_FAILED',
    status: 502,
    type: 'urn:evoke:problem:generation-failed',
    event: 7,
    requestId: shown.id,
    lastWords: expect.stringContaining('Event 7'),
  });
  expect(shown.chunksDone).toBeLessThan(100);
  await expect.poll(() => metric('evoke_flights')).toBe(0);
});

test('DELETE cancels: what is not begun is taken back, and what was made stays', async () => {
  const path = await tenChunks('cancelled', 100);
  const location = await accepted(`${path}/events/1-40`);
  await expect.poll(async () => (await show(location)).chunksDone).toBeGreaterThan(0);
  expect((await service.call(location, { method: 'DELETE' })).status).toBe(204);
  const shown = await show(location);
  expect(shown).toMatchObject({ state: 'cancelled', endedAt: expect.any(String), estimatedSecondsLeft: null });
  await expect.poll(() => metric('evoke_async_requests')).toBe(0);
  const { materializedChunks } = (await service.call(path)).json();
  expect(materializedChunks).toBeLessThan(10);
  expect((await service.call(location, { method: 'DELETE' })).status).toBe(204);
  expect(await show(location)).toEqual(shown);
});

test('what is no request is not found, whatever its id looks like', async () => {
  for (const id of ['x', '00000000-0000-0000-0000-000000000000', `${'0'.repeat(36)}.end`, 'a'.repeat(200)]) {
    for (const call of [{}, { method: 'DELETE' }, { method: 'HEAD' }]) {
      expect((await service.call(`/v1/requests/${id}`, call)).status).toBe(404);
    }
    expect((await service.call(`/v1/requests/${id}/stream`)).status).toBe(404);
  }
  expect((await service.call(`/v1/requests/${'a'.repeat(201)}`)).status).toBe(400);
  expect((await service.call('/v1/requests/x', { method: 'PUT' })).status).toBe(405);
});

test('its progress is streamed until the end', async () => {
  const path = await tenChunks('streamed', 60);
  const location = await accepted(`${path}/events/1-40`);
  const states: { state: string; chunksDone: number }[] = [];
  for await (const { data } of serverEvents(`${service.url}${location}/stream`)) states.push(JSON.parse(data));
  expect(states.at(-1)).toEqual(await show(location));
  expect(states.at(-1)).toMatchObject({ state: 'completed', chunksDone: 10 });
  expect(states.length).toBeGreaterThan(1);
  const done = states.map(({ chunksDone }) => chunksDone);
  expect(done).toEqual([...done].sort((a, b) => a - b));
});

test('any api shows and cancels what another one makes', async () => {
  const other = await service.anotherApi();
  try {
    const path = await tenChunks('elsewhere', 150);
    const location = await accepted(`${path}/events/1-40`);
    const there = async () => (await send(other.url, location)).json();
    await expect.poll(async () => (await there()).chunksDone).toBeGreaterThan(0);
    expect((await send(other.url, location, { method: 'DELETE' })).status).toBe(204);
    expect((await there()).state).toBe('cancelled');
    await ends(location, 'cancelled');
    await expect.poll(() => metric('evoke_async_requests')).toBe(0);
    expect(await metric('evoke_async_requests', other.url)).toBe(0);
  } finally {
    await other.stop(0);
  }
});

test('an api that stops leaves its requests to whoever is asked next', async () => {
  const first = await service.anotherApi();
  const path = await tenChunks('left', 150);
  const reply = await send(first.url, `${path}/events/1-40`, { headers: { prefer: 'respond-async' } });
  expect(reply.status).toBe(202);
  await first.stop(0);
  const location = reply.headers.location as string;
  expect((await show(location)).state).toMatch(/pending|running/);
  await ends(location, 'completed');
  expect((await show(location)).chunksDone).toBe(10);
  expect(await metric('evoke_async_requests_total{outcome="takenUp"}')).toBe(1);
});

test('FLUSHALL loses no request, neither its work nor its progress', async () => {
  const path = await tenChunks('flushed', 100);
  const location = await accepted(`${path}/events/1-40`);
  await service.redis.command('FLUSHALL');
  await ends(location, 'completed');
  expect(await metric('evoke_async_requests_total{outcome="takenUp"}')).toBe(1);
  await service.redis.command('FLUSHALL');
  expect(await show(location)).toMatchObject({ state: 'completed', chunksDone: 10 });
});

test('whoever waits for an asynchronous request is told where to look when the process stops', async () => {
  const parameters = { batchMs: 100 };
  const path = await service.declare('stopped', { generator: 'slow', parameters, events: 400, chunkEvents: 4 });
  const api = await service.anotherApi({});
  const waiting = send(api.url, `${path}/events/1-40`, { headers: { prefer: 'respond-async, wait=60' } });
  await expect.poll(() => metric('evoke_async_requests', api.url)).toBe(1);
  const begun = performance.now();
  await api.stop(20_000);
  expect(performance.now() - begun).toBeLessThan(10_000);
  const { status, headers } = await waiting;
  expect(status).toBe(202);
  expect(headers['preference-applied']).toBe('respond-async, wait=60');
  await expect.poll(async () => (await show(headers.location as string)).state).toBe('completed');
});

test('requests under way are bounded, by process with 503 and by client with 429', async () => {
  const path = await service.declare('many', {
    generator: 'slow',
    parameters: { batchMs: 60 },
    events: 400,
    chunkEvents: 4,
  });
  const refusals: [env: Record<string, string>, status: number, code: string][] = [
    [{ EVOKE_ASYNC_REQUESTS: '2' }, 503, 'OVERLOADED'],
    [{ EVOKE_CLIENT_REQUESTS: '2' }, 429, 'TOO_MANY_REQUESTS'],
  ];
  for (const [env, status, code] of refusals) {
    const api = await service.anotherApi(env);
    try {
      const ask = (range: string) => send(api.url, `${path}/events/${range}`, { headers: { prefer: 'respond-async' } });
      const [one, two] = [await ask('1-40'), await ask('41-80')];
      expect([one.status, two.status]).toEqual([202, 202]);
      const refused = await ask('81-120');
      expect(refused.status).toBe(status);
      expect(refused.json().code).toBe(code);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      for (const reply of [one, two]) await send(api.url, reply.headers.location as string, { method: 'DELETE' });
      await expect.poll(() => metric('evoke_async_requests', api.url)).toBe(0);
      const again = await ask('81-120');
      expect(again.status).toBe(202);
      await send(api.url, again.headers.location as string, { method: 'DELETE' });
    } finally {
      await api.stop(0);
    }
  }
});

test('a request that failed while its client waited can be looked up by its Request-Id, at any api', async () => {
  const path = await service.declare('broken', {
    generator: 'failing',
    parameters: { event: 1 },
    events: 4,
    chunkEvents: 4,
  });
  const reply = await service.call(`${path}/events/1-4`);
  expect(reply.status).toBe(502);
  const location = `/v1/requests/${reply.headers['request-id']}`;
  const shown = await show(location);
  expect(shown).toEqual({
    id: reply.headers['request-id'],
    state: 'failed',
    target: `${path}/events/1-4`,
    error: reply.json(),
    startedAt: expect.any(String),
    endedAt: expect.any(String),
  });
  const other = await service.anotherApi();
  try {
    await expect.poll(async () => (await send(other.url, location)).status).toBe(200);
    expect((await send(other.url, location)).json()).toEqual(shown);
  } finally {
    await other.stop(0);
  }
  expect((await service.call(location, { method: 'DELETE' })).status).toBe(204);
  const stream = await service.call(`${location}/stream`);
  expect(stream.text()).toContain(JSON.stringify(shown));
});

test('so can one whose connection was reset in mid-stream; a refusal of the client is not remembered', async () => {
  const path = await service.declare('reset', {
    generator: 'failing',
    parameters: { event: 37 },
    events: 40,
    chunkEvents: 4,
  });
  const response = await fetch(`${service.url}${path}/events/1-40`);
  const id = response.headers.get('request-id');
  await expect(response.text()).rejects.toThrow();
  expect(await show(`/v1/requests/${id}`)).toMatchObject({
    state: 'failed',
    error: { code: 'GENERATION_FAILED', event: 37 },
  });
  const refused = await service.call(`${path}/events/1-41`);
  expect((await service.call(`/v1/requests/${refused.headers['request-id']}`)).status).toBe(404);
});

test('while Redis is away a request is accepted and shown, and made when it is back', async () => {
  const path = await tenChunks('patient', 20);
  await service.redis.kill();
  const location = await accepted(`${path}/events/1-40`);
  expect((await show(location)).state).toBe('running');
  const failed = await service.call(`${path}/events/1-4`);
  expect(failed.status).toBe(503);
  expect(await show(`/v1/requests/${failed.headers['request-id']}`)).toMatchObject({
    error: { code: 'QUEUE_UNAVAILABLE' },
  });
  await service.redis.restart();
  await ends(location, 'completed');
});
