// For those who run the service.
import { messageOf } from '../../core/errors.ts';
import type { ProcessRole } from '../../queue/processes.ts';
import { type Answer, type Input, json, page } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';

/** Whoever watches over the service does not wait longer than this for a word. */
const patienceMs = 900;

export function getHealth(): Answer {
  return json(200, { status: 'alive' });
}

/** Ready while stored data can be read; what else is away makes it degraded, not unready. */
export async function getReadiness(_input: Input, deps: ApiDeps): Promise<Answer> {
  const [store, queue, roles] = await Promise.all([
    within(patienceMs, deps.store.get('store.json')).then(
      (record) => record !== undefined,
      (error: unknown) => {
        deps.log.warn({ error: messageOf(error) }, 'not ready: the store cannot be read');
        return false;
      },
    ),
    within(patienceMs, deps.queue.ping()).catch(() => false),
    within(patienceMs, deps.processes.list()).then(
      (processes) => new Set(processes.map((process) => process.role)),
      () => new Set<ProcessRole>(),
    ),
  ]);
  const missing: string[] = [];
  if (!store) missing.push('store');
  if (!queue) missing.push('queue');
  for (const role of ['worker', 'scheduler'] as const) if (!roles.has(role)) missing.push(role);
  const status = missing.length === 0 ? 'ready' : 'degraded';
  if (store) return json(200, { status, missing });
  const headers = ['Cache-Control', 'no-store', 'Retry-After', '2'];
  return { status: 503, headers, body: { kind: 'json', value: { status, missing } } };
}

export async function getMetrics(_input: Input, { metrics, sharedMetrics }: ApiDeps): Promise<Answer> {
  await sharedMetrics.look();
  const { registry } = metrics;
  const body = { kind: 'text', text: await registry.metrics(), mediaType: registry.contentType } as const;
  return { status: 200, headers: ['Cache-Control', 'no-cache'], body };
}

export function getOpenapi(_input: Input, { document }: ApiDeps): Answer {
  return json(200, document);
}

export function getVersion(_input: Input, { version, registry }: ApiDeps): Answer {
  return json(200, { version, api: 'v1', node: process.version, registry: registry.fingerprint() });
}

type PageQuery = { limit: number; after?: string | undefined };

export async function listWorkers({ query }: Input<unknown, PageQuery>, { processes }: ApiDeps): Promise<Answer> {
  const { after = '', limit } = query;
  const workers = (await processes.list()).filter(({ role, id }) => role === 'worker' && id > after);
  workers.sort((a, b) => (a.id < b.id ? -1 : 1));
  const items = workers.slice(0, limit);
  return page(items, workers.length > limit ? (items.at(-1)?.id ?? null) : null);
}

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no word within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
