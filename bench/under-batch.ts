// What a batch that keeps every thread busy costs those who wait: hits, and cold chunks that go first.
import { Agent } from 'node:http';
import { declare, eventsUrl, Service } from '../test/service.ts';
import { type Benchmark, quantile, type Row } from './bench.ts';
import { timed } from './client.ts';

const requests = 300;
const warmUp = 20;
const chunkEvents = 512;

export const underBatch: Benchmark = {
  name: 'under-batch',
  how: `${requests} hits and ${requests} cold one-chunk Arrow requests (${chunkEvents} events of \`minbias\`), one at a time over one connection, first on an idle service and then beside a batch of chunks of the same size that never ends; 2 generating threads.`,
  async run(): Promise<Row[]> {
    const service = await Service.start({ schedulers: 1 });
    const agent = new Agent({ keepAlive: true });
    try {
      const definition = { generator: 'minbias', events: 4_000_000_000, chunkEvents };
      await declare(service.url, 'bench:asked', { ...definition, seed: 1 });
      await declare(service.url, 'bench:batch', { ...definition, seed: 2 });
      const cold = coldRequests(agent, service.url);
      const idle = { hit: await hits(agent, service.url), cold: await cold() };
      await startBatch(service.url);
      const busy = { hit: await hits(agent, service.url), cold: await cold() };
      return [...compared('hit', idle.hit, busy.hit), ...compared('cold chunk', idle.cold, busy.cold)];
    } finally {
      agent.destroy();
      await service.stop();
    }
  },
};

async function hits(agent: Agent, url: string): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < requests + warmUp; i++) {
    times.push((await timed(agent, eventsUrl(url, 'bench:asked', `1-${chunkEvents}.arrows`))).ms);
  }
  return times.slice(warmUp);
}

/** Each call goes on where the one before ended. */
function coldRequests(agent: Agent, url: string): () => Promise<number[]> {
  let index = 1;
  return async () => {
    const times: number[] = [];
    for (let i = 0; i < requests + warmUp; i++, index++) {
      const range = `${index * chunkEvents + 1}-${(index + 1) * chunkEvents}.arrows`;
      const { ms, headers } = await timed(agent, eventsUrl(url, 'bench:asked', range));
      if (!String(headers['cache-status']).includes('generated=1')) throw new Error('it was not cold');
      times.push(ms);
    }
    return times.slice(warmUp);
  };
}

/** Returns when the batch is at work. */
async function startBatch(url: string): Promise<void> {
  const response = await fetch(`${url}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ dataset: 'bench:batch' }),
  });
  const { id } = (await response.json()) as { id: string };
  for (;;) {
    const { done } = (await (await fetch(`${url}/v1/batches/${id}`)).json()) as { done: number };
    if (done > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function compared(what: string, idle: readonly number[], busy: readonly number[]): Row[] {
  return [0.5, 0.99].map((q) => {
    const [alone, beside] = [quantile(idle, q), quantile(busy, q)];
    const value = `${beside.toFixed(1)} ms beside a batch ÷ ${alone.toFixed(1)} ms idle = ${(beside / alone).toFixed(1)}`;
    return { what: `${what}, p${q * 100}`, value };
  });
}
