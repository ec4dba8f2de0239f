// What the service adds to the making of one chunk: queue, worker, store with its syncs, api and HTTP.
import { Agent } from 'node:http';
import { declare, eventsUrl, Service } from '../test/service.ts';
import { BareThreads, minbiasDerivation } from './bare-threads.ts';
import { type Benchmark, quantile, type Row } from './bench.ts';
import { timed } from './client.ts';

const requests = 300;
const warmUp = 20;
const chunkEvents = 512;
const seed = 77;

export const coldLatency: Benchmark = {
  name: 'cold-latency',
  how: `${requests} cold one-chunk Arrow requests (${chunkEvents} events of \`minbias\`), one at a time over one connection, each beside the same chunk on a bare thread just after: the difference, pair by pair.`,
  async run(): Promise<Row[]> {
    const service = await Service.start();
    const bare = new BareThreads(1);
    const agent = new Agent({ keepAlive: true });
    try {
      const name = 'bench:latency';
      const events = (requests + warmUp) * chunkEvents;
      const dataset = await declare(service.url, name, { generator: 'minbias', seed, events, chunkEvents });
      const derivation = minbiasDerivation(seed);
      const overheadMs: number[] = [];
      const bareMs: number[] = [];
      for (let index = 0; index < requests + warmUp; index++) {
        const range = `${index * chunkEvents + 1}-${(index + 1) * chunkEvents}.arrows`;
        const { ms, headers } = await timed(agent, eventsUrl(service.url, name, range));
        if (!String(headers['cache-status']).includes('generated=1')) throw new Error('it was not cold');
        const began = performance.now();
        await bare.make(derivation, dataset, index);
        const alone = performance.now() - began;
        if (index < warmUp) continue;
        overheadMs.push(ms - alone);
        bareMs.push(alone);
      }
      const p50 = quantile(overheadMs, 0.5);
      const p99 = quantile(overheadMs, 0.99);
      return [
        { what: 'overhead p50', value: `${p50.toFixed(1)} ms`, aim: { text: '≤ 8 ms', reached: p50 <= 8 } },
        { what: 'overhead p99', value: `${p99.toFixed(1)} ms`, aim: { text: '≤ 30 ms', reached: p99 <= 30 } },
        { what: 'the chunk alone, p50', value: `${quantile(bareMs, 0.5).toFixed(1)} ms` },
      ];
    } finally {
      agent.destroy();
      await bare.close();
      await service.stop();
    }
  },
};
