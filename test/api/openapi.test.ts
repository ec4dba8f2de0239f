// The document says what is done: every route, every code, every header.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { responseHeaders } from '../../api/headers.ts';
import { openapi } from '../../api/openapi.ts';
import { routes } from '../../api/routes.ts';
import { type ErrorCode, errorCatalogue } from '../../core/errors.ts';
import { TestService } from './harness.ts';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ worker: false });
});
afterAll(() => service.stop());

type Operation = {
  responses: Record<string, { headers: object; 'x-codes'?: string[]; 'x-codes-within'?: string[] }>;
  parameters: { name: string }[];
  requestBody?: object;
};
const document = openapi(routes, '0.0.0') as {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { headers: object; responses: Record<string, { 'x-codes': string[] }> };
};

test('the served document is the generated one', async () => {
  const served = (await service.call('/openapi.json')).json();
  expect(served.openapi).toBe('3.1.0');
  expect(served.paths).toEqual(JSON.parse(JSON.stringify(document.paths)));
});

test('every reference of the document leads somewhere, and a body is required where it is', () => {
  const references = new Set<string>();
  JSON.stringify(document, (key, value) => {
    if (key === '$ref') references.add(String(value));
    return value as unknown;
  });
  expect(references.size).toBeGreaterThan(5);
  for (const reference of references) {
    const steps = reference.replace(/^#\//, '').split('/');
    const found = steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document);
    expect(found, reference).toBeDefined();
  }
  const dataset = '/v1/datasets/{scope}/{name}';
  expect(document.paths[dataset]?.['put']?.requestBody).toMatchObject({ required: true });
  expect(document.paths[`${dataset}/pin`]?.['put']?.requestBody).toMatchObject({ required: false });
});

test('every route of the table is in the document, with every parameter of its path', () => {
  for (const route of routes) {
    const operation = document.paths[route.path]?.[route.method.toLowerCase()];
    expect(operation, route.path).toBeDefined();
    const names = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    for (const name of names) expect(operation?.parameters.map((parameter) => parameter.name)).toContain(name);
  }
});

test('every code that can reach a client is in the document, at its status', () => {
  const processOnly: ErrorCode[] = ['BAD_SETTINGS', 'ALREADY_RUNNING', 'PEERS_DISAGREE'];
  const documented = new Map<string, string>();
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path)) {
      for (const [status, response] of Object.entries(operation.responses)) {
        for (const code of response['x-codes'] ?? []) documented.set(code, status);
        // Problems within an answer have their own status.
        for (const code of response['x-codes-within'] ?? []) {
          documented.set(code, String(errorCatalogue[code as ErrorCode].status));
        }
      }
    }
  }
  for (const code of document.components.responses['NotFound']?.['x-codes'] ?? []) documented.set(code, '404');
  for (const [code, { status }] of Object.entries(errorCatalogue)) {
    if (processOnly.includes(code as ErrorCode)) expect(documented.has(code), code).toBe(false);
    else expect(documented.get(code), code).toBe(String(status));
  }
});

test('every header of the catalogue is used by some answer of the document', () => {
  const used = new Set<string>();
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path)) {
      for (const response of Object.values(operation.responses)) {
        for (const name of Object.keys(response.headers)) used.add(name);
      }
    }
  }
  expect([...used].sort()).toEqual(Object.keys(responseHeaders).sort());
  expect(Object.keys(document.components.headers).sort()).toEqual(Object.keys(responseHeaders).sort());
});

test('HEAD works wherever GET does, with the same status and no body', async () => {
  await service.declare('h', { generator: 'quick', events: 10 });
  for (const route of routes.filter(({ method }) => method === 'GET')) {
    const target = route.path
      .replace('{scope}', 'test')
      .replace('{name}', 'h')
      .replace('{range}', '1-2.parquet')
      .replace('{chunk}', '0')
      .replace('{id}', 'x')
      .replace('{file}', 'x');
    const get = await service.call(target);
    const head = await service.call(target, { method: 'HEAD' });
    expect(head.status, target).toBe(get.status);
    expect(head.headers['content-type'], target).toBe(get.headers['content-type']);
  }
});

test('health, version, workers and metrics answer', async () => {
  expect((await service.call('/healthz')).json()).toEqual({ status: 'alive' });
  expect((await service.call('/v1/version')).json()).toMatchObject({ api: 'v1', node: process.version });
  expect((await service.call('/v1/workers')).json()).toEqual({ items: [], next: null });
  expect((await service.call('/readyz')).json()).toEqual({ status: 'degraded', missing: ['worker', 'scheduler'] });
  const metrics = (await service.call('/metrics')).text();
  for (const name of [
    'evoke_http_requests_total',
    'evoke_flights',
    'evoke_connections',
    'nodejs_eventloop_lag_seconds',
  ]) {
    expect(metrics).toContain(name);
  }
});
