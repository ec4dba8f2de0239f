// What the benchmarks of hits share: a service with a second api that tells the ledger nothing, and a chunk in its memory.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { declare, eventsUrl, Service, type ServiceOptions } from '../test/service.ts';

const silentRole = 'api-without-ledger';
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** With V8 set as the api sets it (api/main.ts). */
const silentApi = ['--external-memory-accounted-in-global-limit', script('api-without-ledger.ts')];

export async function startWithSilentApi(
  options: Pick<ServiceOptions, 'prefix' | 'env'>,
): Promise<{ service: Service; silentUrl: string }> {
  const service = await Service.start({
    ...options,
    entry: (role) => (role === silentRole ? silentApi : [script('../cli/main.ts'), role]),
  });
  try {
    const [message] = await once(service.startRole(silentRole).process, 'message');
    return { service, silentUrl: message.ready.address };
  } catch (error) {
    await service.stop();
    throw error;
  }
}

/** Declares a dataset whose chunks take about so many bytes, and gives the URL of its first, stored and hot. */
export async function chunkOfAbout(service: Service, bytes: number): Promise<string> {
  const probe = await declare(service.url, `bench:probe${bytes}`, {
    generator: 'minbias',
    seed: 1,
    events: 4000,
    chunkEvents: 1000,
  });
  const sample = await (
    await fetch(eventsUrl(service.url, `bench:probe${bytes}`, `1-${probe.chunkEvents}.arrows`))
  ).arrayBuffer();
  const chunkEvents = Math.round((bytes / sample.byteLength) * probe.chunkEvents);
  await declare(service.url, `bench:hit${bytes}`, { generator: 'minbias', seed: 1, events: chunkEvents, chunkEvents });
  const url = eventsUrl(service.url, `bench:hit${bytes}`, `1-${chunkEvents}.arrows`);
  await heat(url);
  return url;
}

/** From then on the answer comes from memory. */
export async function heat(url: string): Promise<void> {
  for (let i = 0; i < 3; i++) await (await fetch(url)).arrayBuffer();
}
