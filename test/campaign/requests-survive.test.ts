// Asynchronous requests on a whole service of processes: the api that accepted one is killed, Redis is flushed, a worker dies,
// and the events are there all the same.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { declare, eventsUrl, Service } from '../service.ts';

let service: Service;
beforeAll(async () => {
  service = await Service.start({ apis: 2, workers: 2 });
});
afterAll(() => service.stop());

interface Shown {
  readonly state: string;
  readonly chunksDone: number;
  readonly result: string;
  readonly error?: { readonly code: string };
}

async function show(url: string, location: string): Promise<Shown> {
  return (await (await fetch(`${url}${location}`)).json()) as Shown;
}

/** 60 chunks of about 0.1 s. */
const definition = { generator: 'minbias', events: 60 * 256, chunkEvents: 256, parameters: { mean: 400 } };

async function accepted(url: string, name: string): Promise<string> {
  const response = await fetch(eventsUrl(url, name, `1-${definition.events}`, '?columns=event'), {
    headers: { prefer: 'respond-async' },
  });
  expect(response.status, await response.text()).toBe(202);
  return response.headers.get('location') ?? '';
}

function completed(url: string, location: string): Promise<Shown> {
  const look = async () => {
    const shown = await show(url, location);
    expect(shown.error).toBeUndefined();
    expect(shown.state).toBe('completed');
    return shown;
  };
  return eventually(look, { timeout: 60_000, interval: 200 });
}

test('an api killed in the middle: another one goes on within seconds of being asked', async () => {
  const doomed = await service.startApi();
  await declare(doomed.url, 'async:killed', { ...definition, seed: 1 });
  const location = await accepted(doomed.url, 'async:killed');
  await eventually(async () => expect((await show(service.url, location)).chunksDone).toBeGreaterThan(3), {
    timeout: 30_000,
  });
  await doomed.end('SIGKILL');
  const shown = await completed(service.url, location);
  expect(shown.chunksDone).toBe(60);
  const result = await fetch(`${service.url}${shown.result}`, { headers: { 'cache-control': 'only-if-cached' } });
  expect(result.status).toBe(200);
  expect((await result.text()).trimEnd().split('\n')).toHaveLength(definition.events);
}, 120_000);

test('Redis flushed and a worker killed: it goes on by itself', async () => {
  await declare(service.url, 'async:flushed', { ...definition, seed: 2 });
  const location = await accepted(service.url, 'async:flushed');
  await eventually(async () => expect((await show(service.url, location)).chunksDone).toBeGreaterThan(3), {
    timeout: 30_000,
  });
  await service.redis.command('FLUSHALL');
  await service.roles.find(({ role }) => role === 'worker')?.end('SIGKILL');
  const other = service.apis[1]?.url ?? '';
  expect((await completed(other, location)).chunksDone).toBe(60);
}, 120_000);
