// Promise 9: nothing is forgotten that cannot be remade. An api whose build lacks the generator of a stored dataset.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../api/main.ts';
import { readConfig } from '../../config/settings.ts';
import { silentLog } from '../../core/log.ts';
import { builtInGenerators } from '../../generators/registry.ts';
import { TestService } from '../api/harness.ts';

let service: TestService;
let later: RunningApi;

beforeAll(async () => {
  service = await TestService.start();
  await service.declare('data', { generator: 'quick', seed: 1, events: 100, chunkEvents: 50 });
  const environment = {
    EVOKE_DATA_DIR: service.dataDir,
    EVOKE_REDIS_URL: service.redis.url,
    EVOKE_PORT: '0',
  };
  later = await startApi(readConfig(environment), builtInGenerators, silentLog);
});

afterAll(async () => {
  await later.stop(0);
  await service.stop();
});

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
