// Promise 9: nothing is forgotten that cannot be remade. An api whose build lacks the generator of a stored dataset.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../api/main.ts';
import { readConfig } from '../../config/settings.ts';
import { silentLog } from '../../core/log.ts';
import { builtInGenerators, GeneratorRegistry } from '../../generators/registry.ts';
import { TestService } from '../api/harness.ts';
import { derived } from '../fixtures/generators.ts';

let service: TestService;
let later: RunningApi;

beforeAll(async () => {
  service = await TestService.start();
  await service.declare('data', { generator: 'quick', seed: 1, events: 100, chunkEvents: 50 });
  later = await startApi(readConfig(environment()), builtInGenerators, silentLog);
});

afterAll(async () => {
  await later.stop(0);
  await service.stop();
});

function environment() {
  return { EVOKE_DATA_DIR: service.dataDir, EVOKE_REDIS_URL: service.redis.url, EVOKE_PORT: '0' };
}

const dataset = () => `${later.url}/v1/datasets/test/data`;

test('what is stored is shown as a fossil, served as it was, with its columns, and not evicted', async () => {
  const made = await fetch(`${service.api.url}/v1/datasets/test/data/events/1-50.arrows`);
  expect(made.status).toBe(200);
  const before = Buffer.from(await made.arrayBuffer());

  const shown = await (await fetch(dataset())).json();
  expect(shown).toMatchObject({
    generator: 'quick',
    materializedChunks: 1,
    columns: [{ name: 'event' }, { name: 'value' }],
  });
  const states = await (await fetch(`${dataset()}/materialization`)).json();
  expect(states).toMatchObject({
    items: [
      { firstChunk: 0, lastChunk: 0, state: 'fossil' },
      { firstChunk: 1, lastChunk: 1, state: 'virtual' },
    ],
  });

  const evicted = await fetch(`${dataset()}/materialization`, { method: 'DELETE' });
  expect(evicted.status).toBe(409);
  expect(await evicted.json()).toMatchObject({ code: 'FOSSIL' });

  const served = await fetch(`${dataset()}/events/1-50.arrows`);
  expect(served.headers.get('cache-status')).toBe('evoke; hit');
  expect(Buffer.from(await served.arrayBuffer()).equals(before)).toBe(true);
  const lines = (await (await fetch(`${dataset()}/events/11-12.ndjson?columns=event`)).text()).trimEnd();
  expect(lines).toBe('{"event":11}\n{"event":12}');
});

describe('a derived dataset whose input can be made no more', () => {
  const path = '/v1/datasets/test/derived';
  let before: Buffer;
  let half: RunningApi;

  beforeAll(async () => {
    await service.declare('base', { generator: 'quick', seed: 1, events: 100, chunkEvents: 50 });
    await service.declare('derived', {
      generator: 'derived',
      seed: 1,
      events: 100,
      chunkEvents: 50,
      input: 'test:base',
    });
    const made = await fetch(`${service.api.url}${path}/events/1-50.arrows`);
    expect(made.status).toBe(200);
    before = Buffer.from(await made.arrayBuffer());
    const withoutInput = new GeneratorRegistry([derived]);
    half = await startApi(readConfig(environment()), withoutInput, silentLog);
  });
  afterAll(() => half.stop(0));

  test('is a fossil, though its own generator is there: shown, not evicted, served as it was', async () => {
    const states = await (await fetch(`${half.url}${path}/materialization`)).json();
    expect(states).toMatchObject({ items: [{ state: 'fossil' }, { state: 'virtual' }] });
    const evicted = await fetch(`${half.url}${path}/materialization`, { method: 'DELETE' });
    expect(evicted.status).toBe(409);
    expect(await evicted.json()).toMatchObject({ code: 'FOSSIL' });
    const served = await fetch(`${half.url}${path}/events/1-50.arrows`);
    expect(served.headers.get('cache-status')).toBe('evoke; hit');
    expect(Buffer.from(await served.arrayBuffer()).equals(before)).toBe(true);
  });

  test('tells its chain, and what that took, from its record and its trailers', async () => {
    const shown = await (await fetch(`${half.url}${path}`)).json();
    expect(shown).toMatchObject({ input: 'test:base', inputs: [{ dataset: 'test:base', generator: 'quick' }] });
    const stored = await (await fetch(`${half.url}${path}/provenance/0`)).json();
    expect(stored).toMatchObject({
      state: 'fossil',
      inputs: [{ dataset: 'test:base', derivation: { generator: 'quick' }, readEvents: 0, remadeEvents: 50 }],
      kept: { until: null, why: 'it cannot be made again' },
    });
    const virtual = await (await fetch(`${half.url}${path}/provenance/1`)).json();
    expect(virtual).toMatchObject({ state: 'virtual', inputs: [{ dataset: 'test:base' }] });
  });

  test('is planned without a promise of more, and nothing new is derived from it', async () => {
    const plan = await (await fetch(`${half.url}${path}/plan/1-100`)).json();
    const unmakeable = { means: 'generate', cpuSeconds: 0, why: expect.stringMatching(/no generator is registered/) };
    expect(plan).toMatchObject({ runs: [{ means: 'memory' }, unmakeable] });
    const body = JSON.stringify({ generator: 'derived', seed: 1, events: 10, input: 'test:derived' });
    const headers = { 'content-type': 'application/json' };
    const refused = await fetch(`${half.url}/v1/datasets/test/more`, { method: 'PUT', headers, body });
    expect(refused.status).toBe(422);
    const notRegistered = { path: '/input', message: expect.stringMatching(/quick@1 is not registered/) };
    expect(await refused.json()).toMatchObject({ errors: [notRegistered] });
    // What is declared already is the same again.
    const same = await fetch(`${half.url}${path}`, {
      method: 'PUT',
      headers,
      body: JSON.stringify({ generator: 'derived', seed: 1, events: 100, input: 'test:base' }),
    });
    expect(same.status).toBe(200);
  });
});
